"""The memory-bound parts of a step in C, built on the user's machine where a compiler is at hand.

They give the bits of the Python that they stand in for, but for one thing: torch's square root on the CPU is not always
the nearest number, C's and NumPy's is, so Adam and RMSprop may differ from torch's in the last place.
"""

from chainrule.kernels.build import library as library
from chainrule.kernels.calls import Kernels as Kernels
from chainrule.kernels.calls import Update as Update
