"""What every way of showing a trace shares: selection, token text, labels, colour limits, descriptions."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
