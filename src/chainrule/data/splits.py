"""Which rows train, validate and test: sizes or fractions, in file order, shuffled or stratified, disjoint by check."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import PlainValidator

from chainrule.data.dataset import DATASET, Dataset
from chainrule.errors import DataError
from chainrule.seeds import stream
from chainrule.spec import Form, expect, spec

Indices = NDArray[np.int64]


def _size(size: Any) -> float:
    is_number = isinstance(size, (int, float)) and not isinstance(size, bool)
    if not is_number or not size >= 0 or (isinstance(size, float) and size >= 1):
        raise ValueError(f"should be a count such as 1000, or a fraction from 0 to below 1, got {size!r}")
    return float(size) if isinstance(size, float) else int(size)


Size = Annotated[int | float, PlainValidator(_size, json_schema_input_type=int | float)]


@spec
class Split:
    """How to part the rows. A size is a count (1000) or a fraction (0.1) of the rows that could still be taken.

    test: "official" takes the data set's own test rows, and a fifth of all rows where it has none.
    validation: taken from what is left. train: None takes all the rest.
    order: "file" keeps the rows' order, train first, then validation, then test (the report's 49,000 / 1,000);
    "shuffled" draws at random; "stratified" draws with every class in proportion; "auto" is stratified for
    classification and shuffled otherwise. seed: of the draw, not the training's, so repeated seeds share a split.

    >>> from chainrule import read
    >>> rows = split(read("digits"), Split(validation=200))
    >>> [len(rows[part]) for part in ("train", "validation", "test")]
    [1238, 200, 359]
    """

    test: Annotated[Annotated[Literal["official"], Form.TEXT] | Annotated[Size, Form.NUMBER], Form.BY] = "official"
    validation: Size = 0.1
    train: Size | None = None
    order: Literal["auto", "file", "shuffled", "stratified"] = "auto"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Rows:
    """Row indices of each part, in ascending order."""

    train: Indices
    validation: Indices
    test: Indices

    def __getitem__(self, part: str) -> Indices:
        return {"train": self.train, "validation": self.validation, "test": self.test}[part]


OWN_TEST = 0.2


def split(data: Dataset, how: Split) -> Rows:
    """The rows of each part. Raises a DataError when a part cannot be filled or a class is missing from training.

    A ConfigError for what is no data set or no Split. The rows of an excerpt were parted when they were taken; its
    training rows are a sample.

    >>> from chainrule import read
    >>> len(split(read("digits"), Split(test=0.5, validation=0)).test)
    898
    """
    expect("data", data, isinstance(data, Dataset), DATASET)
    expect("how", how, isinstance(how, Split), "a Split, such as Split(test=0.2)")
    if data.excerpt is not None:
        ends = np.cumsum([data.excerpt.n_train, data.excerpt.n_validation])
        return Rows(*np.split(np.arange(data.n_rows, dtype=np.int64), ends))
    if data.task == "classification" and not data.partial:
        check_several(data.name, [data.target_names[label] for label in np.unique(data.y)])
    order = how.order
    if order == "auto":
        order = "stratified" if data.task == "classification" else "shuffled"
    if order == "stratified" and data.task != "classification":
        raise DataError(f"{data.name}: split.order 'stratified' needs classes, but the task is {data.task}.")
    official = how.test == "official" and data.n_test > 0
    left = np.arange(data.n_rows, dtype=np.int64)
    if official:
        left, test = left[: -data.n_test], left[-data.n_test :]
    else:
        size = OWN_TEST if how.test == "official" else how.test
        left, test = _take(left, size, order, data, how.seed, "test")
    left, validation = _take(left, how.validation, order, data, how.seed, "validation")
    if how.train is None:
        train = left
    elif order == "file":
        train = left[: _count(how.train, len(left), data, "train")]
    else:
        train = _take(left, how.train, order, data, how.seed, "train")[1]
    rows = Rows(train, validation, test)
    _check(data, rows)
    return rows


def _count(size: float, available: int, data: Dataset, part: str) -> int:
    n = size if isinstance(size, int) else round(size * available)
    if n > available:
        raise DataError(
            f"{data.name}: split.{part} asks for {n:,} rows, but {available:,} are left; the data set has "
            f"{data.n_rows:,} rows, {data.n_test:,} of them official test rows."
        )
    return n


def _take(left: Indices, size: float, order: str, data: Dataset, seed: int, part: str) -> tuple[Indices, Indices]:
    """(rows not taken, rows taken), both ascending."""
    n = _count(size, len(left), data, part)
    if n == 0:
        return left, left[:0]
    if order == "file":
        return left[:-n], left[-n:]
    shuffled = stream(seed, f"split/{part}").permutation(left)
    if order == "stratified":
        # Evenly spaced places in a list sorted by class hit every class in proportion, to within one row.
        shuffled = shuffled[np.argsort(data.y[shuffled], kind="stable")]
        places = np.floor((np.arange(n) + 0.5) * len(left) / n).astype(np.int64)
    else:
        places = np.arange(n)
    taken = np.zeros(len(left), dtype=bool)
    taken[places] = True
    return np.sort(shuffled[~taken]), np.sort(shuffled[taken])


def check_several(name: str, classes: Sequence[str]) -> None:
    """Raise a DataError where all rows of the set called `name` are of one class."""
    if len(classes) == 1:
        raise DataError(f"{name}: every row has the label {classes[0]!r}; a classifier needs two classes.")


def _check(data: Dataset, rows: Rows) -> None:
    if len(rows.train) == 0:
        raise DataError(f"{data.name}: the split leaves no rows to train on; ask for fewer validation or test rows.")
    all_rows: Any = np.concatenate([rows.train, rows.validation, rows.test])
    if np.unique(all_rows).size != all_rows.size:
        raise AssertionError("the parts of a split share rows")
    if data.task == "classification" and not data.partial:
        seen = np.bincount(data.y[rows.train], minlength=data.n_outputs)
        if (seen == 0).any():
            label = int(np.argmin(seen))
            missing = data.target_names[label]
            if not (data.y == label).any():
                raise DataError(f"{data.name}: no row has the class {missing!r}; number the classes without it.")
            raise DataError(
                f"{data.name}: no training row has the class {missing!r}; train on more rows, or split with order "
                "'stratified'."
            )
