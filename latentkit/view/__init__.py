"""Shared by plots, sliders and the explorer: selection, token labels, colour limits, descriptions.

This package does not need matplotlib.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
