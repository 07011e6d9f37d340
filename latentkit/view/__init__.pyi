from .convergence import describe_convergence as describe_convergence
from .decoding import describe_decoding as describe_decoding
from .labels import visible_token as visible_token
from .layers import describe_layer_kl as describe_layer_kl
from .limits import color_limits as color_limits
