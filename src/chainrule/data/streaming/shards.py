"""The `Shards` value: a data set in files, of which blocks of consecutive rows are read when they are asked for."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset, Origin, Task
from chainrule.data.readers.values import Texts
from chainrule.data.streaming.labels import Targets
from chainrule.data.streaming.options import Stream
from chainrule.errors import DataError

Raw = NDArray[Any] | Texts
"""Targets as the file has them."""


class File(NamedTuple):
    """A file as it was when it was opened first."""

    path: Path
    size: int
    changed: int

    def check(self, descriptor: int) -> None:
        """Raise a DataError where the open file is not what it was."""
        now = os.fstat(descriptor)
        if (now.st_size, now.st_mtime_ns) != (self.size, self.changed):
            raise DataError(
                f"{self.path}: has changed since it was opened: {self.size:,} bytes then, {now.st_size:,} now. Leave "
                "the files alone while they are in use, and start again."
            )


def as_it_is(path: Path) -> File:
    """The file at `path`, to be compared with later."""
    found = path.stat()
    return File(path, found.st_size, found.st_mtime_ns)


class Block(NamedTuple):
    """Consecutive rows of one file. file: its number. row: of the file, where the block begins. part: row group."""

    file: int
    row: int
    n_rows: int
    part: int


class Layout(Protocol):
    """Files of one kind, all of the same columns."""

    @property
    def blocks(self) -> NDArray[np.int64]:
        """A `Block` in each row, in the order of the files, (n_blocks, 4)."""

    def read(self, block: Block) -> tuple[NDArray[Any], Raw]:
        """Rows (n, n_features) and their targets. Raises a DataError naming the file."""

    def path(self, block: Block) -> Path:
        """The file that the rows of the block are in."""


@dataclass(frozen=True, eq=False)
class Shards:
    """A data set in files that need not fit in memory; `train` takes it in the place of a `Dataset`.

    Its facts are those of a `Dataset`; name, dtype and row_shape among them.
    """

    name: str
    layout: Layout
    dtype: np.dtype[Any]
    n_features: int
    row_shape: tuple[int, ...]
    feature_names: tuple[str, ...]
    targets: Targets
    options: Stream
    origin: Origin

    @property
    def task(self) -> Task:
        """What the targets are."""
        return self.targets.task

    @property
    def target_names(self) -> tuple[str, ...]:
        """Of classes or outputs."""
        return self.targets.names

    @property
    def n_outputs(self) -> int:
        """Outputs that a network for these targets needs."""
        return len(self.targets.names)

    @property
    def n_rows(self) -> int:
        """Of all files."""
        return int(self.layout.blocks[:, 2].sum())

    @property
    def n_blocks(self) -> int:
        """Of all files."""
        return len(self.layout.blocks)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of X."""
        return self.n_features * self.dtype.itemsize

    @property
    def window_rows(self) -> int:
        """About how many rows are shuffled together: at least those of the longest block."""
        return max(int(self.options.window_mb * 2**20 // self.row_bytes), int(self.layout.blocks[:, 2].max()))

    def block(self, i: int) -> Block:
        """Which rows make block i."""
        return Block(*map(int, self.layout.blocks[i]))

    def read(self, i: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """X (n, n_features) and y (n,) or (n, n_out) of block i."""
        block = self.block(i)
        X, raw = self.layout.read(block)
        return X, self.targets.encode(raw, self.layout.path(block), block.row)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        return map(self.read, range(self.n_blocks))

    def resident(self) -> Dataset:
        """All rows in memory."""
        X, n = np.empty((self.n_rows, self.n_features), self.dtype), 0
        y: list[NDArray[Any]] = []
        for rows, targets in self:
            X[n : n + len(rows)] = rows
            n += len(rows)
            y.append(targets)
        return Dataset(self.name, X, np.concatenate(y), self.task, self.target_names, self.feature_names,
                       self.row_shape, origin=self.origin)  # fmt: skip

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.row_shape or (self.n_features,)))
        return f"Shards({self.name!r}: {self.n_rows:,} rows of {shape} {self.dtype}; {self.task})"
