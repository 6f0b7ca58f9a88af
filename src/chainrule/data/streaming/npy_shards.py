"""A folder of `X-NAME.npy` with `y-NAME.npy`, or one X.npy with y.npy, read a few rows at a time."""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.data.readers.files import opened
from chainrule.data.readers.numpy_files import read_header, read_npy_array
from chainrule.data.readers.values import native, texts
from chainrule.data.streaming.shards import Block, File, as_it_is
from chainrule.errors import DataError


class Array(NamedTuple):
    """A `.npy` in C order. start: the byte at which its numbers begin."""

    file: File
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int

    def rows(self, first: int, n: int) -> NDArray[Any]:
        """Rows `first` to `first + n`, read, not mapped: memory stays bounded, and a file cut short is an error."""
        found = np.empty((n, *self.shape[1:]), self.dtype)
        content = found.reshape(-1).view(np.uint8).data
        try:
            with self.file.path.open("rb", buffering=0) as stream:
                self.file.check(stream.fileno())
                stream.seek(self.start + first * (found.nbytes // n))
                done = 0
                while done < len(content) and (got := stream.readinto(content[done:])):
                    done += got
        except OSError as error:
            raise DataError(f"{self.file.path}: cannot be read: {error}. Put the file back and start again.") from error
        if done < len(content):
            raise DataError(f"{self.file.path}: ends {len(content) - done:,} bytes too early. Save it again.")
        return native(found)


@dataclass(frozen=True, eq=False)
class NpyShards:
    """Pairs of arrays with as many rows each; a block is about `block_bytes` of X."""

    X: tuple[Array, ...]
    y: tuple[Array, ...]
    block_bytes: float

    @cached_property
    def blocks(self) -> NDArray[np.int64]:
        """Of every file one after the other, (n_blocks, 4)."""
        first = self.X[0]
        n = max(1, int(self.block_bytes // max(1, math.prod(first.shape[1:]) * first.dtype.itemsize)))
        found = []
        for i, array in enumerate(self.X):
            row = np.arange(0, array.shape[0], n)
            n_rows = np.minimum(array.shape[0] - row, n)
            found.append(np.stack([np.full_like(row, i), row, n_rows, np.zeros_like(row)], axis=1))
        return np.concatenate(found)

    def read(self, block: Block) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rows flattened, and their targets."""
        X = self.X[block.file].rows(block.row, block.n_rows)
        return X.reshape(block.n_rows, -1), self.read_targets(block)  # (n_rows, n_features)

    def read_targets(self, block: Block) -> NDArray[Any]:
        """The targets alone."""
        return self.y[block.file].rows(block.row, block.n_rows)

    def path(self, block: Block) -> Path:
        """Of X."""
        return self.X[block.file].file.path


def find(folder: Path) -> list[tuple[Path, Path]]:
    """The pairs (X, y) of a folder; an X or y without its partner is refused."""
    files = sorted(folder.glob("*.npy"))
    xs = {file.stem[2:]: file for file in files if file.name.startswith("X-")}
    ys = {file.stem[2:]: file for file in files if file.name.startswith("y-")}
    if not xs and not ys:
        pair = folder / "X.npy", folder / "y.npy"
        return [pair] if all(file.is_file() for file in pair) else []
    for name in sorted({*xs} ^ {*ys}):
        there, missing = ("X", "y") if name in xs else ("y", "X")
        raise DataError(f"{folder}: holds {there}-{name}.npy but no {missing}-{name}.npy. Every shard needs both.")
    return [(xs[name], ys[name]) for name in sorted(xs)]


def open_npy(folder: Path, block_bytes: float) -> NpyShards:
    """The shards of a folder, their headers checked, and held against each other."""
    for file in sorted(folder.glob("*.npy")):
        if file.name.lower().startswith(("weight", "x_test", "y_test")):
            raise DataError(
                f"{file}: weights and test rows of their own are not streamed. Move it away, or set "
                "data.stream.when = 'never' where X.npy fits in memory."
            )
    pairs = [(array_in(x), array_in(y)) for x, y in find(folder)]
    first, target = pairs[0]
    for x, y in pairs:
        if len(x.shape) < 2 or 0 in x.shape or x.dtype.kind not in "biuf":
            raise DataError(
                f"{x.file.path}: has shape {x.shape} and dtype {x.dtype}; expected numbers (n_rows, n_features) or "
                "more axes, and at least one row."
            )
        if not y.shape or y.shape[0] != x.shape[0]:
            raise DataError(
                f"{y.file.path}: has shape {y.shape}; expected a target for each of the {x.shape[0]:,} rows of "
                f"{x.file.path.name}."
            )
        for one, other in ((x, first), (y, target)):
            alike = one.dtype == other.dtype or (one.dtype.kind == other.dtype.kind == "U")
            if not alike or one.shape[1:] != other.shape[1:]:
                raise DataError(
                    f"{one.file.path}: has rows of shape {one.shape[1:]} and {one.dtype}, but {other.file.path.name} "
                    f"has {other.shape[1:]} and {other.dtype}; all shards must be alike."
                )
    return NpyShards(tuple(x for x, _ in pairs), tuple(y for _, y in pairs), block_bytes)


def array_in(path: Path) -> Array:
    """The array in a `.npy`, its header checked and held against the file's size."""
    with opened(path) as stream:
        dtype, shape, order, start = read_header(path, stream)
    file = as_it_is(path)
    if order == "F" and len(shape) > 1 and min(shape[:2]) > 1:
        raise DataError(
            f"{path}: is in Fortran order, so its rows do not lie together. Save it with np.ascontiguousarray."
        )
    promised = start + math.prod(shape) * dtype.itemsize
    if promised != file.size:
        raise DataError(
            f"{path}: its header promises shape {shape} of {dtype}, {promised:,} bytes with the header, but it holds "
            f"{file.size:,}. Save it again."
        )
    return Array(file, dtype, shape, start)


def names(folder: Path, what: str) -> tuple[str, ...]:
    """Texts in `what`.npy of the folder, none where there is no such file."""
    path = folder / f"{what}.npy"
    return tuple(map(str, texts(read_npy_array(path).ravel(), path, what))) if path.is_file() else ()
