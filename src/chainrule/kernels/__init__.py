"""The memory-bound parts of a step in C, built on the user's machine where a compiler is at hand.

They give the bits of the Python that they stand in for, on NumPy always. On torch two things may differ in the last
place: its square root is not always the nearest number, so Adam and RMSprop, and batch norm sums rows in another order.
"""

from chainrule.kernels.build import library as library
from chainrule.kernels.calls import Kernels as Kernels
from chainrule.kernels.calls import Update as Update
