"""Array libraries behind one small interface. Torch is imported here, in `verify` and in exporters, nowhere else."""

from chainrule.backends.backend import Backend as Backend
from chainrule.backends.backend import Precision as Precision
from chainrule.backends.choose import Compute as Compute
from chainrule.backends.choose import choose as choose
