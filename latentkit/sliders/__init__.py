"""ipywidgets sliders over saved results.

ipywidgets is imported with the first name that is used, not with the package.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
