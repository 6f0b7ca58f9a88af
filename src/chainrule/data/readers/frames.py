"""Data frames in memory, of pandas, polars or pyarrow, by what they are called, so that none of them is imported."""

from collections.abc import Collection, Sequence
from datetime import date as Date  # noqa: N812
from datetime import time as Time  # noqa: N812
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset, Task
from chainrule.data.readers import arrow_columns
from chainrule.data.readers.columns import Features, assembled, check_categorical, date, infinite, merged, mixed
from chainrule.data.readers.tables import column_indices, gap, no_number, table, target_index, twice
from chainrule.data.readers.values import Texts, native
from chainrule.data.tables import Table, is_gap, word
from chainrule.errors import DataError

NAME = "frame"

Values = NDArray[Any] | Texts


def is_frame(value: Any) -> bool:
    """Whether a value is a data frame of a library that is known here."""
    return _library(value) in _COLUMNS and hasattr(value, "columns") and hasattr(value, "shape")


def read_frame(
    frame: Any, target: str | None = None, task: Task | None = None, categorical: Collection[str] = ()
) -> Dataset:
    """The data set of a frame whose column `target`, the last one unless given, is to be predicted."""
    names, path = column_names(frame), Path(NAME)
    _check_rows(frame)
    at = target_index(path, names, target)
    check_categorical(path, names, names[at], categorical)
    features = _features(frame, [i for i in range(len(names)) if i != at], categorical, tell=True)
    y = _target(names[at], _column(frame, at))
    return table(path, features, y, names, at, task)


def features_of(frame: Any) -> Table:
    """All columns, to learn from. Raises a DataError for dates, identifiers, and numbers among texts."""
    names = column_names(frame)
    _check_rows(frame)
    X, categories = _features(frame, range(len(names)), (), tell=True)
    return Table(X, categories or (None,) * X.shape[1], tuple(names))


def rows_of(frame: Any, wanted: Sequence[str] = (), categorical: Collection[str] = ()) -> Table:
    """The wanted columns, in that order, or all if none are named; of those in `categorical` all values are names."""
    names = column_names(frame)
    _check_rows(frame)
    chosen = column_indices(Path(NAME), names, wanted)
    X, categories = _features(frame, chosen, categorical, tell=False)
    return Table(X, categories or (None,) * X.shape[1], tuple(names[i] for i in chosen))


def column_names(frame: Any) -> list[str]:
    """The names of the columns, as texts."""
    return [str(name) for name in (frame.column_names if _library(frame) == "pyarrow" else frame.columns)]


def check_names(frame: Any) -> None:
    """Raise a DataError where two columns have one name."""
    seen = set()
    for name in column_names(frame):
        if name in seen:
            raise twice(Path(NAME), name)
        seen.add(name)


def is_plain(frame: Any) -> bool:
    """Whether all columns are numbers or booleans without gaps, as arrays hold them too."""
    return all(_COLUMNS[_library(frame)][1](frame, i) for i in range(frame.shape[1]))


def _check_rows(frame: Any) -> None:
    if not all(frame.shape):
        raise DataError(f"{NAME}: has shape {tuple(frame.shape)}; expected at least one row and one column.")


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


def _column(frame: Any, i: int, *, named: bool = False) -> tuple[Values, bool]:
    """Its values, and whether it is one of categories by its type."""
    name = column_names(frame)[i]
    return _COLUMNS[_library(frame)][0](frame, i, name, named)


def _features(frame: Any, chosen: Sequence[int], categorical: Collection[str], *, tell: bool) -> Features:
    names = column_names(frame)
    found = [_column(frame, i, named=names[i] in categorical) for i in chosen]
    declared = [names[i] for i, (_, is_category) in zip(chosen, found, strict=True) if is_category]
    return assembled(
        NAME, [names[i] for i in chosen], [values for values, _ in found], categorical, declared, tell=tell
    )


def _target(name: str, column: tuple[Values, bool]) -> Values:
    values, _ = column
    gaps = values.codes < 0 if isinstance(values, Texts) else ~np.isfinite(values)
    if gaps.any():
        row = int(np.argmax(gaps))
        value = None if isinstance(values, Texts) else float(values[row])
        raise (gap if value is None or np.isnan(value) else infinite)(Path(NAME), f"row {row}", name, value)
    return values


def _pandas(frame: Any, i: int, name: str, named: bool) -> tuple[Values, bool]:
    series = frame.iloc[:, i]
    kind, dtype = str(series.dtype), series.dtype
    if kind == "category":
        codes = series.cat.codes.to_numpy().astype(np.int64)
        return _without_gaps(Texts(codes, [word(value) for value in series.cat.categories])), True
    if dtype.kind in "mM" or kind.startswith(("period", "date", "time", "duration")):
        raise date(NAME, name, str(series.iloc[0]))
    if dtype.kind == "c":
        raise no_number(Path(NAME), "row 0", name, series.iloc[0])
    if dtype.kind in "biuf":  # also what may be missing: Int64, boolean, those of Arrow
        return _pandas_numbers(series), False
    return from_objects(name, series.tolist(), named=named), False


def _pandas_numbers(series: Any) -> NDArray[Any]:
    if series.isna().any():
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    return native(np.asarray(series.to_numpy(dtype=getattr(series.dtype, "numpy_dtype", series.dtype))))


def _pandas_is_plain(frame: Any, i: int) -> bool:
    series = frame.iloc[:, i]
    return series.dtype.kind in "biuf" and str(series.dtype) != "category" and not bool(series.isna().any())


def _polars(frame: Any, i: int, name: str, named: bool) -> tuple[Values, bool]:
    series = frame.to_series(i)
    kind = str(series.dtype)
    if series.dtype.is_temporal():
        raise date(NAME, name, str(series[0]))
    if series.dtype.is_numeric() or kind in ("Boolean", "Null"):
        if series.null_count():
            return np.array([np.nan if value is None else float(value) for value in series.to_list()]), False
        return native(series.to_numpy()), False
    values = from_objects(name, series.to_list(), named=named)
    return values, kind.startswith(("Categorical", "Enum"))


def _polars_is_plain(frame: Any, i: int) -> bool:
    series = frame.to_series(i)
    known = bool(series.dtype.is_numeric()) or str(series.dtype) == "Boolean"
    return known and not series.null_count() and not (series.dtype.is_float() and series.is_nan().any())


def _arrow(frame: Any, i: int, name: str, named: bool) -> tuple[Values, bool]:  # noqa: ARG001
    values = frame.column(i)
    if arrow_columns.is_date(values.type):
        raise date(NAME, name, str(values[0].as_py()))
    if not arrow_columns.is_known(values.type):
        raise no_number(Path(NAME), "row 0", name, str(values.type))
    return arrow_columns.column(NAME, name, values), arrow_columns.is_dictionary(values.type)


def _arrow_is_plain(frame: Any, i: int) -> bool:
    values = frame.column(i)
    if not arrow_columns.is_numeric(values.type) or arrow_columns.is_decimal(values.type) or values.null_count:
        return False
    return not np.isnan(values.to_numpy().astype(np.float64)).any()


_COLUMNS = {
    "pandas": (_pandas, _pandas_is_plain), "polars": (_polars, _polars_is_plain), "pyarrow": (_arrow, _arrow_is_plain),
}  # fmt: skip


def from_objects(name: str, values: Sequence[Any], *, named: bool = False) -> Values:
    """A column of Python's own values: numbers and booleans, or texts; None and NaN are gaps.

    named: whether all values are names of categories. Raises a DataError for dates, for other things, and for numbers
    among texts.
    """
    kinds = [_kind(name, row, value, named=named) for row, value in enumerate(values)]
    first = next((kind for kind in kinds if kind is not None), float)
    for row, kind in enumerate(kinds):
        if kind is not None and kind is not first:
            among = (
                "no number, as the values above it are"
                if first is float
                else "a number, and the values above it are texts"
            )
            raise mixed(NAME, f"row {row}", name, values[row], among)
    if first is float:
        return np.array([np.nan if kind is None else float(value) for kind, value in zip(kinds, values, strict=True)])
    codes: dict[str, int] = {}
    places = [-1 if kind is None else codes.setdefault(word(value), len(codes))
              for kind, value in zip(kinds, values, strict=True)]  # fmt: skip
    return Texts(np.array(places, np.int64), list(codes))


def _kind(name: str, row: int, value: Any, *, named: bool) -> type | None:
    """str or float, or None for a gap."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, str):
        return None if is_gap(value) else str
    if isinstance(value, (bool, np.bool, int, float, np.number)) and not isinstance(
        value, (complex, np.complexfloating)
    ):
        if value != value:  # NaN
            return None
        return str if named else float
    if isinstance(value, (Date, Time, timedelta, np.datetime64, np.timedelta64)):
        raise date(NAME, name, str(value))
    raise no_number(Path(NAME), f"row {row}", name, value)


def _without_gaps(found: Texts) -> Texts:
    """The same, where words that stand for no value are gaps, and each word is there once."""
    places = np.array([*(-1 if is_gap(text) else i for i, text in enumerate(found.words)), -1], np.int64)
    kept = [text for text in found.words if not is_gap(text)]
    order = np.cumsum(places >= 0) - 1
    codes = places[found.codes]
    return merged(Texts(np.where(codes < 0, -1, order[codes]), kept))
