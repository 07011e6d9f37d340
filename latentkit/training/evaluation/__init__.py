"""Figures of a trained model: bits per byte, settling, accuracy, cost, and the report of a model card."""
