"""Intervals over rows for the metrics of one trained network: what other rows of the same kind would change."""

from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from chainrule.backprop import Parameters
from chainrule.intervals import cut, proportion_interval
from chainrule.training.evaluate import logits
from chainrule.training.measure import Row
from chainrule.training.metrics import bounds
from chainrule.training.plan import Plan

Values = NDArray[np.float64]


def row_intervals(plan: Plan, parameters: Parameters, row: Row) -> dict[str, list[float]]:
    """95 % intervals [low, high] of the validation metrics in `row`, by their columns, over all validation rows.

    accuracy: Wilson's. loss, label_accuracy, mae: mean ± 1.96 standard errors; rmse: the roots of those ends for the
    squared errors. Metrics that are no mean over rows have none, and where rows are weighted there is none at all.
    """
    data, rows, backend = plan.data, plan.rows.validation, plan.backend
    if data.weight is not None or len(rows) < 2:
        return {}
    with backend.scope():
        held = backend.parameters(parameters)
        X = backend.array(plan.X)
        z = logits(plan.network, plan.loss, held, plan.preprocessing, backend, X, rows)  # (n_rows, n_out)
    found = {f"validation_{name}": _interval(values, name) for name, values in _values(plan, z).items()}
    if "validation_rmse" in row:
        found["validation_rmse"] = [sqrt(end) for end in found.pop("validation_mse")]
    if "validation_accuracy" in row:
        found["validation_accuracy"] = list(proportion_interval(row["validation_accuracy"], len(rows)))
    return {name: interval for name, interval in found.items() if name in row}


def _values(plan: Plan, z: Values) -> dict[str, Values]:
    """What is averaged over rows, (n_rows,), by the metric's name."""
    rows, task, loss = plan.rows.validation, plan.data.task, plan.loss
    found = {"loss": loss.rows(z, plan.targets[rows], np)[0]}
    y, p = plan.data.y[rows].reshape(len(rows), -1), loss.predict(z, np)  # (n_rows, n_out)
    if task == "multilabel":
        found["label_accuracy"] = ((p >= 0.5) == y).mean(axis=1)
    if task == "regression":
        d = plan.target.back(p) - y
        found |= {"mae": np.abs(d).mean(axis=1), "mse": (d * d).mean(axis=1)}
    return found


def _interval(values: Values, name: str) -> list[float]:
    """Mean ± 1.96 standard errors of values (n_rows,), cut where the metric ends; and at 0 where no row is below."""
    low, high = bounds(name)
    within = (max(low, 0.0) if values.min() >= 0 else low, high)
    half = NormalDist().inv_cdf(0.975) * float(values.std(ddof=1)) / sqrt(len(values))
    mean = float(values.mean())
    return list(cut(mean - half, mean + half, within))
