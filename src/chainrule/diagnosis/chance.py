"""The chance level: what the best constant prediction scores, and how much a score on few rows may stray from it."""

from collections.abc import Sequence
from math import nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.losses import Huber, Poisson, SoftmaxCrossEntropy
from chainrule.spec import is_own
from chainrule.training.measure import Row
from chainrule.training.metrics import score
from chainrule.training.plan import Plan

Part = str
"""A part of the rows that history measures, "train" (the training sample) or "validation"."""


def shares(plan: Plan) -> NDArray[np.float64]:
    """Of each class among the training rows, weighted as the loss weighs them, (n_classes,)."""
    rows, data = plan.rows.train, plan.data
    weight = None if data.weight is None else data.weight[rows].astype(np.float64)
    counts = np.bincount(data.y[rows], weight, minlength=data.n_outputs)
    return counts / max(float(counts.sum()), 1e-300)


def rows_of(plan: Plan, part: Part) -> NDArray[np.int64]:
    """The rows on which history's columns of `part` are computed."""
    return plan.train_sample if part == "train" else plan.rows[part]


def effective_rows(plan: Plan, part: Part) -> float:
    """How many rows of equal weight say as much: (Σw)²/Σw² (Kish 1965); their number where none has a weight."""
    rows = rows_of(plan, part)
    if plan.data.weight is None:
        return float(len(rows))
    weight = plan.data.weight[rows].astype(np.float64)
    return float(weight.sum() ** 2 / max((weight**2).sum(), 1e-300))


def chance(plan: Plan, part: Part, metrics: tuple[str, ...] = ()) -> dict[str, float]:
    """The loss and `metrics` of the best constant prediction on `part`, the constant being fitted on training rows."""
    rows = rows_of(plan, part)
    z = np.tile(_constant_logits(plan), (len(rows), 1))  # (n_rows, n_out)
    weight = None if plan.data.weight is None else plan.data.weight[rows]
    return score(z, plan.data.y[rows], plan.loss, plan.target, metrics, weight)


def floor(plan: Plan, part: Part) -> float:
    """The loss of a perfect prediction.

    It is 0, but for smoothed labels, whose entropy stays, and for Poisson's, which leaves out terms in the target.
    """
    rows, loss = rows_of(plan, part), plan.loss
    if isinstance(loss, SoftmaxCrossEntropy) and loss.label_smoothing:
        k = plan.data.n_outputs
        p = np.full(k, loss.label_smoothing / k) + np.eye(k)[0] * (1 - loss.label_smoothing)
        return float(-(p * np.log(p)).sum())
    if isinstance(loss, Poisson):
        t = np.asarray(plan.targets[rows], dtype=np.float64)  # (n_rows, n_out)
        values = (t - t * np.log(np.where(t > 0, t, 1.0))).mean(axis=1)  # t log t is 0 for t = 0
        weight = None if plan.data.weight is None else plan.data.weight[rows].astype(np.float64)
        return float(np.average(values, weights=weight))
    return 0.0


def explained(plan: Plan, part: Part, value: float) -> float:
    """How far a loss is on the way from chance (0) to a perfect prediction (1), negative where it is worse than chance.

    For squared error that is R². NaN where the constant is already perfect, and for a loss of the user's own.
    """
    if is_own(plan.loss):
        return nan
    best, least = chance(plan, part)["loss"], floor(plan, part)
    return (best - value) / (best - least) if best > least else nan


def falling(history: Sequence[Row]) -> bool:
    """Whether the training loss of the last row is below that of the row before, or of the first interval's batches."""
    before = history[-2].get("train_loss", nan) if len(history) > 1 else history[-1].get("batch_loss", nan)
    return bool(history[-1].get("train_loss", nan) < before)


def _constant_logits(plan: Plan) -> NDArray[np.float64]:
    """(n_out,): the logits that, given for every row, make the training loss smallest (for Huber, nearly so)."""
    loss, rows, tiny = plan.loss, plan.rows.train, 1e-12
    if plan.data.task == "classification":
        smoothing = loss.label_smoothing if isinstance(loss, SoftmaxCrossEntropy) else 0.0
        return np.log(np.maximum((1 - smoothing) * shares(plan) + smoothing / plan.data.n_outputs, tiny))
    y = np.asarray(plan.targets[rows], dtype=np.float64)  # (n_rows, n_out)
    weight = None if plan.data.weight is None else plan.data.weight[rows].astype(np.float64)
    mean: Any = np.average(y, axis=0, weights=weight)
    if plan.data.task == "multilabel":
        p = np.clip(mean, tiny, 1 - tiny)
        return np.asarray(np.log(p / (1 - p)))
    if isinstance(loss, Poisson):
        return np.asarray(np.log(np.maximum(mean, tiny)))
    return np.asarray(np.median(y, axis=0) if isinstance(loss, Huber) else mean)


def share_error(share: float, n: float) -> float:
    """Standard error of a share seen among n rows, that of half a row at least, so that 0 and 1 are not certain."""
    p = min(max(share, 0.5 / n), 1 - 0.5 / n) if n >= 1 else 0.5
    return sqrt(p * (1 - p) / max(n, 1.0))


def loss_error(n: float) -> float:
    """Standard error of a mean of n squared errors, as a share of it: √(2/n), that of normal residuals."""
    return sqrt(2 / max(n, 1.0))
