"""The `Dataset` value: all rows of a data set in their own dtype, the targets, and what they are called."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError

Task = Literal["classification", "multilabel", "regression"]


@dataclass(frozen=True)
class Origin:
    """What `read` was asked for, so that a run can say where its data are."""

    source: str
    path: str | None = None
    target: str | None = None
    task: Task | None = None
    image_size: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows and targets of one data set, the official test rows, if there are any, at the end.

    X: (n_rows, n_features) in its own dtype; images stay uint8, one flattened image a row.
    y: classification (n_rows,) int64 labels 0..K-1; multilabel (n_rows, K) of 0 and 1; regression (n_rows,) or
        (n_rows, K) float64.
    task: what the targets are. target_names: class names or names of the outputs, in order.
    feature_names: of the columns, or empty. row_shape: shape of one row before flattening, (3, 32, 32) for CIFAR-10.
    n_test: how many of the last rows are the official test set. note: what a reader must know ("JPEG copies").
    weight: of each row in the loss, (n_rows,), at least 0; None weighs all rows alike. origin: set by `read`.
    """

    name: str
    X: NDArray[Any]
    y: NDArray[Any]
    task: Task
    target_names: tuple[str, ...]
    feature_names: tuple[str, ...] = ()
    row_shape: tuple[int, ...] = ()
    n_test: int = 0
    note: str = ""
    weight: NDArray[Any] | None = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        """Refuse data that cannot be trained on, naming row and column."""
        check(self)

    @property
    def n_rows(self) -> int:
        """All rows, the official test rows among them."""
        return int(self.X.shape[0])

    @property
    def n_features(self) -> int:
        """Columns of X."""
        return int(self.X.shape[1])

    @property
    def n_outputs(self) -> int:
        """Outputs that a network for these targets needs: classes, labels or target columns."""
        return len(self.target_names)

    @cached_property
    def digest(self) -> str:
        """sha256 over X and y, their dtypes and shapes: the same rows in the same order give the same text."""
        h = sha256()
        for array in (self.X, self.y) if self.weight is None else (self.X, self.y, self.weight):
            h.update(f"{array.dtype.str}{array.shape}".encode())
            h.update(np.ascontiguousarray(array).view(np.uint8).data)
        return h.hexdigest()

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.row_shape or (self.n_features,)))
        test = f", the last {self.n_test:,} official test rows" if self.n_test else ""
        noun = "class" if self.task == "classification" else "output"
        plural = "" if self.n_outputs == 1 else "es" if noun == "class" else "s"
        return (
            f"Dataset({self.name!r}: {self.n_rows:,} rows of {shape} {self.X.dtype}{test}; "
            f"{self.task} with {self.n_outputs} {noun}{plural})"
        )


def check(data: Dataset) -> None:
    """Raise a DataError for rows or targets that no training could use."""
    name, X, y = data.name, data.X, data.y
    for what, values in (("X", X), ("y", y)):
        if not isinstance(values, np.ndarray):
            raise DataError(f"{name}: {what} is a {type(values).__name__}; expected a NumPy array.")
    if data.task not in _CHECKS:
        raise DataError(f"{name}: task {data.task!r} is not known; expected one of {', '.join(_CHECKS)}.")
    if len(set(data.target_names)) != len(data.target_names):
        raise DataError(f"{name}: target_names {data.target_names} has a name twice; each output needs its own.")
    if X.ndim != 2:
        raise DataError(f"{name}: X has shape {X.shape}; expected (n_rows, n_features). Flatten each row first.")
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise DataError(f"{name}: X has shape {X.shape}; expected at least one row and one column.")
    if X.dtype.kind not in "biuf" or X.dtype.itemsize > 8:
        raise DataError(f"{name}: X has dtype {X.dtype}; expected numbers. Encode texts and dates as numbers first.")
    if len(y) != len(X):
        raise DataError(f"{name}: X has {len(X):,} rows but y has {len(y):,}; they must be of the same length.")
    if not 0 <= data.n_test < len(X):
        raise DataError(
            f"{name}: n_test is {data.n_test} of {len(X):,} rows; at least one row must be left to train on."
        )
    if data.row_shape and int(np.prod(data.row_shape)) != X.shape[1]:
        raise DataError(f"{name}: row_shape {data.row_shape} does not fit the {X.shape[1]} columns of X.")
    if data.feature_names and len(data.feature_names) != X.shape[1]:
        raise DataError(f"{name}: {len(data.feature_names)} feature names for {X.shape[1]} columns of X.")
    if data.weight is not None:
        _check_weights(data, data.weight)
    _check_finite(data, X, "X", data.feature_names)
    _CHECKS[data.task](data)


def _check_finite(data: Dataset, values: NDArray[Any], what: str, columns: tuple[str, ...]) -> None:
    if values.dtype.kind != "f":
        return
    block = max(1, 2**22 // max(1, values[0].size))
    for start in range(0, len(values), block):
        finite = np.isfinite(values[start : start + block])
        if not finite.all():
            place = np.argwhere(~finite)[0]
            row, at = start + int(place[0]), tuple(int(i) for i in place[1:])
            column = f", column {columns[at[0]]!r}" if columns and at else f", column {at[0]}" if at else ""
            value = values[(row, *at)]
            raise DataError(
                f"{data.name}: {what} is {value} at row {row}{column}; expected finite numbers. "
                "Remove the row or fill the gap before training."
            )


def _check_weights(data: Dataset, weight: NDArray[Any]) -> None:
    if weight.shape != (len(data.X),) or weight.dtype.kind not in "iuf":
        raise DataError(
            f"{data.name}: weights have shape {weight.shape} and dtype {weight.dtype}; "
            f"expected numbers ({len(data.X)},)."
        )
    _check_finite(data, weight, "weight", ())
    if (weight < 0).any():
        row = int(np.argmax(weight < 0))
        raise DataError(f"{data.name}: the weight at row {row} is {weight[row]}; weights must be at least 0.")
    if not weight.any():
        raise DataError(f"{data.name}: every weight is 0; at least one row must count.")


def _check_labels(data: Dataset) -> None:
    y, k = data.y, data.n_outputs
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise DataError(f"{data.name}: labels have shape {y.shape} and dtype {y.dtype}; expected integers (n_rows,).")
    outside = np.flatnonzero((y < 0) | (y >= k))
    if outside.size:
        row = int(outside[0])
        raise DataError(f"{data.name}: label {int(y[row])} at row {row} is outside 0..{k - 1} ({k} classes).")
    if np.unique(y).size < 2:
        raise DataError(
            f"{data.name}: every row has the label {data.target_names[int(y[0])]!r}; a classifier needs two classes."
        )


def _check_multilabel(data: Dataset) -> None:
    y = data.y
    if y.ndim != 2 or y.shape[1] != data.n_outputs:
        raise DataError(f"{data.name}: labels have shape {y.shape}; expected (n_rows, {data.n_outputs}).")
    wrong = np.argwhere((y != 0) & (y != 1))
    if wrong.size:
        row, column = (int(i) for i in wrong[0])
        raise DataError(f"{data.name}: label {y[row, column]} at row {row}, column {column}; expected 0 or 1.")


def _check_regression(data: Dataset) -> None:
    y = data.y
    if y.dtype.kind != "f" or (y.shape[1] if y.ndim == 2 else 1) != data.n_outputs or y.ndim > 2:
        raise DataError(
            f"{data.name}: targets have shape {y.shape} and dtype {y.dtype}; expected floats (n_rows,) "
            f"or (n_rows, {data.n_outputs})."
        )
    _check_finite(data, y, "y", data.target_names)


_CHECKS = {"classification": _check_labels, "multilabel": _check_multilabel, "regression": _check_regression}
