"""From an estimator's parameters to the values that `train` takes; whatever cannot work is refused here, by name."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from chainrule.backends import Compute
from chainrule.errors import ConfigError
from chainrule.layers import ReLU
from chainrule.losses import Huber, Loss, Poisson, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from chainrule.network import Network, kind_of, mlp
from chainrule.optim import (
    SGD,
    Adam,
    AdamW,
    Constant,
    Cosine,
    CosLog,
    Exponential,
    FlatCosine,
    OneCycle,
    Optimizer,
    RMSprop,
    Schedule,
    audit_rule,
)
from chainrule.optim import Step as StepSchedule
from chainrule.runs import Hook
from chainrule.spec import refuse_class
from chainrule.training import Evaluation
from chainrule.training.measure import Row

Params = Mapping[str, Any]
"""What `get_params` gives."""

AUTO_BATCH = 200
"""Rows of a batch where `batch_size` is "auto", or all where there are fewer: scikit-learn's."""

SHORT = 1e10
"""Operations of a fit that are done in about a second, so that float64 costs nobody anything."""

SCORE = "validation_score"
"""The column of history that a scorer fills."""

_ACTIVATIONS = {"logistic": "sigmoid", "identity": "relu"}
_OPTIMIZERS: dict[str, Any] = {
    "adam": Adam,
    "sgd": lambda lr: SGD(lr=lr, momentum=0.9, nesterov=True),
    "adamw": AdamW,
    "rmsprop": RMSprop,
}
_SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant, "exponential": Exponential, "step": StepSchedule, "cosine": Cosine, "one_cycle": OneCycle,
    "coslog": CosLog, "flat_cosine": FlatCosine,
}  # fmt: skip
_REGRESSIONS: dict[str, type[Loss]] = {"squared_error": SquaredError, "huber": Huber, "poisson": Poisson}


def check_switches(params: Params) -> None:
    """Refuse what is no bool where one is wanted: "no" is true to Python."""
    for name in ("early_stopping", "standardise", "warm_start"):
        if not isinstance(params[name], bool | np.bool):
            raise ConfigError(f"{name} is {params[name]!r}; expected True or False")


def integer(params: Params, name: str, low: int = 1) -> int:
    """The whole number of this name, at least `low`."""
    value = params[name]
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < low:
        raise ConfigError(f"{name} is {value!r}; expected a whole number of at least {low}")
    return int(value)


def number(params: Params, name: str, high: float = float("inf"), *, above: bool = False) -> float:
    """The number of this name, from 0, or `above` it, to below `high`."""
    value = params[name]
    fits = not isinstance(value, bool) and isinstance(value, Real) and 0 <= float(value) < high
    if not fits or (above and value == 0):
        if high < float("inf"):
            expected = f"above 0 and below {high:g}" if above else f"from 0 to below {high:g}"
        else:
            expected = "above 0" if above else "of at least 0"
        raise ConfigError(f"{name} is {value!r}; expected a number {expected}")
    return float(value)


def network(params: Params) -> Network:
    """The network, without the widths that the data decide."""
    name = params["activation"]
    linear = isinstance(name, str) and name == "identity"
    between = _ACTIVATIONS.get(name, name) if isinstance(name, str) else name
    found = mlp(_hidden(params["hidden_layer_sizes"]), activation=between, dropout=params["dropout"],
                norm=params["norm"], init="glorot" if linear else None,
                members=integer(params, "n_members") if _shared(params) else 1)  # fmt: skip
    return Network(tuple(layer for layer in found.layers if not isinstance(layer, ReLU))) if linear else found


def _hidden(value: Any) -> tuple[int, ...]:
    widths: Any = [value] if isinstance(value, Integral) else value
    if not isinstance(widths, Sequence | np.ndarray) or not all(
        isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in widths
    ):
        raise ConfigError(f"hidden_layer_sizes is {value!r}; expected whole numbers above 0, one a layer")
    return tuple(int(n) for n in widths)


def n_networks(params: Params) -> int:
    """How many networks are trained: one where the members share their weights."""
    return 1 if _shared(params) else integer(params, "n_members")


def _shared(params: Params) -> bool:
    if params["members"] not in ("separate", "shared"):
        raise ConfigError(f"members is {params['members']!r}; expected 'separate' or 'shared'")
    return bool(params["members"] == "shared" and integer(params, "n_members") > 1)


def batch_size(params: Params, n_train: int) -> int:
    """Rows of a batch; no more than there are."""
    return min(AUTO_BATCH if params["batch_size"] == "auto" else integer(params, "batch_size"), max(n_train, 1))


def optimizer(params: Params) -> Any:
    """The named rule at `learning_rate_init`, or the `Optimizer` given, as it is."""
    solver = params["solver"]
    if isinstance(solver, Optimizer):
        audit_rule(solver)
        return solver
    refuse_class("solver", solver, Optimizer)
    if not isinstance(solver, str) or solver not in _OPTIMIZERS:
        advice = "; for small data take 'adam' with all rows in one batch" if solver == "lbfgs" else ""
        raise ConfigError(f"solver is {solver!r}; expected {_names(_OPTIMIZERS)}, or an Optimizer{advice}")
    return _OPTIMIZERS[solver](lr=number(params, "learning_rate_init", above=True))


def check_solver(params: Params, slots: Sequence[Mapping[str, Sequence[Any]] | None]) -> None:
    """Refuse a solver that cannot go on with the arrays of the one before it."""
    n = len(optimizer(params).slots)
    if any(len(arrays) != n for held in slots for arrays in (held or {}).values()):
        raise ConfigError(
            f"solver is {params['solver']!r}, which cannot go on from the arrays of the last partial_fit's; "
            "set that one again, or begin anew with fit"
        )


def callbacks(params: Params) -> tuple[Hook, ...]:
    """The hooks given."""
    value = params["callbacks"]
    hooks = () if value is None else value
    if not isinstance(hooks, Sequence) or not all(isinstance(hook, Hook) for hook in hooks):
        raise ConfigError(f"callbacks is {value!r}; expected a list of Hooks, or None")
    return tuple(hooks)


def schedule(params: Params) -> Any:
    """The named schedule with its defaults, or the `Schedule` given."""
    value = params["schedule"]
    if isinstance(value, Schedule):
        return value
    refuse_class("schedule", value, Schedule)
    if not isinstance(value, str) or value not in _SCHEDULES:
        raise ConfigError(f"schedule is {value!r}; expected {_names(_SCHEDULES)}, or a Schedule")
    return _SCHEDULES[value]()


def regression_loss(params: Params) -> Loss:
    """The named loss of a regression, or the one given."""
    value = params["loss"]
    if isinstance(value, str) and value in _REGRESSIONS:
        return _REGRESSIONS[value]()
    if isinstance(value, Loss) and getattr(value, "task", "regression") == "regression":
        return value
    refuse_class("loss", value, Loss)
    raise ConfigError(f"loss is {value!r}; expected {_names(_REGRESSIONS)}, or a loss for numbers such as Huber(0.5)")


def classification_loss(params: Params, *, multilabel: bool) -> Loss:
    """Cross-entropy with its link: softmax, or a sigmoid a label."""
    smoothing = number(params, "label_smoothing", 1.0)
    if multilabel and smoothing:
        raise ConfigError(
            f"label_smoothing is {smoothing:g} for several labels a row; it is for one class a row, set 0"
        )
    return SigmoidCrossEntropy() if multilabel else SoftmaxCrossEntropy(smoothing)


def penalty(params: Params, loss: Loss, n_out: int, rows: float) -> float:
    """λ of our penalty λ Σ‖W‖²: `penalty`, or what `alpha` amounts to in batches of `rows` rows (or so much weight).

    scikit-learn descends Σᵢ lᵢ/n + α/(2n) Σ‖W‖² over a batch of n rows. Its lᵢ is c times ours: c = 1 for classes, K/2
    for the squared error of K outputs, K for all that we average over K outputs and it sums. So λ = α/(2 c n).
    """
    if params["penalty"] is not None:
        return number(params, "penalty")
    c = {"softmax_cross_entropy": 1.0, "squared_error": n_out / 2}.get(kind_of(loss), float(n_out))
    return number(params, "alpha") / (2 * c * rows)


def clip_norm(params: Params) -> float | None:
    """What the gradient's length is cut to, or None."""
    value = params["clip_norm"]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < float("inf"):
        raise ConfigError(f"clip_norm is {value!r}; expected a number above 0, or None")
    return float(value)


def compute(params: Params, network: Network, n_rows: int) -> Compute:
    """Where to compute. precision "auto": float64 where a fit is short all the same, else what `train` chooses."""
    precision, device, flops = params["precision"], params["device"], 3 * network.flops_per_row * n_rows
    if precision == "auto" and device in ("auto", "cpu") and flops * integer(params, "max_iter") < SHORT:
        precision = "float64"
    return Compute(device=device, precision=precision)


def evaluation(params: Params, score: str, *, validated: bool) -> Evaluation:
    """What is monitored: the training's loss, or with `early_stopping` the validation score, whose best epoch is kept.

    score: the metric behind the task's own score. validated: whether there are validation rows.
    """
    scoring, patience = params["scoring"], integer(params, "n_iter_no_change") + 1  # the first one is the best so far
    tolerance, metrics = number(params, "tol"), (score,) if validated else ()
    if not params["early_stopping"]:
        return Evaluation(metrics=metrics, train_metrics=False, monitor="objective", patience=patience,
                          tolerance=tolerance, ties=True)  # fmt: skip
    monitor = {None: f"validation_{score}", "loss": "validation_loss"}.get(scoring, SCORE)
    return Evaluation(metrics=metrics, train_metrics=False, monitor=monitor, patience=patience, tolerance=tolerance,
                      ties=True, mode="max" if monitor == SCORE else "auto", keep="best")  # fmt: skip


def check_scores(params: Params, monitor: str, histories: Sequence[Sequence[Row]]) -> None:
    """Refuse a validation score that chose no epoch, since none of its values is finite."""
    for history in histories if params["early_stopping"] else ():
        scores = [row[monitor] for row in history]
        if not np.isfinite(scores).any():
            raise ConfigError(
                f"scoring is {params['scoring']!r}, and the score of the validation rows was {scores[0]} after every "
                f"one of {len(scores)} epochs; expected numbers, give more validation rows or another scorer"
            )


def _names(known: Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in known)
