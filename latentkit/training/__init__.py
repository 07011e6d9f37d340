"""Training recipe of nano: tokenizer, data, graded problems, training, evaluation."""
