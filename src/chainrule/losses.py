"""Losses fused with their link: (logits, target, weight) -> (loss, dlogits), proved together.

`logits` (..., batch, n_out). The loss of one network is the weighted mean Σ wᵢ lᵢ / Σ wᵢ over rows, or the plain mean
without weights; its shape is that of the leading axes. With several outputs, lᵢ is the mean over them, as in PyTorch.
Sums and exponentials are in float32 at least, and finite for logits of ±1e4.
"""

from abc import ABC, abstractmethod
from dataclasses import field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from chainrule.arrays import Array, like, wide
from chainrule.backprop import refuse_numpy
from chainrule.layers.activations import sigmoid, softplus
from chainrule.spec import OwnOr, spec


class Loss(ABC):
    """A loss for the task named in `task`. Subclass it to add one of your own, which `check_loss` proves.

    A model with it stays in memory: no file can name it. Its targets are standardised where it is derived from
    `SquaredError` or `Huber`.
    """

    task: ClassVar[Literal["classification", "multilabel", "regression"]]
    kind: str

    @abstractmethod
    def rows(self, z: Array, target: Array, xp: Any) -> tuple[Array, Array]:
        """lᵢ (..., batch) and ∂lᵢ/∂z (..., batch, n_out), from logits z in float32 or better."""

    @abstractmethod
    def predict(self, logits: Array, xp: Any) -> Array:
        """The link: what the logits stand for, (..., batch, n_out) probabilities, means or rates."""

    @abstractmethod
    def combined(self, z: Array, xp: Any) -> Array:
        """Logits (..., n_out) whose prediction is the mean of the predictions of members' logits z (..., k, n_out)."""

    def __call__(self, logits: Array, target: Array, weight: Array | None, xp: Any) -> tuple[Array, Array]:
        """loss (...) and dlogits = ∂loss/∂logits (..., batch, n_out), for weights (batch,) or None."""
        try:
            values, slopes = self.rows(wide(logits, xp), target, xp)
        except (RuntimeError, TypeError) as error:
            refuse_numpy(error, f"Loss {type(self).__name__}", "xp", "rows and predict", "z")
            raise
        if weight is None:
            n = logits.shape[-2]
            return xp.sum(values, axis=-1) / n, like(slopes / n, logits, xp)
        total = xp.sum(weight, axis=-1, keepdims=True)
        share = weight / xp.where(total > 0, total, 1.0)  # (..., batch); a batch of zero weight has loss 0
        return xp.sum(share * values, axis=-1), like(share[..., None] * slopes, logits, xp)


@spec
class SoftmaxCrossEntropy(Loss):
    """lᵢ = -Σₖ tᵢₖ log ψ(zᵢ)ₖ, ψ the softmax; ∂lᵢ/∂zᵢ = ψ(zᵢ) - tᵢ, the report's (ψ - Δ) before the mean's 1/N.

    target: class indices (batch,), or probabilities (batch, n_out) whose rows sum to 1.
    label_smoothing ε replaces t by (1 - ε) t + ε/K (Szegedy 2015). max z is subtracted first, so nothing overflows.

    >>> import numpy as np
    >>> value, dlogits = SoftmaxCrossEntropy()(np.array([[0.0, 0.0]]), np.array([1]), None, np)
    >>> round(float(value), 4), dlogits.tolist()
    (0.6931, [[0.5, -0.5]])
    """

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    kind: Literal["softmax_cross_entropy"] = field(default="softmax_cross_entropy", kw_only=True, repr=False)
    task = "classification"

    def rows(self, z: Array, target: Array, xp: Any) -> tuple[Array, Array]:
        """lᵢ (..., batch) and ∂lᵢ/∂z (..., batch, n_out)."""
        shifted = z - xp.max(z, axis=-1, keepdims=True)
        e = xp.exp(shifted)
        total = xp.sum(e, axis=-1, keepdims=True)
        t = self._probabilities(z, target, xp)  # (..., batch, n_out)
        values = xp.sum(t * (xp.log(total) - shifted), axis=-1)
        return values, e / total - t

    def _probabilities(self, z: Array, target: Array, xp: Any) -> Array:
        n_out = z.shape[-1]
        # one table of probabilities for P networks has as few axes as P rows of class indices
        shared = target.shape[-2:] == z.shape[-2:] and xp.isdtype(target.dtype, "real floating")
        if target.ndim < z.ndim and target.shape[-1] == z.shape[-2] and not shared:
            classes = xp.arange(n_out, dtype=target.dtype, device=z.device)
            target = target[..., None] == classes  # (..., batch, n_out)
        t = xp.astype(target, z.dtype)
        return t if self.label_smoothing == 0 else (1 - self.label_smoothing) * t + self.label_smoothing / n_out

    def predict(self, logits: Array, xp: Any) -> Array:
        """Probabilities ψ(z), (..., batch, n_out)."""
        z = wide(logits, xp)
        e = xp.exp(z - xp.max(z, axis=-1, keepdims=True))
        return e / xp.sum(e, axis=-1, keepdims=True)

    def combined(self, z: Array, xp: Any) -> Array:
        """log meanₖ ψ(zₖ), (..., n_out)."""
        shifted = z - xp.max(z, axis=-1, keepdims=True)
        return _log_mean(shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True)), xp)


@spec
class SigmoidCrossEntropy(Loss):
    """lᵢ = meanₖ [log(1 + e^z) - t z]; ∂lᵢ/∂z = (σ(z) - t)/K. target: (batch, n_out) of 0 to 1.

    >>> import numpy as np
    >>> value, dlogits = SigmoidCrossEntropy()(np.array([[0.0, 0.0]]), np.array([[0.0, 1.0]]), None, np)
    >>> round(float(value), 4), dlogits.tolist()
    (0.6931, [[0.25, -0.25]])
    """

    kind: Literal["sigmoid_cross_entropy"] = field(default="sigmoid_cross_entropy", kw_only=True, repr=False)
    task = "multilabel"

    def rows(self, z: Array, target: Array, xp: Any) -> tuple[Array, Array]:
        """lᵢ (..., batch) and ∂lᵢ/∂z (..., batch, n_out)."""
        t = xp.astype(target, z.dtype)
        values = xp.mean(xp.maximum(z, 0.0) - z * t + xp.log1p(xp.exp(-xp.abs(z))), axis=-1)
        return values, (sigmoid(z, xp) - t) / z.shape[-1]

    def predict(self, logits: Array, xp: Any) -> Array:
        """Probabilities σ(z), each output by itself, (..., batch, n_out)."""
        return sigmoid(wide(logits, xp), xp)

    def combined(self, z: Array, xp: Any) -> Array:
        """log p - log(1 - p) for p = meanₖ σ(zₖ), each logarithm by itself: σ(z) is 1 in float64 from z = 37 on."""
        return _log_mean(-softplus(-z, xp), xp) - _log_mean(-softplus(z, xp), xp)


@spec
class SquaredError(Loss):
    """lᵢ = meanₖ (z - t)², without ½; ∂lᵢ/∂z = 2 (z - t)/K. target: numbers t (batch, n_out).

    >>> import numpy as np
    >>> value, dlogits = SquaredError()(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]]), None, np)
    >>> float(value), dlogits.tolist()
    (2.0, [[0.0], [2.0]])
    """

    kind: Literal["squared_error"] = field(default="squared_error", kw_only=True, repr=False)
    task = "regression"

    def rows(self, z: Array, target: Array, xp: Any) -> tuple[Array, Array]:
        """lᵢ (..., batch) and ∂lᵢ/∂z (..., batch, n_out)."""
        d = z - xp.astype(target, z.dtype)
        return xp.mean(d * d, axis=-1), d * (2 / z.shape[-1])

    def predict(self, logits: Array, xp: Any) -> Array:
        """The outputs themselves, (..., batch, n_out)."""
        return wide(logits, xp)

    def combined(self, z: Array, xp: Any) -> Array:
        """The mean of the outputs, (..., n_out)."""
        return xp.mean(z, axis=-2)


@spec
class Huber(Loss):
    """lᵢ = meanₖ h(z - t), h(d) = d²/2 where |d| ≤ δ, else δ(|d| - δ/2); ∂lᵢ/∂z = clip(z - t, -δ, δ)/K (Huber 1964).

    target: numbers t (batch, n_out).

    >>> import numpy as np
    >>> value, dlogits = Huber()(np.array([[0.5], [9.0]]), np.array([[0.0], [0.0]]), None, np)
    >>> dlogits.tolist()  # no row pulls by more than delta / N
    [[0.25], [0.5]]
    """

    delta: Annotated[float, Field(gt=0)] = 1.0
    kind: Literal["huber"] = field(default="huber", kw_only=True, repr=False)
    task = "regression"

    def rows(self, z: Array, target: Array, xp: Any) -> tuple[Array, Array]:
        """lᵢ (..., batch) and ∂lᵢ/∂z (..., batch, n_out)."""
        d = z - xp.astype(target, z.dtype)
        inner = xp.clip(d, -self.delta, self.delta)
        # with c = clip(d), h(d) = c (d - c/2) holds on both sides of δ
        return xp.mean(inner * (d - 0.5 * inner), axis=-1), inner / z.shape[-1]

    def predict(self, logits: Array, xp: Any) -> Array:
        """The outputs themselves, (..., batch, n_out)."""
        return wide(logits, xp)

    def combined(self, z: Array, xp: Any) -> Array:
        """The mean of the outputs, (..., n_out)."""
        return xp.mean(z, axis=-2)


_POISSON_TANGENT = 50.0


@spec
class Poisson(Loss):
    """lᵢ = meanₖ (r(z) - t z), the Poisson deviance up to terms in t, for counts t ≥ 0; ∂lᵢ/∂z = (r'(z) - t)/K.

    The rate is r(z) = e^z, continued by its tangent above z = 50, where PyTorch's would overflow in float32 from 89 on.
    target: counts t (batch, n_out).

    >>> import numpy as np
    >>> value, dlogits = Poisson()(np.array([[0.0]]), np.array([[3.0]]), None, np)
    >>> dlogits.tolist()  # the rate 1 less the count 3
    [[-2.0]]
    """

    kind: Literal["poisson"] = field(default="poisson", kw_only=True, repr=False)
    task = "regression"

    def rows(self, z: Array, target: Array, xp: Any) -> tuple[Array, Array]:
        """lᵢ (..., batch) and ∂lᵢ/∂z (..., batch, n_out)."""
        t = xp.astype(target, z.dtype)
        slope = xp.exp(xp.minimum(z, _POISSON_TANGENT))
        return xp.mean(self.predict(z, xp) - t * z, axis=-1), (slope - t) / z.shape[-1]

    def predict(self, logits: Array, xp: Any) -> Array:
        """Rates r(z), (..., batch, n_out)."""
        z = wide(logits, xp)
        return xp.exp(xp.minimum(z, _POISSON_TANGENT)) * (1 + xp.maximum(z - _POISSON_TANGENT, 0.0))

    def combined(self, z: Array, xp: Any) -> Array:
        """The logarithm of the mean rate, or the point of the tangent that has it."""
        top = xp.exp(xp.zeros_like(z[..., 0, :]) + _POISSON_TANGENT)
        beyond = xp.mean(self.predict(z, xp), axis=-2) / top  # (..., n_out)
        below = _log_mean(xp.minimum(z, _POISSON_TANGENT), xp)
        return xp.where(beyond > 1, _POISSON_TANGENT - 1 + beyond, below)


def _log_mean(logs: Array, xp: Any) -> Array:
    """log meanₖ e^lₖ of logarithms (..., k, n_out), the largest taken out first."""
    largest = xp.max(logs, axis=-2, keepdims=True)
    return xp.log(xp.mean(xp.exp(logs - largest), axis=-2)) + largest[..., 0, :]


AnyLoss = Annotated[Loss, OwnOr(SoftmaxCrossEntropy | SigmoidCrossEntropy | SquaredError | Huber | Poisson)]


def default_loss(task: str) -> Loss:
    """Softmax cross-entropy for classes, sigmoid cross-entropy for several labels a row, squared error for numbers."""
    return {
        "classification": SoftmaxCrossEntropy(),
        "multilabel": SigmoidCrossEntropy(),
        "regression": SquaredError(),
    }[task]
