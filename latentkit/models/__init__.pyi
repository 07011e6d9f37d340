from .contract import RecurrentModel as RecurrentModel
from .loading import MODELS as MODELS
from .loading import load_model as load_model
