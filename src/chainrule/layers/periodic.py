"""Numbers as more numbers: periodic embeddings of each feature, and a smooth clip of what lies far out."""

from dataclasses import field
from math import pi
from typing import Annotated, Any, Literal

from pydantic import Field

from chainrule.arrays import Array, like, sum_to, wide
from chainrule.backprop import Context, Layer, Parameter, Parameters
from chainrule.layers.activations import Back, Elementwise
from chainrule.layers.initialisation import Init, phases
from chainrule.spec import spec


@spec
class SmoothClip(Elementwise):
    """y = x/√(1 + (x/c)²), which is x near 0 and never beyond ±c; dx = dy (1 + (x/c)²)^(-3/2) (Holzmüller 2024)."""

    limit: Annotated[float, Field(gt=0)] = 3.0
    kind: Literal["smooth_clip"] = field(default="smooth_clip", kw_only=True, repr=False)

    def equation(self, x: Array, xp: Any) -> tuple[Array, Back]:
        """y and the pullback dx, both of the shape of x."""
        z = wide(x, xp)
        r = 1 / xp.sqrt(1 + (z / self.limit) ** 2)
        return like(z * r, x, xp), lambda dy: like(dy * r**3, x, xp)


@spec
class PeriodicEmbedding(Layer):
    """Each feature j as d numbers, (xⱼ, cos(2π xⱼ νⱼ + φⱼ) Wⱼ + bⱼ): RealMLP's PBLD (Gorishniy 2022; Holzmüller 2024).

    x (..., batch, n), y (..., batch, n·d), the d columns of a feature side by side; νⱼ and φⱼ have m entries: nu, phi
    (..., n, m), W (..., n, m, d-1), b (..., n, d-1). With a = 2π x ν + φ, t = cos a, and a feature's dy parted into
    (d₀, dₑ): da = -sin a ⊙ (dₑ Wᵀ), dx = d₀ + 2π da νᵀ, dν = 2π xᵀ da, dφ = Σ_batch da, dW = tᵀ dₑ, db = Σ_batch dₑ.

    frequencies: m. width: d. std: of ν at the start, which are normal; φ starts uniform on ±π, W normal by 1/√m.
    """

    frequencies: Annotated[int, Field(gt=0)] = 16
    width: Annotated[int, Field(gt=1)] = 4
    std: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1
    kind: Literal["periodic_embedding"] = field(default="periodic_embedding", kw_only=True, repr=False)

    def n_out(self, n_in: int) -> int:
        """d columns for each feature."""
        return n_in * self.width

    def parameters(self, n_in: int) -> dict[str, Parameter]:
        """nu and phi (n, m), W (n, m, d-1), b (n, d-1). None of them is penalised or decayed."""
        m, d = self.frequencies, self.width - 1
        return {
            "nu": Parameter((n_in, m), "norm", Init("normal", std=self.std)),
            "phi": Parameter((n_in, m), "norm", phases),
            "W": Parameter((n_in, m, d), "norm", Init("normal", std=m**-0.5)),
            "b": Parameter((n_in, d), "norm", 0.0),
        }

    def flops(self, n_in: int) -> int:
        """2 m d for the products and 3 m for the waves of each feature."""
        return n_in * self.frequencies * (2 * (self.width - 1) + 3)

    def forward(self, parameters: Parameters, x: Array, context: Context) -> Any:
        """y (..., batch, n·d) and its pullback."""
        made = context.kernels and context.kernels.waves(parameters, x, needed=context.input_gradient)
        if made:
            return made
        xp = context.xp
        nu, phi, W, b = (parameters[name] for name in ("nu", "phi", "W", "b"))
        z = wide(x, xp)[..., None]  # (..., batch, n, 1)
        a = 2 * pi * z * nu[..., None, :, :] + phi[..., None, :, :]  # (..., batch, n, m)
        t = xp.moveaxis(xp.cos(a), -2, -3)  # (..., n, batch, m)
        e = xp.moveaxis(t @ W, -3, -2) + b[..., None, :, :]  # (..., batch, n, d-1)
        y = xp.concat([xp.broadcast_to(z, (*e.shape[:-1], 1)), e], axis=-1)  # (..., batch, n, d)

        def pullback(dy: Array) -> tuple[Array, Parameters]:
            dy_each = wide(dy, xp).reshape(y.shape)  # (..., batch, n, d)
            de = xp.moveaxis(dy_each[..., 1:], -2, -3)  # (..., n, batch, d-1)
            da = -xp.sin(a) * xp.moveaxis(de @ W.mT, -3, -2)  # (..., batch, n, m)
            gradients = {
                "nu": sum_to(2 * pi * xp.sum(z * da, axis=-3), nu.shape, xp),  # (..., n, m)
                "phi": sum_to(xp.sum(da, axis=-3), phi.shape, xp),  # (..., n, m)
                "W": sum_to(t.mT @ de, W.shape, xp),  # (..., n, m, d-1)
                "b": sum_to(xp.sum(de, axis=-2), b.shape, xp),  # (..., n, d-1)
            }
            if not context.input_gradient:
                return None, gradients
            dx = dy_each[..., 0] + 2 * pi * xp.sum(da * nu[..., None, :, :], axis=-1)  # (..., batch, n)
            return like(sum_to(dx, x.shape, xp), x, xp), gradients

        return like(y, x, xp).reshape(*y.shape[:-2], -1), pullback
