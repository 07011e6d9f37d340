"""Watch a language model think by repeating a block."""

__version__ = "0.1.0"
