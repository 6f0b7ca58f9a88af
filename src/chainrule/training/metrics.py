"""Metrics of predictions against targets, over all rows at once."""

from collections.abc import Callable, Iterable
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.data.dataset import Task
from chainrule.data.preprocessing import Affine
from chainrule.errors import ConfigError
from chainrule.intervals import ANY, Bounds
from chainrule.losses import Huber, Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError

Values = NDArray[Any]


class Metric(NamedTuple):
    """function(target, prediction, weight), on the host. prediction: classes (n,), probabilities of labels (n, K), or
    outputs (n, K) of a regression.
    """

    function: Callable[[Values, Values, Values | None], float]
    greater_is_better: bool
    tasks: tuple[Task, ...]
    bounds: Bounds = (0.0, 1.0)


def _accuracy(target: Values, classes: Values, weight: Values | None) -> float:
    return float(np.average(classes == target, weights=weight))


def _label_accuracy(target: Values, p: Values, weight: Values | None) -> float:
    return float(np.average(((p >= 0.5) == target).mean(axis=1), weights=weight))


def _rmse(target: Values, p: Values, weight: Values | None) -> float:
    return float(np.sqrt(np.average(((p - target) ** 2).mean(axis=1), weights=weight)))


def _mae(target: Values, p: Values, weight: Values | None) -> float:
    return float(np.average(np.abs(p - target).mean(axis=1), weights=weight))


def _r2(target: Values, p: Values, weight: Values | None) -> float:
    from sklearn.metrics import r2_score

    defined = len(target) > 1 and np.isfinite(p).all()
    return float(r2_score(target, p, sample_weight=weight)) if defined else float("nan")


def _of_sklearn(name: str, **options: Any) -> Callable[..., float]:
    def compute(target: Values, p: Values, weight: Values | None) -> float:
        import sklearn.metrics

        prediction = p >= 0.5 if target.ndim > 1 else p
        return float(getattr(sklearn.metrics, name)(target, prediction, sample_weight=weight, **options))

    return compute


_CLASSES: tuple[Task, ...] = ("classification", "multilabel")
METRICS: dict[str, Metric] = {
    "accuracy": Metric(_accuracy, True, ("classification",)),
    "label_accuracy": Metric(_label_accuracy, True, ("multilabel",)),
    "rmse": Metric(_rmse, False, ("regression",), (0.0, inf)),
    "mae": Metric(_mae, False, ("regression",), (0.0, inf)),
    "r2": Metric(_r2, True, ("regression",), (-inf, 1.0)),
    "balanced_accuracy": Metric(_of_sklearn("balanced_accuracy_score"), True, ("classification",)),
    "f1_macro": Metric(_of_sklearn("f1_score", average="macro", zero_division=0.0), True, _CLASSES),
    "f1_micro": Metric(_of_sklearn("f1_score", average="micro", zero_division=0.0), True, _CLASSES),
}
DEFAULT: dict[Task, tuple[str, ...]] = {
    "classification": ("accuracy",),
    "multilabel": ("label_accuracy",),
    "regression": ("rmse", "mae"),
}


def names(task: Task, more: Iterable[str] = ()) -> tuple[str, ...]:
    """The metrics of a run: the task's own and `more`. Raises a ConfigError for one that the task does not have."""
    for name in more:
        if name not in METRICS or task not in METRICS[name].tasks:
            known = ", ".join(key for key, metric in METRICS.items() if task in metric.tasks)
            raise ConfigError(f"metric {name!r} is not known for {task}; the metrics are {known}")
    return tuple(dict.fromkeys([*DEFAULT[task], *more]))


def greater_is_better(column: str) -> bool:
    """Whether the larger value of a history column such as "validation_accuracy" is the better one."""
    metric = METRICS.get(column.partition("_")[2])
    return metric.greater_is_better if metric else False


_NEVER_NEGATIVE = (SoftmaxCrossEntropy, SigmoidCrossEntropy, SquaredError, Huber)


def bounds(name: str, losses: Iterable[Loss | None] = ()) -> Bounds:
    """Between what a metric lies, by its name or by that of a history column; (-inf, inf) for what is no metric.

    losses: of the runs, None for one that is not known. A Poisson loss, or one of a user's own, may be negative.

    >>> bounds("validation_accuracy"), bounds("accuracy"), bounds("validation_loss")
    ((0.0, 1.0), (0.0, 1.0), (-inf, inf))
    >>> bounds("validation_loss", [Huber(), SquaredError()])
    (0.0, inf)
    """
    if name.rpartition("_")[2] == "loss":
        kinds = {type(loss) for loss in losses}
        return (0.0, inf) if kinds and kinds <= set(_NEVER_NEGATIVE) else ANY
    metric = METRICS.get(name) or METRICS.get(name.partition("_")[2])
    return metric.bounds if metric else ANY


def score(
    z: Values, y: Values, loss: Loss, target: Affine, metrics: Iterable[str], weight: Values | None = None
) -> dict[str, float]:
    """The loss and the named metrics of logits z (n_rows, n_out) on the host against the targets y, over all rows.

    target: standardises regression targets for the loss; metrics are in the targets' own units.
    """
    value, prediction = judged(z, y, loss, target, weight, np, lambda values: values)
    return scores(float(value), prediction, y, target, metrics, weight)


def judged(z: Array, y: Values, loss: Loss, target: Affine, weight: Values | None, xp: Any,
           array: Callable[[Values], Array]) -> tuple[Array, Array]:  # fmt: skip
    """The loss (...) of logits z (..., n_rows, n_out), and what is predicted, as metrics take it but for the units.

    array: moves what is on the host to where z is.
    """
    meant = y if loss.task == "classification" else y.reshape(len(y), -1)  # (n_rows, n_out)
    meant = target(meant) if loss.task == "regression" else meant
    p = loss.predict(z, xp)  # (..., n_rows, n_out)
    value, _ = loss(z, array(meant), None if weight is None else array(weight.astype(np.float64)), xp)
    return value, xp.argmax(p, axis=-1) if loss.task == "classification" else p


def scores(loss: float, prediction: Values, y: Values, target: Affine, metrics: Iterable[str],
           weight: Values | None) -> dict[str, float]:  # fmt: skip
    """The loss and the named metrics of what was `judged`, on the host."""
    weight = None if weight is None else weight.astype(np.float64)
    if prediction.ndim > 1:
        prediction, y = target.back(prediction), y.reshape(len(y), -1)  # (n_rows, n_out)
    return {"loss": loss} | {name: METRICS[name].function(y, prediction, weight) for name in metrics}
