"""One optimiser step over all parameters of a network, and clipping by norm before it."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from chainrule.arrays import Array, rounded_to, wide
from chainrule.backprop import Parameters
from chainrule.objective import with_penalty
from chainrule.optim.optimizers import Optimizer

Slots = dict[str, tuple[Array, ...]]
"""What an optimiser keeps: its slot arrays for each parameter's name."""


def init(optimizer: Optimizer, parameters: Mapping[str, Array], xp: Any) -> Slots:
    """Zero slots for every trainable parameter."""
    return {name: tuple(xp.zeros_like(p) for _ in optimizer.slots) for name, p in parameters.items()}


def update(
    optimizer: Optimizer,
    parameters: Parameters,
    gradients: Parameters,
    slots: Slots,
    lr: Any,
    t: int,
    weights: Collection[str],
    xp: Any,
    penalty: Any = 0.0,
    scale: Any = None,
) -> tuple[Parameters, Slots]:
    """Renewed parameters and slots after step `t`; parameters without a gradient pass unchanged.

    lr: one number, or (P,) for P stacked networks, in float64. weights: names of the weight matrices, which decay.
    penalty: λ of a penalty that the gradients do not hold yet. scale: what the penalised gradients are clipped by.
    """
    parameters, slots = dict(parameters), dict(slots)
    for name, g in with_penalty(gradients, parameters, [w for w in weights if w in gradients], penalty).items():
        p = parameters[name]
        g = wide(g, xp)
        g = g if scale is None else g * per_network(scale, g)
        rate = per_network(lr, p)
        if optimizer.decay and name in weights:
            p = p * rounded_to(1 - rate * optimizer.decay, p, xp)
        parameters[name], slots[name] = optimizer.step(p, g, slots[name], rate, t, xp)
    return parameters, slots


def per_network(value: Any, p: Array) -> Any:
    """A number as it is, but plain, so that it widens no array; (P,), one a network, shaped to multiply p (P, ...)."""
    if isinstance(value, np.generic):
        return value.item()
    if not hasattr(value, "shape") or value.ndim == 0:
        return value
    return value.reshape(value.shape + (1,) * (p.ndim - value.ndim))  # (P, 1, ...)


def gradient_norm(gradients: Parameters, ranks: Mapping[str, int], xp: Any) -> Any:
    """√Σ‖g‖² over all parameters, a number a network; ranks: each parameter's dimensions without leading axes."""
    squares = [xp.sum(wide(g, xp) ** 2, axis=tuple(range(-ranks[name], 0))) for name, g in gradients.items()]
    return xp.sqrt(sum(squares[1:], start=squares[0]))


def clip_scale(norm: Array, limit: float, xp: Any) -> Array:
    """min(1, limit/norm), what gradients are multiplied by to be clipped. PyTorch divides by norm + 1e-6."""
    return xp.minimum(limit / xp.maximum(norm, 1e-30), xp.ones_like(norm))


def clip_by_norm(gradients: Parameters, norm: Array, limit: float, xp: Any) -> Parameters:
    """Gradients scaled by `clip_scale`."""
    scale = clip_scale(norm, limit, xp)
    return {name: g * per_network(scale, g) for name, g in gradients.items()}
