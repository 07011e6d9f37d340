from .description import describe_convergence as describe_convergence
from .labels import visible_token as visible_token
from .layers import describe_layer_kl as describe_layer_kl
from .layers import layer_kl_limits as layer_kl_limits
