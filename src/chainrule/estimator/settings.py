"""From an estimator's parameters to the values that `train` takes; whatever cannot work is refused here, by name."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from chainrule.backends import Compute
from chainrule.backends.choice import SMALL_STEP
from chainrule.errors import ConfigError
from chainrule.layers import ReLU
from chainrule.losses import AnyLoss, Huber, Loss, Poisson, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from chainrule.network import Network, mlp
from chainrule.optim import SGD, Adam, AdamW, Constant, Cosine, Exponential, OneCycle, Optimizer, RMSprop, Schedule, Step

Parameters = Mapping[str, Any]
"""What `get_params` gives."""

AUTO_BATCH = 200
"""Rows of a batch where `batch_size` is "auto", or all where there are fewer: scikit-learn's."""

_ACTIVATIONS = {"logistic": "sigmoid", "identity": "relu"}
_OPTIMIZERS: dict[str, Any] = {
    "adam": Adam,
    "sgd": lambda lr: SGD(lr=lr, momentum=0.9, nesterov=True),
    "adamw": AdamW,
    "rmsprop": RMSprop,
}
_SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant, "exponential": Exponential, "step": Step, "cosine": Cosine, "one_cycle": OneCycle,
}  # fmt: skip
_REGRESSIONS: dict[str, type[Loss]] = {"squared_error": SquaredError, "huber": Huber, "poisson": Poisson}


def integer(params: Parameters, name: str, low: int = 1) -> int:
    """The whole number of this name, at least `low`."""
    value = params[name]
    if isinstance(value, bool) or not isinstance(value, Integral) or value < low:
        raise ConfigError(f"{name} is {value!r}; expected a whole number of at least {low}")
    return int(value)


def number(params: Parameters, name: str, low: float = 0.0, high: float = float("inf")) -> float:
    """The number of this name, from `low` to below `high`."""
    value = params[name]
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= value < high:
        raise ConfigError(f"{name} is {value!r}; expected a number from {low:g} to below {high:g}")
    return float(value)


def network(params: Parameters) -> Network:
    """The network, without the widths that the data decide."""
    name = params["activation"]
    between = _ACTIVATIONS.get(name, name) if isinstance(name, str) else name
    init = "glorot" if name == "identity" else None
    found = mlp(_hidden(params), activation=between, dropout=params["dropout"], norm=params["norm"], init=init)
    if name == "identity":
        return Network(tuple(layer for layer in found.layers if not isinstance(layer, ReLU)))
    return found


def _hidden(params: Parameters) -> tuple[int, ...]:
    value = params["hidden_layer_sizes"]
    widths = [value] if isinstance(value, Integral) else value
    if not isinstance(widths, (list, tuple, np.ndarray)) or not all(
        isinstance(n, Integral) and not isinstance(n, bool) and n > 0 for n in widths
    ):
        raise ConfigError(f"hidden_layer_sizes is {value!r}; expected whole numbers above 0, one a layer")
    return tuple(int(n) for n in widths)


def batch_size(params: Parameters, n_train: int) -> int:
    """Rows of a batch; no more than there are."""
    return min(AUTO_BATCH if params["batch_size"] == "auto" else integer(params, "batch_size"), n_train)


def optimizer(params: Parameters) -> Any:
    """The named rule at `learning_rate_init`, or the `Optimizer` given, as it is."""
    solver = params["solver"]
    if isinstance(solver, Optimizer):
        return solver
    if not isinstance(solver, str) or solver not in _OPTIMIZERS:
        more = "; 'lbfgs' is not built, 'adam' with batch_size=len(X) comes closest" if solver == "lbfgs" else ""
        raise ConfigError(f"solver is {solver!r}; expected {_names(_OPTIMIZERS)} or an Optimizer{more}")
    return _OPTIMIZERS[solver](lr=number(params, "learning_rate_init"))


def schedule(params: Parameters) -> Any:
    """The named schedule with its defaults, or the `Schedule` given."""
    value = params["schedule"]
    if isinstance(value, Schedule):
        return value
    if not isinstance(value, str) or value not in _SCHEDULES:
        raise ConfigError(f"schedule is {value!r}; expected {_names(_SCHEDULES)} or a Schedule")
    return _SCHEDULES[value]()


def regression_loss(params: Parameters) -> AnyLoss:
    """The named loss of a regression, or the one given."""
    value = params["loss"]
    if isinstance(value, str) and value in _REGRESSIONS:
        return _REGRESSIONS[value]()  # type: ignore[return-value]
    if isinstance(value, Loss) and value.task == "regression":
        return value  # type: ignore[return-value]
    raise ConfigError(f"loss is {value!r}; expected {_names(_REGRESSIONS)} or a loss for numbers, such as Huber(0.5)")


def classification_loss(params: Parameters, *, multilabel: bool) -> AnyLoss:
    """Cross-entropy with its link: softmax, or a sigmoid a label."""
    smoothing = number(params, "label_smoothing", 0.0, 1.0)
    if multilabel and smoothing:
        raise ConfigError(f"label_smoothing is {smoothing} for several labels a row; it is for one class a row, set 0")
    return SigmoidCrossEntropy() if multilabel else SoftmaxCrossEntropy(smoothing)


def penalty(params: Parameters, loss: Loss, n_out: int, rows: float) -> float:
    """λ of our penalty λ Σ‖W‖²: `penalty`, or what `alpha` is for batches of `rows` rows (their weights' sum).

    scikit-learn minimises Σᵢ lᵢ/n + α/(2n) Σ‖W‖² over a batch of n rows; its lᵢ is c times ours, with c = 1 for classes,
    K for K labels a row, K/2 for the squared error of K outputs, K for others. So λ = α/(2 c n).
    """
    if params["penalty"] is not None:
        return number(params, "penalty")
    c = {"softmax_cross_entropy": 1.0, "squared_error": n_out / 2}.get(loss.kind, float(n_out))
    return number(params, "alpha") / (2 * c * rows)


def compute(params: Parameters, network: Network) -> Compute:
    """Where to compute. precision "auto": float64 where a step of 200 rows is small on the CPU, else `train`'s choice."""
    precision, device = params["precision"], params["device"]
    if precision == "auto" and device in ("auto", "cpu") and 3 * network.flops_per_row * AUTO_BATCH < SMALL_STEP:
        precision = "float64"
    return Compute(device=device, precision=precision)


def _names(known: Mapping[str, Any]) -> str:
    return ", ".join(repr(name) for name in known)
