"""The memory-bound parts of a step in C, built on the user's machine if it has a compiler and the run is long.

They compute what the Python does that they stand in for, most of it to the same bits. In the last places differ: sums
over rows or features (norms, gradients of biases, a clipped gradient's length), losses, activations but ReLU and leaky
ReLU, embeddings in waves, and on torch Adam and RMSprop, as its square root is not always the nearest number.
"""

from chainrule.kernels.build import library as library
from chainrule.kernels.calls import ACTIVATIONS as ACTIVATIONS
from chainrule.kernels.calls import NUMBERS_LOSSES as NUMBERS_LOSSES
from chainrule.kernels.calls import Kernels as Kernels
from chainrule.kernels.calls import activation_of as activation_of
from chainrule.kernels.calls import numbers_loss_of as numbers_loss_of
from chainrule.kernels.program import PREPARES as PREPARES
from chainrule.kernels.program import Program as Program
from chainrule.kernels.program import array as array
from chainrule.kernels.program import products as products
from chainrule.kernels.update import Rules as Rules
from chainrule.kernels.update import Update as Update
from chainrule.kernels.update import takes as takes
