"""The residual block: y = x + body(x)."""

from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal

from chainrule.arrays import Array, sum_to
from chainrule.backprop import Context, Layer, Parameter, Parameters, forward, parameters_of
from chainrule.errors import ConfigError
from chainrule.spec import List, spec

if TYPE_CHECKING:
    AnyLayer = Layer


@spec
class Residual(Layer):
    """y = x + body(x), body a list of layers as wide at its end as at its start; dx = dy + body's dx (He 2016).

    >>> from chainrule import Linear, Network, ReLU
    >>> Network((Residual((Linear(8), ReLU(), Linear(8))), Linear(2)), n_in=8).n_parameters
    162
    """

    body: List["AnyLayer"]
    kind: Literal["residual"] = field(default="residual", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        """Refuse an empty body."""
        if not self.body:
            raise ConfigError("a residual block with an empty body is y = 2x; list at least one layer in its body")

    def n_out(self, n_in: int) -> int:
        """n_in; refuses a body that ends with another width."""
        n = n_in
        for layer in self.body:
            n = layer.n_out(n)
        if n != n_in:
            raise ConfigError(
                f"the body of a residual block turns width {n_in} into {n}: x + body(x) needs the same width; "
                f"end the body with Linear({n_in})"
            )
        return n_in

    def parameters(self, n_in: int) -> dict[str, Parameter]:
        """Those of the body, named body.0.W and so on."""
        return {f"body.{name}": parameter for name, parameter in parameters_of(self.body, n_in).items()}

    def flops(self, n_in: int) -> int:
        """The body's, and one addition a feature."""
        total = n_in
        for layer in self.body:
            total += layer.flops(n_in)
            n_in = layer.n_out(n_in)
        return total

    def forward(self, parameters: Parameters, x: Array, context: Context) -> Any:
        """y, its pullback and the body's renewed running statistics."""
        own = {name.removeprefix("body."): value for name, value in parameters.items()}
        y, back, statistics = forward(self.body, own, x, context._replace(path=f"{context.path}.body"))

        def pullback(dy: Array) -> tuple[Array, Parameters]:
            dx, gradients = back(dy)
            dx = sum_to(dy, x.shape, context.xp) + dx if dx is not None else None
            return dx, {f"body.{name}": gradient for name, gradient in gradients.items()}

        return x + y, pullback, {f"body.{name}": value for name, value in statistics.items()}


def flat(layer: Layer) -> list[Layer]:
    """The layer, and those inside it."""
    return [layer, *(part for inner in getattr(layer, "body", ()) for part in flat(inner))]
