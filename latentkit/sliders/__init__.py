"""Sliders (ipywidgets) over traces.

ipywidgets is imported when a name is first used, not with the package.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
