"""Models: the interface of looped models, Huginn's architecture, the shipped nano, and `load_model`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
