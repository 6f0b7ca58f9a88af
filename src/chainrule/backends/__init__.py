"""Array libraries behind one small interface. Torch is imported here and in `verify`, nowhere else."""

from chainrule.backends.backend import EVALUATION_BLOCK as EVALUATION_BLOCK
from chainrule.backends.backend import Backend as Backend
from chainrule.backends.backend import Precision as Precision
from chainrule.backends.choice import COMPUTE as COMPUTE
from chainrule.backends.choice import Compute as Compute
from chainrule.backends.choice import choose as choose
from chainrule.backends.derived import derived as derived
from chainrule.backends.world import ALONE as ALONE
from chainrule.backends.world import World as World
