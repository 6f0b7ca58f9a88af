"""Rows to predict: the features of a data set without its targets, a block after the other."""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.readers.arrow_files import arrow_blocks
from chainrule.data.readers.csv_files import csv_blocks
from chainrule.data.readers.files import missing, opened
from chainrule.data.readers.numpy_files import read_header, read_npy_array, read_npz_arrays
from chainrule.data.readers.values import check_row_shape, flattened
from chainrule.data.streaming.npy_shards import array_in
from chainrule.data.tables import Table
from chainrule.errors import DataError

_TABLES = {".csv": csv_blocks, ".tsv": csv_blocks, ".parquet": arrow_blocks, ".arrow": arrow_blocks,
           ".feather": arrow_blocks}  # fmt: skip
_ARRAYS = (".npy", ".npz")


def row_blocks(
    path: Path, feature_names: Sequence[str], n_features: int, categorical: Collection[str] | None, n_rows: int,
    row_shape: tuple[int, ...] = (),
) -> Iterator[Table]:  # fmt: skip
    """The rows in a table, `.npy`, or `.npz` (its X), `n_rows` at a time; of a table or `.npy` no more are in memory.

    Of a table the columns called `feature_names` are taken, whatever their order and whatever else is in it; all
    columns, if the features have no names.
    categorical: names of the columns of words, for a model that takes words and gaps; arrays, which hold no words, are
    for models without such columns. row_shape: of one row before flattening, as the model's data had it.
    """
    suffix = path.suffix.lower()
    _check_file(path, suffix, row_shape)
    if suffix in _TABLES:
        for rows in _TABLES[suffix](path, feature_names, categorical, n_rows):
            _check_shape(path, rows.X.shape, rows.X.dtype, n_features)
            yield rows
        return
    if categorical:
        raise DataError(
            f"{path}: holds numbers alone, and the model takes words in {', '.join(map(repr, categorical))}; give a "
            "CSV, Parquet or Arrow table."
        )
    shape, read = _array(path, n_features)
    check_row_shape(str(path), shape[1:], row_shape)
    total = shape[0]
    for first in range(0, total, n_rows):
        X, _ = flattened(read(first, min(n_rows, total - first)))
        if categorical is None and X.dtype.kind == "f" and not np.isfinite(X).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(X))[0])
            name = repr(feature_names[column]) if feature_names else column
            raise DataError(
                f"{path}: is {X[row, column]} at row {first + row}, column {name}. Correct it, or leave the row out."
            )
        yield Table(X, (None,) * n_features, first=first)


def _check_file(path: Path, suffix: str, row_shape: tuple[int, ...]) -> None:
    """Raise a DataError for what is no file of rows, with what images are taken from for a model of images."""
    shape = f"(n, {', '.join(map(str, row_shape))})"
    images = f" Images are taken as a .npy of shape {shape}: images, channels, height, width."
    images = images if len(row_shape) == 3 else ""
    if path.is_dir():
        raise DataError(f"{path}: is a folder; name a file with the rows.{images}")
    if not path.exists():
        raise missing(path)
    if suffix not in (*_TABLES, *_ARRAYS):
        known = " ".join([*_TABLES, *_ARRAYS])
        packed = " Unpack it first." if suffix in (".gz", ".zip", ".bz2", ".xz", ".zst") else images
        wrong = f"its suffix {suffix!r} is not" if suffix else "it has no suffix; expected"
        raise DataError(f"{path}: {wrong} one of {known}.{packed}")


def _check_shape(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], n_features: int) -> None:
    if len(shape) != 2 or shape[1] != n_features or shape[0] == 0 or dtype.kind not in "biuf":
        raise DataError(f"{path}: holds shape {shape} of {dtype}; the model takes rows of {n_features:,} numbers.")


def _array(path: Path, n_features: int) -> tuple[tuple[int, ...], Callable[[int, int], NDArray[Any]]]:
    """The shape of all rows, and what gives n of them from one on; of a `.npy` in C order only those are read."""
    if path.suffix.lower() == ".npy":
        with opened(path) as stream:
            order = read_header(path, stream)[2]
        if order == "C":
            found = array_in(path)
            _check_flat(path, found.shape, found.dtype, n_features)
            return found.shape, found.rows
        X = read_npy_array(path)
    else:
        arrays = read_npz_arrays(path)
        if "x" not in arrays:
            raise DataError(f"{path}: expected an array X of rows to predict; found {', '.join(arrays) or 'none'}.")
        X = arrays["x"]
    _check_flat(path, X.shape, X.dtype, n_features)
    return X.shape, lambda first, n: X[first : first + n]


def _check_flat(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], n_features: int) -> None:
    flat = (shape[0], int(np.prod(shape[1:], dtype=object))) if len(shape) > 2 else shape
    _check_shape(path, flat, dtype.newbyteorder("="), n_features)
