"""The objective J = loss + penalty, and its gradient with respect to every parameter.

penalty = λ Σ ‖W‖² over the weight matrices: no ½, and neither biases nor norm parameters, the report's convention.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from chainrule.arrays import Array, wide
from chainrule.backprop import Context, Layer, Parameters, forward
from chainrule.layers.members import members_of
from chainrule.losses import Loss


class Objective(NamedTuple):
    """loss (...): the batch's. gradients: of loss + penalty, by name. statistics: renewed running statistics."""

    loss: Array
    gradients: Parameters
    statistics: Parameters
    dx: Array


def objective(
    layers: Sequence[Layer],
    parameters: Parameters,
    loss: Loss,
    x: Array,
    target: Array,
    weight: Array | None,
    context: Context,
    penalised: Iterable[str] = (),
    penalty: Any = 0.0,
    master: Parameters | None = None,
) -> Objective:
    """One pass forward and back over a batch x (..., batch, n_in); `penalty` is λ, one number or one a network.

    master: the parameters that are penalised, where `parameters` are narrower copies of them.
    Where x is one rank's part of a batch, loss and gradients are its share of them: their sums over ranks are the
    batch's.
    """
    logits, pullback, statistics = forward(layers, parameters, x, context)
    value, dlogits = mean_loss(loss, logits, target, weight, context, members_of(layers))
    if context.part is not None:
        share = context.part.share(x.shape[-2], weight, context.xp)
        value, dlogits = share * value, share * dlogits
    dx, gradients = pullback(dlogits)
    return Objective(value, with_penalty(gradients, master or parameters, penalised, penalty), statistics, dx)


def mean_loss(
    loss: Loss, logits: Array, target: Array, weight: Array | None, context: Context, n_members: int = 1
) -> tuple[Array, Array]:
    """loss (...) and dlogits: the mean of the losses of members whose logits (..., batch, k·n_out) are side by side.

    It is the loss of k rows for each row, one a member.
    """
    xp = context.xp
    if n_members == 1:
        compiled = context.kernels and context.kernels.loss(loss, logits, target, weight)
        return compiled or loss(logits, target, weight, xp)
    z = logits.reshape(*logits.shape[:-2], logits.shape[-2] * n_members, -1)  # (..., batch·k, n_out)
    by_class = xp.isdtype(target.dtype, "integral") and target.ndim < z.ndim and target.shape[-1] == logits.shape[-2]
    target = _repeated(target, n_members, -1 if by_class else -2, xp)
    weight = None if weight is None else _repeated(weight, n_members, -1, xp)
    value, dz = mean_loss(loss, z, target, weight, context)
    return value, dz.reshape(logits.shape)


def _repeated(rows: Array, n: int, axis: int, xp: Any) -> Array:
    """Each row n times, one after the other; `axis` counts them."""
    index = xp.arange(rows.shape[axis] * n, device=rows.device) // n
    return xp.take(rows, index, axis=axis)


def penalty_value(parameters: Parameters, penalised: Iterable[str], penalty: Any, xp: Any) -> Any:
    """λ Σ ‖W‖² over the named weights (..., n_in, n_out), a number a network."""
    return penalty * sum(xp.sum(wide(parameters[name], xp) ** 2, axis=(-2, -1)) for name in penalised)


def with_penalty(gradients: Parameters, parameters: Parameters, penalised: Iterable[str], penalty: Any) -> Parameters:
    """Add the penalty's gradient, 2 λ W, to those of the named weights."""
    if getattr(penalty, "ndim", 0) == 0:
        factor: Any = 2 * float(penalty)  # a plain number widens no array
        if factor == 0:
            return gradients
    else:
        factor = 2 * penalty[..., None, None]  # (..., 1, 1)
    return gradients | {name: gradients[name] + factor * parameters[name] for name in penalised}
