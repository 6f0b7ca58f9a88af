"""Measures of one network on a few training rows: what passes forward and back through each of its layers.

The pass is in training mode, as a step sees it: batch statistics rather than running ones, which at the start describe
no data yet, and dropout masks of the step.
"""

from collections.abc import Callable
from math import nan
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array, wide
from chainrule.backprop import Context, Layer, Parameters, Pullback, forward
from chainrule.layers import Activation, Residual, Sigmoid, Tanh
from chainrule.objective import mean_loss
from chainrule.training.plan import Plan
from chainrule.training.step import Resident

ROWS = 512
"""Rows of a probe. A unit that is active for 1 % of all rows looks dead on 512 of them with a chance of 0.6 %."""

FLAT = 1e-3
"""Largest slope of a unit that counts as dead: exactly 0 for ReLU; GELU, SiLU, Mish and SELU only come near it."""

SATURATED = 0.05
"""Slope, as a share of the activation's largest, below which an output is saturated: |tanh| > 0.975, and a sigmoid
below 0.013 or above 0.987."""

MOSTLY = 0.9
"""Share of the rows for which a unit's output must be saturated for the unit to be."""

ACTIVATIONS = get_args(Activation)
STEEPEST: dict[type[Layer], float] = {Tanh: 1.0, Sigmoid: 0.25}


class Measured(NamedTuple):
    """One layer on the probe's rows.

    deviation: of its outputs over the rows, root mean square over units. gradient: root mean square of ∂J/∂y, NaN where
    none was asked for. dead, saturated: numbers of such units, None for a layer that is no such activation.
    finite: whether all outputs are; gradient_finite: whether all of ∂J/∂y are.
    """

    path: str
    layer: Layer
    units: int
    deviation: float
    gradient: float
    dead: int | None
    saturated: int | None
    finite: bool
    gradient_finite: bool

    @property
    def name(self) -> str:
        """The layer in a message, "layer 2 (ReLU)"."""
        return f"layer {self.path} ({type(self.layer).__name__})"


class Probe(NamedTuple):
    """All layers in order, those inside a residual block before the block; `top` are those of the network itself.

    rms: root mean square of the prepared inputs. loss: of the rows, without penalty. logits: (n_rows, n_out), on the
    host. rows: indices of the rows.
    """

    layers: tuple[Measured, ...]
    rms: float
    loss: float
    logits: NDArray[Any]
    rows: NDArray[np.int64]

    @property
    def top(self) -> tuple[Measured, ...]:
        """The network's own layers, without those inside residual blocks."""
        return tuple(measured for measured in self.layers if "." not in measured.path)


class Seen(NamedTuple):
    """What one layer did in a pass: its output and the way back."""

    path: str
    layer: Layer
    y: Array
    pullback: Pullback


class _Watched(Layer):
    """A layer that does what the one inside does, and tells `on_y` and `on_dy`."""

    def __init__(self, layer: Layer, on_y: Callable[[Seen], None], on_dy: Callable[[str, Array], None]) -> None:
        self.layer, self.on_y, self.on_dy = layer, on_y, on_dy

    def forward(self, parameters: Parameters, x: Array, context: Context) -> Any:
        """The layer's own result; a pullback that it leaves out is derived here, as `backprop.forward` would."""
        result = self.layer.forward(parameters, x, context)
        if not isinstance(result, tuple):
            if context.derive is None:
                return result
            result = context.derive(self.layer, parameters, x, context)
        y, pullback, *rest = result
        self.on_y(Seen(context.path, self.layer, y, pullback))

        def watched(dy: Array) -> tuple[Array, Parameters]:
            self.on_dy(context.path, dy)
            return pullback(dy)  # type: ignore[no-any-return]

        return y, watched, *rest


def probe_rows(plan: Plan, n: int = ROWS) -> NDArray[np.int64]:
    """At most `n` rows of the training sample, evenly spaced, so that a file sorted by class gives all of them."""
    sample = plan.train_sample
    return sample if len(sample) <= n else sample[np.linspace(0, len(sample) - 1, n).astype(np.int64)]


def probe(plan: Plan, data: Resident, parameters: Parameters, step: int, n: int = ROWS) -> Probe:
    """Pass at most `n` rows forward and back through the network and measure every layer."""
    backend, rows = plan.backend, probe_rows(plan, n)
    x = backend.prepare_rows(data.X, rows, data.shift, data.scale)  # (n, n_in)
    target = backend.gather(data.targets, rows)
    weight = None if data.weight is None else backend.gather(data.weight, rows)
    seen: list[Seen] = []
    gradients: dict[str, Array] = {}
    layers = [_watch(layer, seen.append, gradients.__setitem__) for layer in plan.network.layers]
    working = backend.working(parameters, plan.network.parameters)
    context = backend.context(training=True, seed=plan.config.training.seed, step=step)
    logits, pullback, _ = forward(layers, working, x, context)
    loss, dlogits = mean_loss(plan.loss, logits, target, weight, context._replace(kernels=None), plan.network.n_members)
    pullback(dlogits)
    measured = tuple(_measure(one, gradients.get(one.path), backend.xp) for one in seen)
    z, k = backend.numpy(logits), plan.network.n_members
    z = z if k == 1 else plan.loss.combined(z.reshape(len(z), k, -1), np)  # (n, n_out)
    return Probe(measured, _rms(x, backend.xp), float(loss), z, rows)


def _watch(layer: Layer, on_y: Callable[[Seen], None], on_dy: Callable[[str, Array], None]) -> Layer:
    if type(layer) is Residual:
        layer = Residual(tuple(_watch(inner, on_y, on_dy) for inner in layer.body))
    return _Watched(layer, on_y, on_dy)


def _measure(seen: Seen, dy: Array | None, xp: Any) -> Measured:
    y = wide(seen.y, xp)  # (n, units)
    gradient = nan if dy is None else _rms(dy, xp)
    finite = bool(xp.all(xp.isfinite(y)))
    gradient_finite = dy is None or bool(xp.all(xp.isfinite(wide(dy, xp))))
    dead, saturated = _flat_units(seen, xp) if finite else (None, None)
    return Measured(seen.path, seen.layer, int(y.shape[-1]), _deviation(y, xp) if finite else nan, gradient, dead,
                    saturated, finite, gradient_finite)  # fmt: skip


def _flat_units(seen: Seen, xp: Any) -> tuple[int | None, int | None]:
    """(dead units, saturated units): by its slope f'(x), which the pullback of an activation gives for dy = 1."""
    if not isinstance(seen.layer, ACTIVATIONS):
        return None, None
    slope = xp.abs(wide(seen.pullback(xp.ones_like(seen.y))[0], xp))  # (n, units)
    steepest = STEEPEST.get(type(seen.layer))
    if steepest is None:
        return int(xp.sum(xp.astype(xp.max(slope, axis=0) < FLAT, xp.int64))), None
    share = xp.mean(xp.astype(slope < SATURATED * steepest, xp.float32), axis=0)  # (units,)
    return None, int(xp.sum(xp.astype(share >= MOSTLY, xp.int64)))


def _deviation(y: Array, xp: Any) -> float:
    centred = y - xp.mean(y, axis=0, keepdims=True)  # (n, units)
    return _rms(centred, xp)


def _rms(x: Array, xp: Any) -> float:
    """Root mean square of all entries, divided by the largest first: squares of 1e-25 would be 0 in float32."""
    x = wide(x, xp)
    largest = float(xp.max(xp.abs(x)))
    if not 0 < largest < float("inf"):
        return largest
    return largest * float(xp.sqrt(xp.mean((x / largest) ** 2)))
