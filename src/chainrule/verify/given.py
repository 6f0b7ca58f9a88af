"""What the check functions are given, refused where it cannot be checked or would be called a wrong gradient."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import ConfigError, DataError
from chainrule.losses import Huber, Poisson, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from chainrule.spec import expect


def expect_inputs(x: Any, n_in: int) -> NDArray[np.float64]:
    """Rows x (batch, n_in) of numbers."""
    found = _numbers("x", x)
    if found.ndim != 2 or found.shape[1] != n_in or not len(found):
        raise DataError(f"x has shape {found.shape}; expected (batch, {n_in}), a row for each target")
    return found


def expect_targets(loss: object, target: Any, n_out: int, batch: int | None = None) -> int:
    """Targets as a built-in loss takes them; of one's own loss they are its own affair. Returns how many rows."""
    expect("target", target, isinstance(target, np.ndarray), "an array, such as np.array([0, 1])")
    if target.ndim == 0 or not len(target):
        raise DataError(f"target has shape {target.shape}; expected at least one row")
    rows = len(target) if batch is None else batch
    if isinstance(loss, SoftmaxCrossEntropy):
        _expect_classes(target, n_out, rows)
    elif isinstance(loss, SigmoidCrossEntropy | SquaredError | Huber | Poisson):
        _expect_shape(target, ((rows, n_out),))
    return rows


def expect_weights(weight: Any, rows: int) -> NDArray[np.float64] | None:
    """None, or weights (rows,)."""
    if weight is None:
        return None
    found = _numbers("weight", weight)
    if found.shape != (rows,):
        raise DataError(f"weight has shape {found.shape}; expected ({rows},), a weight for each row")
    return found


def _expect_classes(target: NDArray[Any], n_out: int, rows: int) -> None:
    _expect_shape(target, ((rows,), (rows, n_out)))
    if target.ndim == 2:
        wrong, expected = ~np.isclose(target.sum(axis=1), 1), "probabilities whose rows sum to 1"
    else:
        wrong, expected = ~np.isin(target, np.arange(n_out)), f"class indices from 0 to {n_out - 1}"
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(f"target is {target[row].tolist()} at row {row}; expected {expected}")


def _expect_shape(target: NDArray[Any], shapes: tuple[tuple[int, ...], ...]) -> None:
    if target.shape not in shapes or target.dtype.kind not in "biuf":
        expected = " or ".join(map(str, shapes))
        raise DataError(f"target has shape {target.shape} of {target.dtype}; expected numbers of shape {expected}")


def _numbers(name: str, value: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} is {value!r}; expected an array of numbers") from None
