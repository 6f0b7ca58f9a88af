"""The `Dataset` value: all rows of a data set in their own dtype, the targets, and what they are called."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from reprlib import repr as short
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chainrule.data.tables import Categories, Table
from chainrule.errors import DataError

Task = Literal["classification", "multilabel", "regression"]
"""What the targets are: one class a row, any of several classes, numbers."""


@dataclass(frozen=True)
class Origin:
    """What `read` was asked for, so that a run can say where its data are."""

    source: str
    path: str | None = None
    target: str | None = None
    task: Task | None = None
    image_size: tuple[int, int] | None = None
    categorical: tuple[str, ...] = ()


@dataclass(frozen=True)
class Excerpt:
    """Rows of a larger set that is streamed: n_rows of it, its digest, and how many of the rows, one part after the
    other, are a sample of the training rows, the validation rows and the test rows.
    """

    n_rows: int
    digest: str
    n_train: int
    n_validation: int
    n_test: int


DATASET = "a Dataset: what `read` gives, or Dataset(name, X, y, ...)"
"""What a message asks for in the place of what is none."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows and targets of one data set, the official test rows, if there are any, at the end.

    X: (n_rows, n_features) in its own dtype; images stay uint8, one flattened image a row.
    y: classification (n_rows,) labels 0..K-1; multilabel (n_rows, K) of 0 and 1; regression (n_rows,) or
        (n_rows, K). Kept as int64, or float64 where they are floats.
    task: what the targets are. target_names: class names or names of the outputs, in order.
    feature_names: of the columns, or empty. row_shape: shape of one row before flattening, (3, 32, 32) for CIFAR-10.
    n_test: how many of the last rows are the official test set. note: what a reader must know ("JPEG copies").
    weight: of each row in the loss, (n_rows,), at least 0; None weighs all rows alike. origin: set by `read`.
    partial: the rows are a part of a larger set, so classes may be missing from them. excerpt: set where the rows are
        those of a streamed set that are held in memory.
    categories: of a table with words or gaps, of each column its words, or None where it holds numbers; then X is
        float64, of words it holds their places among them, and NaN is a gap. told: by what the task was told from y.

    >>> import numpy as np
    >>> data = Dataset("made", np.eye(4), np.array([0, 1, 0, 1]), "classification", ("no", "yes"))
    >>> data.n_rows, data.n_features, data.n_outputs
    (4, 4, 2)
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
    partial: bool = False
    categories: Categories = ()
    told: str = ""
    excerpt: Excerpt | None = None

    def __post_init__(self) -> None:
        """Refuse data that cannot be trained on, naming row and column."""
        check(self)
        # Half precision would overflow in the sums of a fit, and booleans and unsigned numbers know no differences.
        y = self.y.astype(np.float64 if self.y.dtype.kind == "f" else np.int64, copy=False)
        object.__setattr__(self, "y", y)

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
        """sha256 over X and y, their dtypes and shapes, and the names of classes that are not only numbered: the same
        rows in the same order give the same text.

        That of the whole set where the rows are an excerpt.
        """
        if self.excerpt is not None:
            return self.excerpt.digest
        h = sha256()
        for array in (self.X, self.y) if self.weight is None else (self.X, self.y, self.weight):
            h.update(f"{array.dtype.str}{array.shape}".encode())
            h.update(np.ascontiguousarray(array).view(np.uint8).data)
        if self.categories:
            h.update(repr(self.categories).encode())
        if not self._only_numbered:
            h.update(repr(tuple(self.target_names)).encode())
        return h.hexdigest()

    @property
    def _only_numbered(self) -> bool:
        """Whether classes, or labels, have no names but their numbers, or there are none."""
        prefix = {"classification": "", "multilabel": "y"}.get(self.task)
        return prefix is None or tuple(self.target_names) == tuple(f"{prefix}{i}" for i in range(self.n_outputs))

    def take(self, rows: Any) -> "NDArray[Any] | Table":
        """The named rows without their targets, as a model takes them: X of them, or a table with its words."""
        if not self.categories:
            X: NDArray[Any] = self.X[rows]
            return X
        return Table(self.X[rows], self.categories, tuple(self.feature_names))

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.row_shape or (self.n_features,)))
        test = f", the last {self.n_test:,} official test rows" if self.n_test else ""
        noun = "class" if self.task == "classification" else "output"
        plural = "" if self.n_outputs == 1 else "es" if noun == "class" else "s"
        n_rows = self.n_rows if self.excerpt is None else self.excerpt.n_rows
        streamed = "" if self.excerpt is None else f", streamed, {self.n_rows:,} of them held"
        return (
            f"Dataset({self.name!r}: {n_rows:,} rows of {shape} {self.X.dtype}{streamed}{test}; "
            f"{self.task} with {self.n_outputs} {noun}{plural})"
        )


LARGEST = {2: 65504.0, 4: 1e38, 8: 1e150}
"""For each size of a float in bytes: neither the difference of two such numbers nor, in float64, a sum of squares
overflows. Files mark gaps with larger ones: -3.4e38 and 1.8e308."""

_WEIGHTS = (1e-30, 1e30)
"""Between these a sum of weights is neither 0 nor infinite in float32."""

_ADVICE = {
    "c": "Make columns of the real and the imaginary parts.",
    "f": "Use X.astype(float).",
    "O": "Use X.astype(float).",
}


def check(data: Dataset) -> None:
    """Raise a DataError for rows or targets that no training could use, nor a metric. Rows of one class can be judged
    by, so it is the split that refuses them.
    """
    name, X, y = data.name, data.X, data.y
    _check_arrays(data)
    if not isinstance(data.task, str) or data.task not in _CHECKS:
        raise DataError(f"{name}: task {data.task!r} is not known; expected one of {', '.join(_CHECKS)}.")
    _check_names(data)
    if X.ndim != 2:
        raise DataError(f"{name}: X has shape {X.shape}; expected (n_rows, n_features). Flatten each row first.")
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise DataError(f"{name}: X has shape {X.shape}; expected at least one row and one column.")
    if y.ndim == 0:
        raise DataError(f"{name}: y has shape (); expected a target for each of the {len(X):,} rows of X.")
    if len(y) != len(X):
        raise DataError(f"{name}: X has {len(X):,} rows but y has {len(y):,}; they must be of the same length.")
    _check_objects(data, X, "X", data.feature_names)
    _check_objects(data, y, "y", ())
    if not _is_number(X):
        advice = _ADVICE.get(X.dtype.kind, "Encode texts and dates as numbers first.")
        raise DataError(f"{name}: X has dtype {X.dtype}; expected numbers. {advice}")
    if not isinstance(data.n_test, (int, np.integer)) or not 0 <= data.n_test < len(X):
        raise DataError(
            f"{name}: n_test is {data.n_test} of {len(X):,} rows; at least one row must be left to train on."
        )
    if data.row_shape and (min(data.row_shape) < 1 or math.prod(data.row_shape) != X.shape[1]):
        raise DataError(f"{name}: row_shape {data.row_shape} does not fit the {X.shape[1]} columns of X.")
    if data.feature_names and len(data.feature_names) != X.shape[1]:
        raise DataError(f"{name}: {len(data.feature_names)} feature names for {X.shape[1]} columns of X.")
    if data.weight is not None:
        _check_weights(data, data.weight)
    if data.categories:
        _check_categories(data)
    else:
        _check_finite(data, X, "X", data.feature_names)
    _CHECKS[data.task](data)


def _check_arrays(data: Dataset) -> None:
    for what, values in (("X", data.X), ("y", data.y), ("weight", data.weight)):
        if type(values) in (np.ndarray, np.memmap) or (what == "weight" and values is None):
            continue
        if not isinstance(values, np.ndarray):
            raise DataError(f"{data.name}: {what} is a {type(values).__name__}; expected a NumPy array.")
        mask = np.ma.getmaskarray(values)
        if mask.ndim and mask.dtype == bool and mask.any():
            raise DataError(
                f"{data.name}: {what} is masked at {_place(np.argwhere(mask)[0])}. "
                "Remove the row or fill the gap before training."
            )
        raise DataError(
            f"{data.name}: {what} is a {type(values).__name__}; expected a plain NumPy array. Use np.array({what})."
        )


def _check_names(data: Dataset) -> None:
    for what, names in (("target_names", data.target_names), ("feature_names", data.feature_names)):
        if not isinstance(names, (tuple, list)) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{data.name}: {what} is {short(names)}; expected a tuple of texts.")
    if not data.target_names:
        raise DataError(f"{data.name}: target_names is empty; expected the name of each class or output.")
    if len(set(data.target_names)) != len(data.target_names):
        raise DataError(f"{data.name}: target_names {data.target_names} has a name twice; each output needs its own.")


def _is_number(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "biuf" and values.dtype.itemsize <= 8


def _place(index: Any, columns: Sequence[str] = ()) -> str:
    row, *at = (int(i) for i in index)
    column = columns[at[0]] if at and at[0] < len(columns) else at[0] if at else None
    return f"row {row}" + ("" if column is None else f", column {column!r}")


def _check_objects(data: Dataset, values: NDArray[Any], what: str, columns: Sequence[str]) -> None:
    if values.dtype.kind != "O":
        return
    for index, value in np.ndenumerate(values):
        if not isinstance(value, (int, float, np.number, np.bool)):
            raise DataError(
                f"{data.name}: {what} is {short(value)} at {_place(index, columns)}; expected a number. "
                "Encode texts and dates as numbers and fill the gaps first."
            )


def _first(
    values: NDArray[Any], sound: Callable[[NDArray[Any]], NDArray[np.bool]], rows: NDArray[np.int64] | None = None
) -> tuple[int, ...] | None:
    """Where the first cell is, of all rows or of those named, that is not sound; found a block of rows at a time."""
    block = max(1, 2**22 // max(1, values[0].size))
    for start in range(0, len(values) if rows is None else len(rows), block):
        part = slice(start, start + block)
        found = sound(values[part] if rows is None else values[rows[part]])
        if not found.all():
            row, *at = (int(i) for i in np.argwhere(~found)[0])
            return start + row if rows is None else int(rows[start + row]), *at
    return None


def _check_finite(data: Dataset, values: NDArray[Any], what: str, columns: Sequence[str]) -> None:
    if values.dtype.kind == "f" and (index := _first(values, np.isfinite)) is not None:
        raise DataError(
            f"{data.name}: {what} is {values[index]} at {_place(index, columns)}; expected finite numbers. "
            "Remove the row or fill the gap before training."
        )


def _check_categories(data: Dataset) -> None:
    """A table with words and gaps: float64, its codes among its words."""
    name, X = data.name, data.X
    if X.dtype != np.float64 or len(data.categories) != X.shape[1] or data.row_shape:
        raise DataError(
            f"{name}: categories of {len(data.categories)} columns for X of shape {X.shape}, {X.dtype}; expected "
            "float64 and, for each column, its words, or None where it holds numbers."
        )
    if not data.feature_names:
        raise DataError(f"{name}: has categories but no feature_names; columns with words are found by their names.")
    for i, words in enumerate(data.categories):
        column, known = X[:, i], ~np.isnan(X[:, i])
        if words is None:
            wrong, expected = np.isinf(column), "finite numbers, or NaN for a gap"
        elif len(set(words)) != len(words) or not all(isinstance(word, str) for word in words):
            raise DataError(
                f"{name}: the categories of column {i} are {short(words)}; expected texts, each of them once."
            )
        else:
            wrong = known & ~((column >= 0) & (column < len(words)) & (column == np.floor(column)))
            expected = f"the place of one of {len(words)} words, or NaN for a gap"
        if wrong.any():
            index = (int(np.argmax(wrong)), i)
            raise DataError(f"{name}: X is {X[index]} at {_place(index, data.feature_names)}; expected {expected}.")


def check_size(data: Dataset, values: NDArray[Any], what: str, columns: Sequence[str],
               rows: NDArray[np.int64] | None = None, *, gaps: bool = False) -> None:  # fmt: skip
    """Raise a DataError for a number, in all rows or in those named, that is too large to be scaled or squared.

    gaps: whether NaN is one, and no number.
    """
    if values.dtype.kind != "f":
        return
    largest = LARGEST[values.dtype.itemsize]
    index = _first(values, lambda block: (np.abs(block) <= largest) | (np.isnan(block) if gaps else False), rows)
    if index is not None:
        raise DataError(
            f"{data.name}: {what} is {values[index]} at {_place(index, columns)}; expected numbers of at most "
            f"{largest:g} in size. Where it marks a gap, remove the row or fill it; else choose larger units."
        )


def _check_weights(data: Dataset, weight: NDArray[Any]) -> None:
    if weight.shape != (len(data.X),) or weight.dtype.kind not in "iuf" or not _is_number(weight):
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
    row, (low, high) = int(np.argmax(weight)), _WEIGHTS
    if not low <= (largest := float(weight[row])) <= high:
        raise DataError(
            f"{data.name}: the largest weight, at row {row}, is {largest}; expected it from {low:g} to {high:g}. "
            "Only ratios of weights count, so divide all by the largest."
        )


def _check_labels(data: Dataset) -> None:
    y, k = data.y, data.n_outputs
    if y.ndim == 1 and y.dtype.kind == "f" and (broken := ~np.isfinite(y) | (y != np.floor(y))).any():
        row = int(np.argmax(broken))
        raise DataError(f"{data.name}: label {y[row]} at row {row} is no whole number; expected integers 0..{k - 1}.")
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise DataError(
            f"{data.name}: labels have shape {y.shape} and dtype {y.dtype}; expected integers (n_rows,). "
            f"Number the classes 0..{k - 1}, in the order of target_names."
        )
    outside = np.flatnonzero((y < 0) | (y >= k))
    if outside.size:
        row = int(outside[0])
        raise DataError(f"{data.name}: label {int(y[row])} at row {row} is outside 0..{k - 1} ({k} classes).")


def _check_multilabel(data: Dataset) -> None:
    y = data.y
    if y.ndim != 2 or y.shape[1] != data.n_outputs:
        raise DataError(f"{data.name}: labels have shape {y.shape}; expected (n_rows, {data.n_outputs}).")
    if not _is_number(y):
        raise DataError(f"{data.name}: labels have dtype {y.dtype}; expected 0 and 1. Use y.astype(int).")
    wrong = np.argwhere((y != 0) & (y != 1))
    if wrong.size:
        row, column = (int(i) for i in wrong[0])
        raise DataError(f"{data.name}: label {y[row, column]} at row {row}, column {column}; expected 0 or 1.")


def _check_regression(data: Dataset) -> None:
    y = data.y
    if y.dtype.kind != "f" or not _is_number(y) or (y.shape[1] if y.ndim == 2 else 1) != data.n_outputs or y.ndim > 2:
        raise DataError(
            f"{data.name}: targets have shape {y.shape} and dtype {y.dtype}; expected floats (n_rows,) "
            f"or (n_rows, {data.n_outputs}) of at most 64 bits."
        )
    _check_finite(data, y, "y", data.target_names)
    check_size(data, y, "y", data.target_names)


_CHECKS = {"classification": _check_labels, "multilabel": _check_multilabel, "regression": _check_regression}
