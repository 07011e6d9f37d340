"""Exercises of the lessons: check an answer, ask for a hint, see the solution when you want it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
