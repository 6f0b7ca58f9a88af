"""A network written down: the specification, the common form `mlp`, names and sizes of its arrays."""

from chainrule.network.mlp import mlp as mlp
from chainrule.network.network import Network as Network
from chainrule.network.network import describe as describe
from chainrule.network.network import kind_of as kind_of
from chainrule.network.network import own_layers as own_layers
