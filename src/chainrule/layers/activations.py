"""Elementwise activations y = f(x). Each pullback is dx = dy ⊙ f'(x); shapes are those of x, (..., batch, n)."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import field
from math import pi, sqrt
from typing import Annotated, Any, Literal

from pydantic import Field

from chainrule.arrays import Array, erf, like, wide
from chainrule.backprop import Context, Layer, Parameters
from chainrule.spec import spec

Back = Callable[[Array], Array]
"""dx of dy."""


class Elementwise(Layer):
    """y = f(x); dx = f'(x) ⊙ dy."""

    @abstractmethod
    def equation(self, x: Array, xp: Any) -> tuple[Array, Back]:
        """f(x) and the pullback dx = f'(x) ⊙ dy, both of the shape of x."""

    def forward(self, parameters: Parameters, x: Array, context: Context) -> Any:  # noqa: ARG002
        """y, of the shape of x (..., batch, n), and its pullback."""
        compiled = context.kernels and context.kernels.activation(self, x)
        y, back = compiled or self.equation(x, context.xp)
        return y, lambda dy: (back(dy), {})


def sigmoid(x: Array, xp: Any) -> Array:
    """σ(x) = 1/(1 + e⁻ˣ), written with e^(-|x|) so that nothing overflows."""
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1.0, e) / (1 + e)


def softplus(x: Array, xp: Any) -> Array:
    """log(1 + eˣ) = max(x, 0) + log(1 + e^(-|x|)), which cannot overflow."""
    return xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


@spec
class ReLU(Elementwise):
    """y = max(x, 0); dx = dy where x > 0, else 0. At exactly 0 the slope is 0, as in PyTorch. (Nair & Hinton 2010)

    >>> import numpy as np
    >>> from chainrule import Context
    >>> y, pullback = ReLU().forward({}, np.array([[-1.0, 0.0, 2.0]]), Context(np, training=True))
    >>> y.tolist(), pullback(np.ones((1, 3)))[0].tolist()
    ([[0.0, 0.0, 2.0]], [[0.0, 0.0, 1.0]])
    """

    kind: Literal["relu"] = field(default="relu", kw_only=True, repr=False)

    def equation(self, x: Array, xp: Any) -> tuple[Array, Back]:
        """y and the pullback dx, both of the shape of x."""
        return xp.maximum(x, 0.0), lambda dy: dy * (x > 0)


@spec
class LeakyReLU(Elementwise):
    """y = x where x > 0, else slope·x; dx = dy, or slope·dy. At exactly 0 it is slope·dy, as in PyTorch. (Maas 2013)

    >>> import numpy as np
    >>> from chainrule import Context
    >>> LeakyReLU(0.1).forward({}, np.array([[-1.0, 2.0]]), Context(np, training=True))[0].tolist()
    [[-0.1, 2.0]]
    """

    slope: Annotated[float, Field(ge=0, lt=1)] = 0.01
    kind: Literal["leaky_relu"] = field(default="leaky_relu", kw_only=True, repr=False)

    def equation(self, x: Array, xp: Any) -> tuple[Array, Back]:
        """y and the pullback dx, both of the shape of x."""
        return xp.where(x > 0, x, self.slope * x), lambda dy: xp.where(x > 0, dy, self.slope * dy)


@spec
class Tanh(Elementwise):
    """y = tanh x; dx = dy (1 - y²)."""

    kind: Literal["tanh"] = field(default="tanh", kw_only=True, repr=False)

    def equation(self, x: Array, xp: Any) -> tuple[Array, Back]:
        """y and the pullback dx, both of the shape of x."""
        y = xp.tanh(x)
        return y, lambda dy: dy * (1 - y * y)


@spec
class Sigmoid(Elementwise):
    """y = σ(x) = 1/(1 + e⁻ˣ); dx = dy y (1 - y)."""

    kind: Literal["sigmoid"] = field(default="sigmoid", kw_only=True, repr=False)

    def equation(self, x: Array, xp: Any) -> tuple[Array, Back]:
        """y and the pullback dx, both of the shape of x."""
        y = like(sigmoid(wide(x, xp), xp), x, xp)
        return y, lambda dy: dy * (y * (1 - y))


@spec
class GELU(Elementwise):
    """y = x Φ(x), Φ the standard normal distribution function (Hendrycks & Gimpel 2016); dx = dy (Φ(x) + x φ(x)).

    approximate "none": Φ(x) = (1 + erf(x/√2))/2. "tanh": Φ(x) ≈ (1 + tanh u)/2 with u = √(2/π) (x + 0.044715 x³), and
    dx = dy ((1 + tanh u)/2 + x (1 - tanh² u) u'/2).
    """

    approximate: Literal["none", "tanh"] = "none"
    kind: Literal["gelu"] = field(default="gelu", kw_only=True, repr=False)

    def equation(self, x: Array, xp: Any) -> tuple[Array, Back]:
        """y and the pullback dx, both of the shape of x."""
        z = wide(x, xp)
        if self.approximate == "none":
            cdf = 0.5 * (1 + erf(z * sqrt(0.5)))
            return like(z * cdf, x, xp), lambda dy: dy * like(cdf + z * xp.exp(-0.5 * z * z) / sqrt(2 * pi), x, xp)
        c = sqrt(2 / pi)
        t = xp.tanh(c * (z + 0.044715 * z * z * z))

        def back(dy: Array) -> Array:
            return dy * like(0.5 * (1 + t) + 0.5 * z * (1 - t * t) * c * (1 + 3 * 0.044715 * z * z), x, xp)

        return like(0.5 * z * (1 + t), x, xp), back


@spec
class SiLU(Elementwise):
    """y = x σ(x), also called swish; dx = dy (s + x s (1 - s)) with s = σ(x) (Elfwing 2017; Ramachandran 2017)."""

    kind: Literal["silu"] = field(default="silu", kw_only=True, repr=False)

    def equation(self, x: Array, xp: Any) -> tuple[Array, Back]:
        """y and the pullback dx, both of the shape of x."""
        z = wide(x, xp)
        s = sigmoid(z, xp)
        return like(z * s, x, xp), lambda dy: dy * like(s + z * s * (1 - s), x, xp)


SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@spec
class SELU(Elementwise):
    """y = λ x where x > 0, else λ α (eˣ - 1); dx = dy λ, or dy λ α eˣ (Klambauer 2017). Pair it with init "lecun"."""

    kind: Literal["selu"] = field(default="selu", kw_only=True, repr=False)

    def equation(self, x: Array, xp: Any) -> tuple[Array, Back]:
        """y and the pullback dx, both of the shape of x."""
        z = wide(x, xp)
        below = SELU_SCALE * SELU_ALPHA * xp.expm1(xp.minimum(z, 0.0))
        y = like(xp.where(z > 0, SELU_SCALE * z, below), x, xp)
        return y, lambda dy: dy * like(xp.where(z > 0, SELU_SCALE, below + SELU_SCALE * SELU_ALPHA), x, xp)


@spec
class Mish(Elementwise):
    """y = x t with t = tanh(log(1 + eˣ)); dx = dy (t + x (1 - t²) σ(x)) (Misra 2019)."""

    kind: Literal["mish"] = field(default="mish", kw_only=True, repr=False)

    def equation(self, x: Array, xp: Any) -> tuple[Array, Back]:
        """y and the pullback dx, both of the shape of x."""
        z = wide(x, xp)
        t = xp.tanh(softplus(z, xp))
        return like(z * t, x, xp), lambda dy: dy * like(t + z * (1 - t * t) * sigmoid(z, xp), x, xp)
