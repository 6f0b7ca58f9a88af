"""The layers, one idea a file; each states its equation and its pullback.

`AnyLayer` is what a list of layers may hold: one of these, told apart by `kind` in a file, or an own subclass of Layer.
"""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import core_schema

from chainrule.backprop import Layer
from chainrule.layers.activations import GELU as GELU
from chainrule.layers.activations import SELU as SELU
from chainrule.layers.activations import LeakyReLU as LeakyReLU
from chainrule.layers.activations import Mish as Mish
from chainrule.layers.activations import ReLU as ReLU
from chainrule.layers.activations import Sigmoid as Sigmoid
from chainrule.layers.activations import SiLU as SiLU
from chainrule.layers.activations import Tanh as Tanh
from chainrule.layers.dropout import Dropout as Dropout
from chainrule.layers.embedding import Embedding as Embedding
from chainrule.layers.initialisation import Init as Init
from chainrule.layers.linear import Linear as Linear
from chainrule.layers.members import MemberLinear as MemberLinear
from chainrule.layers.norm import BatchNorm as BatchNorm
from chainrule.layers.norm import LayerNorm as LayerNorm
from chainrule.layers.periodic import PeriodicEmbedding as PeriodicEmbedding
from chainrule.layers.periodic import SmoothClip as SmoothClip
from chainrule.layers.residual import Residual as Residual
from chainrule.spec import complete

Activation = ReLU | LeakyReLU | Tanh | Sigmoid | GELU | SiLU | SELU | Mish


class _OwnLayersInPython:
    """A file can name the built-in kinds only; Python can bring any instance of Layer."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.json_or_python_schema(
            json_schema=handler(source), python_schema=core_schema.is_instance_schema(Layer)
        )


BuiltIn = Annotated[
    Linear
    | Activation
    | Dropout
    | BatchNorm
    | LayerNorm
    | Residual
    | Embedding
    | MemberLinear
    | PeriodicEmbedding
    | SmoothClip,
    Field(discriminator="kind"),
]

if TYPE_CHECKING:
    AnyLayer = Layer
else:
    AnyLayer = Annotated[BuiltIn, _OwnLayersInPython()]

complete(Residual, AnyLayer=AnyLayer)
