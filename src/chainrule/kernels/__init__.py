"""The memory-bound parts of a step in C, built on the user's machine if it has a compiler and the run is long.

They compute what the Python does that they stand in for, most of it to the same bits. In the last place differ: sums
over rows (batch norm, gradients of biases), the loss, and on torch Adam and RMSprop, as its square root is not always
the nearest number.
"""

from chainrule.kernels.build import library as library
from chainrule.kernels.calls import Kernels as Kernels
from chainrule.kernels.program import PLAIN as PLAIN
from chainrule.kernels.program import Program as Program
from chainrule.kernels.program import array as array
from chainrule.kernels.program import products as products
from chainrule.kernels.update import Rules as Rules
from chainrule.kernels.update import Update as Update
from chainrule.kernels.update import takes as takes
