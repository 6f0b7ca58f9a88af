"""What a model is given to predict, arrays, frames, tables or data sets, as the rows that its preprocessing takes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.data import Dataset, Preparation, Preprocessing, Table
from chainrule.data.readers.columns import assembled
from chainrule.data.readers.frames import from_objects, is_frame, rows_of
from chainrule.data.readers.values import check_row_shape, flattened
from chainrule.data.tables import column_name
from chainrule.errors import DataError


def rows_for(preprocessing: Preprocessing, names: Sequence[str], given: Any, row_shape: tuple[int, ...] = ()) -> Table:
    """What was given as a table of the columns that the preprocessing takes; columns with names are found by them.

    names: of the model's columns. row_shape: of one of its rows before flattening. Raises a DataError for columns that
    are missing, for rows of another shape, for gaps and infinite numbers where
    the model knows none, and for an array of numbers where it takes words.
    """
    words = _columns_of_words(preprocessing)
    if isinstance(given, Table):
        X = given
    elif isinstance(given, Dataset):
        check_row_shape(given.name, given.row_shape, row_shape)
        X = Table(given.X, given.categories or (None,) * given.n_features, tuple(given.feature_names))
    elif is_frame(given):
        X = rows_of(given, names, [names[i] for i in words] if names else ())
    else:
        X = _of_array(preprocessing, names, given, row_shape)
    if names and X.names and tuple(names) != X.names and isinstance(preprocessing, Preparation):
        X = _in_order(X, names)
    if X.X.ndim != 2 or X.X.shape[1] != preprocessing.n_in:
        raise DataError(f"the rows have {X.X.shape[1]} columns; this model takes {preprocessing.n_in}.")
    _check_finite(preprocessing, names, X)
    return X


def _columns_of_words(preprocessing: Preprocessing) -> list[int]:
    if not isinstance(preprocessing, Preparation):
        return []
    return [i for i, words in enumerate(preprocessing.categories) if words is not None]


def _of_array(preprocessing: Preprocessing, names: Sequence[str], X: Any, row_shape: tuple[int, ...]) -> Table:
    if isinstance(X, np.ma.MaskedArray):
        raise DataError("X is a masked array; this model knows no gaps. Fill it: X.filled(value).")
    words, n = _columns_of_words(preprocessing), preprocessing.n_in
    try:
        X = np.asarray(X, dtype=object if words and not isinstance(X, np.ndarray) else None)
    except ValueError as error:
        raise DataError(f"X is no array of numbers: {error}") from None
    if words and X.ndim == 2 and X.shape[1] == n and X.dtype.kind in "OUS":
        columns = [from_objects(str(names[i] if names else i), X[:, i].tolist(), named=i in words) for i in range(n)]
        found, categories = assembled("X", [str(i) for i in range(n)], columns, tell=False)
        return Table(found.astype(np.float64), categories or (None,) * n, tuple(names))
    if words and X.dtype.kind in "biuf":
        where = ", ".join(str(names[i] if names else i) for i in words[:5])
        raise DataError(
            f"X is an array of numbers, and this model takes words in {len(words)} of its {n} columns ({where}); give "
            "a data frame, a data set, or rows with the words themselves."
        )
    X, own_shape = flattened(X)  # (n_rows, n_features)
    if X.ndim != 2 or X.shape[1] != n or X.dtype.kind not in "biuf":
        raise DataError(f"X has shape {X.shape} and dtype {X.dtype}; this model takes numbers (n_rows, {n}).")
    check_row_shape("X", own_shape, row_shape)
    return Table(X, (None,) * n)


def _in_order(table: Table, names: Sequence[str]) -> Table:
    missing = next((name for name in names if name not in table.names), None)
    if missing is not None:
        raise DataError(f"the rows have no column {missing!r}, which this model takes; they have {table.names}.")
    order = [table.names.index(name) for name in names]
    return replace(table, X=table.X[:, order], categories=tuple(table.categories[i] for i in order), names=tuple(names))


def _check_finite(preprocessing: Preprocessing, names: Sequence[str], table: Table) -> None:
    if table.X.dtype.kind != "f":
        return
    gaps = isinstance(preprocessing, Preparation)
    sound = ~np.isinf(table.X) if gaps else np.isfinite(table.X)
    if not sound.all():
        row, column = (int(i) for i in np.argwhere(~sound)[0])
        what = "finite numbers, and NaN for a gap" if gaps else "finite numbers"
        at = f"row {table.first + row}, column {column_name(names or table.names, column)}"
        raise DataError(f"X is {table.X[row, column]} at {at}; this model takes {what}.")
    if not gaps and any(words is not None for words in table.categories):
        column = next(i for i, words in enumerate(table.categories) if words is not None)
        name = repr(table.names[column]) if table.names else str(column)
        raise DataError(f"column {name} holds words; this model takes numbers alone.")
