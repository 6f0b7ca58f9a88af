"""The linear layer: y = x W + b."""

from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

from chainrule.arrays import Array, sum_to, wide
from chainrule.backprop import Context, Layer, Parameter, Parameters
from chainrule.errors import ConfigError
from chainrule.layers.initialisation import InitOption
from chainrule.spec import spec


@spec
class Linear(Layer):
    """y = x W + b, with x (..., batch, n_in), W (..., n_in, n_out), b (..., n_out).

    Pullback: dx = dy Wᵀ, dW = xᵀ dy, db = Σ_batch dy.

    width: n_out. None, allowed in the last layer only, stands for as many outputs as the targets need.
    PyTorch stores the transpose, (n_out, n_in).

    >>> {name: one.shape for name, one in Linear(10).parameters(64).items()}
    {'W': (64, 10), 'b': (10,)}
    >>> Linear(10).flops(64)
    1290
    """

    width: Annotated[int, Field(gt=0)] | None = None
    init: InitOption = "he"
    bias: bool = True
    kind: Literal["linear"] = field(default="linear", kw_only=True, repr=False)

    def n_out(self, n_in: int) -> int:  # noqa: ARG002
        """The layer's width."""
        if self.width is None:
            raise ConfigError(
                "this linear layer has no width: only the last layer may leave it to the data; write Linear(n_out)"
            )
        return self.width

    def parameters(self, n_in: int) -> dict[str, Parameter]:
        """W (n_in, n_out) and b (n_out,)."""
        n_out = self.n_out(n_in)
        W = {"W": Parameter((n_in, n_out), "weight", self.init)}
        return W | {"b": Parameter((n_out,), "bias", 0.0)} if self.bias else W

    def flops(self, n_in: int) -> int:
        """2 n_in n_out, and n_out more for the bias."""
        return (2 * n_in + self.bias) * self.n_out(n_in)

    def forward(self, parameters: Parameters, x: Array, context: Context) -> Any:
        """y (..., batch, n_out) and its pullback."""
        made = context.kernels and context.kernels.linear(parameters, x, needed=context.input_gradient)
        if made is not None:
            return made
        W, b, xp = parameters["W"], parameters.get("b"), context.xp
        y = x @ W  # (..., batch, n_out)
        if b is not None:
            y += b[..., None, :]

        def pullback(dy: Array) -> tuple[Array, Parameters]:
            dx = sum_to(dy @ W.mT, x.shape, xp) if context.input_gradient else None  # (..., batch, n_in)
            gradients = {"W": sum_to(x.mT @ dy, W.shape, xp)}  # (..., n_in, n_out)
            if b is not None:
                compiled = context.kernels and context.kernels.sum_rows(dy)
                db = xp.sum(wide(dy, xp), axis=-2) if compiled is None else compiled  # (..., n_out)
                gradients["b"] = sum_to(db, b.shape, xp)
            return dx, gradients

        return y, pullback
