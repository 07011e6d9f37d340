"""A model as a list of layers: causal models, unrolled recurrent ones, and what is done to their blocks."""
