"""Model folders on disk: their files, weights, and where the weights are placed."""
