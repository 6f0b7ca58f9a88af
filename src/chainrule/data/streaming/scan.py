"""One look through all rows of a streamed set, before the first step.

It checks them, measures the columns of the training rows, takes the rows that are held, and makes the digest.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import LARGEST, Dataset, Excerpt
from chainrule.data.preprocessing import About, Affine, Kind, fitted, standardising
from chainrule.data.splits import OWN_TEST, Rows, Split, check_several
from chainrule.data.streaming.columns import Columns, columns_of
from chainrule.data.streaming.shards import Shards
from chainrule.errors import ConfigError, DataError
from chainrule.seeds import stream


@dataclass(frozen=True, eq=False)
class Scan:
    """What a look through `shards` found.

    held: the rows in memory. inputs, outputs: the columns of X and y over the training rows. left_out: the rows, of all
    rows, that validate and test. counts: of each block, how many rows train.
    """

    shards: Shards
    held: Dataset
    inputs: Columns
    outputs: Columns
    left_out: NDArray[np.int64]
    counts: NDArray[np.int64]

    def preprocessing(self, kind: Kind) -> Affine:
        """As `preprocessing.fit` makes it of rows in memory."""
        about = About(self.shards.name, self.shards.n_features, self.shards.row_shape, self.shards.dtype.itemsize)
        return fitted(kind, about, lambda: self.inputs.moments, lambda: self.inputs.extremes)

    def target(self) -> Affine:
        """As `preprocessing.fit_target` makes it."""
        return standardising(*self.outputs.moments, self.held.y.itemsize)

    def kept(self, i: int) -> NDArray[np.int64]:
        """Which rows of block i train."""
        return np.flatnonzero(training(self.left_out, int(self.firsts[i]), self.shards.block(i).n_rows))

    @cached_property
    def firsts(self) -> NDArray[np.int64]:
        """The first row of each block, of all rows, (n_blocks,)."""
        return firsts(self.shards)


def firsts(shards: Shards) -> NDArray[np.int64]:
    """The first row of each block, of all rows, (n_blocks,)."""
    return np.cumsum(shards.layout.blocks[:, 2]) - shards.layout.blocks[:, 2]


def training(left_out: NDArray[np.int64], first: int, n: int) -> NDArray[np.bool]:
    """Which of the n rows from `first` on are not left out, (n,)."""
    begin, end = np.searchsorted(left_out, (first, first + n))
    found = np.ones(n, bool)
    found[left_out[begin:end] - first] = False
    return found


def excerpt(shards: Shards, how: Split) -> Dataset:
    """The rows that are held, parted: a sample of the training rows, the validation and the test rows."""
    return scan(shards, how).held


@lru_cache(maxsize=1)
def scan(shards: Shards, how: Split) -> Scan:
    """Look through all rows. Raises a DataError naming file and row of the first that cannot be used."""
    parts = drawn(shards, how)
    left_out = np.sort(np.concatenate([parts.validation, parts.test]))
    wanted = np.concatenate([parts.train, parts.validation, parts.test])
    taken = _Taken(shards, wanted)
    inputs: Columns | None = None
    outputs: Columns | None = None
    hashes, counts = (sha256(), sha256()), []
    classes = np.zeros(shards.n_outputs, np.int64)
    for i, (first, (X, y)) in enumerate(zip(firsts(shards), _ahead(shards, hashes), strict=True)):
        check_numbers(shards, i, X)
        taken.add(int(first), X, y)
        train = training(left_out, int(first), len(X))
        counts.append(int(train.sum()))
        if not train.any():
            continue
        inputs = columns_of(X if train.all() else X[train], inputs)
        outputs = columns_of(y[train].reshape(counts[-1], -1), outputs)  # (n_rows, n_out)
        if shards.task == "classification":
            classes += np.bincount(y[train], minlength=shards.n_outputs)
    _check_classes(shards, classes)
    assert inputs is not None  # noqa: S101
    assert outputs is not None  # noqa: S101
    held = taken.dataset(parts, _digest(shards, hashes))
    return Scan(shards, held, inputs, outputs, left_out, np.array(counts, np.int64))


def _ahead(shards: Shards, hashes: tuple[Any, Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Every block; the next one is read and hashed while the caller works on this one."""

    def read(i: int) -> tuple[NDArray[Any], NDArray[Any]]:
        pair = shards.read(i)
        for one, array in zip(hashes, pair, strict=True):
            one.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        return pair

    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(read, 0)
        for i in range(shards.n_blocks):
            pair = coming.result()
            if i + 1 < shards.n_blocks:
                coming = reader.submit(read, i + 1)
            yield pair


def _digest(shards: Shards, hashes: tuple[Any, Any]) -> str:
    """Of all numbers in their order, however they are cut into files and blocks."""
    head = f"{shards.dtype.str}({shards.n_rows}, {shards.n_features}){shards.task}{shards.target_names}"
    return sha256(head.encode() + b"".join(one.digest() for one in hashes)).hexdigest()


def drawn(shards: Shards, how: Split) -> Rows:
    """The rows that are held, of all rows, each part ascending. Raises ConfigError and DataError."""
    if shards.task == "classification":
        check_several(shards.name, shards.target_names)
    if how.order == "stratified" or how.train is not None:
        asked = "order 'stratified'" if how.order == "stratified" else f"train {how.train}"
        raise ConfigError(
            f"data.split.{asked} needs all rows in memory, but {shards.name} is streamed; leave it out, or set "
            "data.stream.when = 'never'"
        )
    left, sizes = shards.n_rows, []
    for part, size in (("test", OWN_TEST if how.test == "official" else how.test), ("validation", how.validation)):
        n = size if isinstance(size, int) else min(round(size * left), shards.options.held)
        if n > min(left, shards.options.held):
            raise DataError(
                f"{shards.name}: split.{part} asks for {n:,} rows of {left:,}, but of a streamed set at most "
                f"data.stream.held = {shards.options.held:,} are held. Ask for fewer, or hold more."
            )
        sizes.append(n)
        left -= n
    if left < 2:
        raise DataError(f"{shards.name}: the split leaves {left} rows to train on; ask for fewer others.")
    n_test, n_validation = sizes
    n_train = min(shards.options.held, left)
    if how.order == "file":
        ends = (left, left + n_validation, shards.n_rows)
        sample = np.sort(stream(how.seed, "split/train_sample").choice(left, n_train, replace=False))
        return Rows(sample, np.arange(ends[0], ends[1]), np.arange(ends[1], ends[2]))
    rows = stream(how.seed, "split").choice(shards.n_rows, n_test + n_validation + n_train, replace=False)
    test, validation, train = np.split(rows, [n_test, n_test + n_validation])
    return Rows(np.sort(train), np.sort(validation), np.sort(test))


class _Taken:
    """The wanted rows, of all rows, filled in as they come by."""

    def __init__(self, shards: Shards, wanted: NDArray[np.int64]) -> None:
        self.shards, self.places = shards, np.argsort(wanted, kind="stable")
        self.rows = wanted[self.places]
        self.X = np.empty((len(wanted), shards.n_features), shards.dtype)
        self.y: NDArray[Any] | None = None

    def add(self, first: int, X: NDArray[Any], y: NDArray[Any]) -> None:
        """The block whose first row is `first`."""
        if self.y is None:
            self.y = np.empty((len(self.rows), *y.shape[1:]), y.dtype)
        begin, end = np.searchsorted(self.rows, (first, first + len(X)))
        here = self.rows[begin:end] - first
        self.X[self.places[begin:end]], self.y[self.places[begin:end]] = X[here], y[here]

    def dataset(self, parts: Rows, digest: str) -> Dataset:
        """All of them, when all have come by."""
        shards = self.shards
        about = Excerpt(shards.n_rows, digest, len(parts.train), len(parts.validation), len(parts.test))
        assert self.y is not None  # noqa: S101
        return Dataset(shards.name, self.X, self.y, shards.task, shards.target_names, shards.feature_names,
                       shards.row_shape, origin=shards.origin, partial=True, excerpt=about)  # fmt: skip


def check_numbers(shards: Shards, i: int, X: NDArray[Any]) -> None:
    """Raise a DataError for the first number of block i that is not finite, or too large to be scaled."""
    if X.dtype.kind != "f":
        return
    largest = LARGEST[X.itemsize]
    if -largest <= X.min() and X.max() <= largest:  # false where any is nan
        return
    row, column = (int(k) for k in np.argwhere(~(np.abs(X) <= largest))[0])
    block = shards.block(i)
    name = repr(shards.feature_names[column]) if shards.feature_names else column
    raise DataError(
        f"{shards.layout.path(block)}: X is {X[row, column]} at row {block.row + row}, column {name}; expected finite "
        f"numbers of at most {largest:g} in size. Remove the row or fill the gap before training."
    )


def _check_classes(shards: Shards, counts: NDArray[np.int64]) -> None:
    if shards.task == "classification" and not counts.all():
        missing = shards.target_names[int(np.argmin(counts))]
        raise DataError(f"{shards.name}: no training row has the class {missing!r}; hold out fewer rows, or others.")
