"""Rows to predict: the features of a data set without its targets."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.readers.arrow_files import read_arrow_columns
from chainrule.data.readers.csv_files import read_csv_columns
from chainrule.data.readers.numpy_files import read_npy_array, read_npz_arrays
from chainrule.data.readers.values import flattened
from chainrule.data.tables import Table
from chainrule.errors import DataError

_TABLES = {".csv": read_csv_columns, ".tsv": read_csv_columns, ".parquet": read_arrow_columns,
           ".arrow": read_arrow_columns, ".feather": read_arrow_columns}  # fmt: skip


def read_rows(
    path: Path, feature_names: Sequence[str], n_features: int, categorical: Collection[str] | None = None
) -> NDArray[Any] | Table:
    """The rows in a table, `.npy`, or `.npz` (its X), as (n_rows, n_features).

    Of a table the columns called `feature_names` are taken, whatever their order and whatever else is in it; all
    columns, if the features have no names.
    categorical: names of the columns of words, for a model that takes words and gaps; then the rows are a `Table`, and
    arrays, which hold no words, are for models without such columns.
    """
    suffix = path.suffix.lower()
    if suffix in _TABLES:
        found = _TABLES[suffix](path, feature_names, categorical)
        X: NDArray[Any] = found.X
    elif categorical:
        raise DataError(
            f"{path}: holds numbers alone, and the model takes words in {', '.join(map(repr, categorical))}; give a "
            "CSV, Parquet or Arrow table."
        )
    else:
        X, _ = flattened(_array(path))
    if X.ndim != 2 or X.shape[1] != n_features or len(X) == 0 or X.dtype.kind not in "biuf":
        raise DataError(f"{path}: holds shape {X.shape} of {X.dtype}; the model takes rows of {n_features:,} numbers.")
    if categorical is not None:
        return found if suffix in _TABLES else X
    if X.dtype.kind == "f" and not np.isfinite(X).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(X))[0])
        name = repr(feature_names[column]) if feature_names else column
        raise DataError(f"{path}: is {X[row, column]} at row {row}, column {name}. Fill the gap or remove the row.")
    return X


def _array(path: Path) -> NDArray[Any]:
    match path.suffix.lower():
        case ".npy":
            return read_npy_array(path)
        case ".npz":
            arrays = read_npz_arrays(path)
            if "x" not in arrays:
                raise DataError(f"{path}: expected an array X of rows to predict; found {', '.join(arrays) or 'none'}.")
            return arrays["x"]
        case suffix:
            raise DataError(f"{path}: its suffix {suffix!r} is not one of .csv .tsv .parquet .arrow .feather .npy .npz")
