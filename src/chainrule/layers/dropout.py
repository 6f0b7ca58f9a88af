"""Inverted dropout: y = m ⊙ x in training, y = x in evaluation."""

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

from chainrule.arrays import Array, sum_to
from chainrule.backprop import Context, Layer, Parameters
from chainrule.spec import spec


@spec
class Dropout(Layer):
    """y = m ⊙ x, where each entry of m is 0 with probability `rate`, else 1/(1 - rate), so that E[y] = x; dx = m ⊙ dy.

    In evaluation y = x. The mask m (..., batch, n) comes from the caller's stream, addressed by step and layer, so a
    pass can be repeated exactly; PyTorch draws it from a global state. (Srivastava 2014)

    >>> from chainrule import mlp
    >>> mlp([200, 100], dropout=[0.3, 0]).sized(64, 10).layers[2]
    Dropout(rate=0.3)
    """

    rate: Annotated[float, Field(ge=0, lt=1)] = 0.5
    kind: Literal["dropout"] = field(default="dropout", kw_only=True, repr=False)

    def forward(self, parameters: Parameters, x: Array, context: Context) -> Any:  # noqa: ARG002
        """y, of the shape of x (..., batch, n), and its pullback."""
        if not context.training or self.rate == 0:
            return x, lambda dy: (dy, {})
        if context.mask is None:
            raise ValueError(f"layer {context.path}: dropout in training needs a mask in its context")
        mask = context.mask(context.path, x.shape[-2], x.shape[-1], self.rate, x.dtype)  # (..., batch, n)
        return x * mask, lambda dy: (sum_to(dy * mask, x.shape, context.xp), {})
