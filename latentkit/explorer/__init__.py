"""`explore` and `explore_model`: widgets that need no kernel once saved.

ipywidgets is imported when one of the names is first used, not with the package.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
