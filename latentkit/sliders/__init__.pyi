from .convergence import slide_convergence as slide_convergence
from .convergence import slide_readout as slide_readout
from .decoding import slide_decoding as slide_decoding
from .decoding import slide_exits as slide_exits
from .layers import slide_layer_kl as slide_layer_kl
from .trajectory import slide_trajectory as slide_trajectory
