"""k networks in one, after BatchEnsemble: they share each weight matrix, and each scales its rows and columns."""

from collections.abc import Sequence
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

from chainrule.arrays import Array, like, sum_to, wide
from chainrule.backprop import Context, Layer, Parameter, Parameters
from chainrule.errors import ConfigError
from chainrule.layers.initialisation import InitOption, signs
from chainrule.layers.residual import flat
from chainrule.spec import spec


@spec
class MemberLinear(Layer):
    """yᵢ = ((xᵢ ⊙ rᵢ) W) ⊙ sᵢ + bᵢ for members i = 1..k, W shared (Wen 2020; as TabM, Gorishniy 2024).

    The members stand side by side in columns: x (..., batch, k·n_in), y (..., batch, k·n_out), W (..., n_in, n_out),
    r (..., k, n_in), s and b (..., k, n_out). With vᵢ = (xᵢ ⊙ rᵢ) W and dvᵢ = dyᵢ ⊙ sᵢ, duᵢ = dvᵢ Wᵀ, the pullback is
    dxᵢ = duᵢ ⊙ rᵢ, dW = Σᵢ (xᵢ ⊙ rᵢ)ᵀ dvᵢ, drᵢ = Σ_batch duᵢ ⊙ xᵢ, dsᵢ = Σ_batch dyᵢ ⊙ vᵢ, dbᵢ = Σ_batch dyᵢ.

    width: n_out of one member; None, allowed in the last layer only, stands for as many as the targets need.
    members: k. spread: whether x (..., batch, n_in) are rows that all members are given, as the first such layer's
    are; then dx = Σᵢ duᵢ ⊙ rᵢ, and r starts as random signs, which alone tells the members apart. Elsewhere r starts
    at 1, as s does.
    """

    width: Annotated[int, Field(gt=0)] | None = None
    members: Annotated[int, Field(gt=1)] = 8
    spread: bool = False
    init: InitOption = "he"
    kind: Literal["member_linear"] = field(default="member_linear", kw_only=True, repr=False)

    def n_out(self, n_in: int) -> int:
        """k times the layer's width."""
        self._each(n_in)
        if self.width is None:
            raise ConfigError(
                "this linear layer has no width: only the last layer may leave it to the data; write "
                "MemberLinear(n_out)"
            )
        return self.members * self.width

    def _each(self, n_in: int) -> int:
        """n_in of one member; refuses columns that are not so many for each."""
        if self.spread:
            return n_in
        if n_in % self.members:
            raise ConfigError(
                f"{n_in} columns cannot be shared out among {self.members} members; the first layer of the members "
                "has spread = true"
            )
        return n_in // self.members

    def parameters(self, n_in: int) -> dict[str, Parameter]:
        """W (n_in, n_out), r (k, n_in), s and b (k, n_out)."""
        n_in, n_out, k = self._each(n_in), self.n_out(n_in) // self.members, self.members
        return {
            "W": Parameter((n_in, n_out), "weight", self.init),
            "r": Parameter((k, n_in), "norm", signs if self.spread else 1.0),
            "s": Parameter((k, n_out), "norm", 1.0),
            "b": Parameter((k, n_out), "bias", 0.0),
        }

    def flops(self, n_in: int) -> int:
        """2 n_in n_out + n_in + 2 n_out for each member."""
        n_in, n_out = self._each(n_in), self.n_out(n_in) // self.members
        return self.members * (2 * n_in * n_out + n_in + 2 * n_out)

    def forward(self, parameters: Parameters, x: Array, context: Context) -> Any:
        """y (..., batch, k·n_out) and its pullback."""
        kernels, needed = context.kernels, context.input_gradient
        made = kernels and kernels.member_linear(parameters, x, spread=self.spread, needed=needed)
        if made:
            return made
        W, xp, k, (n_in, n_out) = parameters["W"], context.xp, self.members, parameters["W"].shape[-2:]
        r, s, b = (like(parameters[name], x, xp)[..., None, :, :] for name in ("r", "s", "b"))  # (..., 1, k, n)
        x_each = x.reshape(*x.shape[:-1], 1 if self.spread else k, n_in)  # (..., batch, k or 1, n_in)
        u = x_each * r  # (..., batch, k, n_in)
        flat = u.reshape(*u.shape[:-3], u.shape[-3] * k, n_in)  # (..., batch · k, n_in)
        v = (flat @ W).reshape(*u.shape[:-1], n_out)  # (..., batch, k, n_out)
        y = v * s + b

        def pullback(dy: Array) -> tuple[Array, Parameters]:
            dy_each = dy.reshape(y.shape)  # (..., batch, k, n_out)
            dv = (dy_each * s).reshape(*flat.shape[:-1], n_out)  # (..., batch · k, n_out)
            du = (dv @ W.mT).reshape(u.shape)  # (..., batch, k, n_in)
            gradients = {
                "W": sum_to(flat.mT @ dv, W.shape, xp),  # (..., n_in, n_out)
                "r": _over_rows(du * x_each, parameters["r"], xp),  # (..., k, n_in)
                "s": _over_rows(dy_each * v, parameters["s"], xp),  # (..., k, n_out)
                "b": _over_rows(dy_each, parameters["b"], xp),  # (..., k, n_out)
            }
            dx = sum_to(du * r, x_each.shape, xp).reshape(x.shape) if context.input_gradient else None
            return dx, gradients

        return y.reshape(*y.shape[:-2], k * n_out), pullback


def _over_rows(terms: Array, parameter: Array, xp: Any) -> Array:
    """Σ_batch of terms (..., batch, k, n), for a parameter (..., k, n)."""
    total = sum_to(xp.sum(wide(terms, xp), axis=-3), parameter.shape, xp)
    return like(total, parameter, xp)


def members_of(layers: Sequence[Layer]) -> int:
    """How many members stand side by side at the end of `layers`; 1 without such layers."""
    for layer in layers:  # in every step, so no generator
        if isinstance(layer, MemberLinear):
            return layer.members
    return 1


_MIXING = ("linear", "layer_norm")


def check_members(layers: Sequence[Layer]) -> None:
    """Refuse layers that would mix the members, and members that do not begin as they must. Raises a ConfigError."""
    k, begun = members_of(layers), False
    for i, layer in enumerate(layers):
        inside = any(isinstance(inner, MemberLinear) for inner in flat(layer)[1:])
        if inside and not begun:
            raise ConfigError(
                f"layer {i} (residual) begins the members inside its body; begin them with a layer before it"
            )
        for inner in flat(layer):
            problem = _problem(inner, k, begun=begun)
            if problem:
                raise ConfigError(f"layer {i} ({getattr(inner, 'kind', type(inner).__name__)}) {problem}")
            begun = begun or isinstance(inner, MemberLinear)


def _problem(layer: Layer, k: int, *, begun: bool) -> str:
    """What is wrong with a layer where members stand side by side (`begun`) or not; "" for nothing."""
    if not isinstance(layer, MemberLinear):
        mixing = begun and getattr(layer, "kind", "") in _MIXING
        return f"would mix the {k} members' columns; use MemberLinear, and batch norm for a norm" if mixing else ""
    if layer.members != k:
        return f"has {layer.members} members, those before it have {k}; give one number of members"
    if layer.spread and begun:
        return "is spread a second time; only the first layer of the members has spread = true"
    if not layer.spread and not begun:
        return "begins the members without spread = true: each would see a share of the columns"
    return ""
