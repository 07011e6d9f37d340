from .live import save_live_html as save_live_html
from .model import ModelExplorer as ModelExplorer
from .model import explore_model as explore_model
from .widget import TraceExplorer as TraceExplorer
from .widget import explore as explore
