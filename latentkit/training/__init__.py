"""The recipe that made nano: tokenizer, data, graded problems, training, evaluation."""
