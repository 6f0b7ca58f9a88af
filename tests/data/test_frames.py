"""Frames of pandas, polars and pyarrow say what the CSV says; dates, identifiers and mixed columns are refused."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

import chainrule as cr
from chainrule.data.readers.frames import rows_of
from chainrule.errors import DataError
from tabular import NAMES, written


def in_pandas(path: Path) -> object:
    return pd.read_csv(path, keep_default_na=False, na_values=["", "NA"])


def in_pandas_nullable(path: Path) -> object:
    return in_pandas(path).convert_dtypes()  # type: ignore[attr-defined]


def in_pandas_categories(path: Path) -> object:
    frame = in_pandas(path)
    return frame.assign(**{name: frame[name].astype("category") for name in ("colour", "city")})  # type: ignore


def in_polars(path: Path) -> object:
    return pl.read_csv(path)


def in_polars_categories(path: Path) -> object:
    return pl.read_csv(path).with_columns(pl.col("colour", "city").cast(pl.Categorical))


def in_arrow(path: Path) -> object:
    return pl.read_csv(path).to_arrow()


def in_arrow_dictionaries(path: Path) -> object:
    table = in_arrow(path)
    return pa.table({name: table[name].dictionary_encode() if name in ("colour", "city") else table[name]
                     for name in table.column_names})  # type: ignore[index, attr-defined]  # fmt: skip


@pytest.mark.parametrize("made", [in_pandas, in_pandas_nullable, in_pandas_categories, in_polars, in_polars_categories,
                                  in_arrow, in_arrow_dictionaries])  # fmt: skip
def test_a_frame_is_the_csv(tmp_path: Path, made: object) -> None:
    path = written(tmp_path, 60)
    expected, found = cr.read(str(path), target="price"), cr.read(made(path), target="price")  # type: ignore[operator]
    assert found.categories == expected.categories
    np.testing.assert_array_equal(found.X, expected.X)
    np.testing.assert_array_equal(found.y, expected.y)
    assert (found.feature_names, found.task, found.told) == (NAMES, "regression", expected.told)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_a_file_of_arrow_is_the_csv(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path, 60)
    other = tmp_path / f"table{suffix}"
    table = pa.Table.from_pandas(in_pandas(path), preserve_index=False)
    parquet.write_table(table, other) if suffix == ".parquet" else feather.write_feather(table, other)
    expected, found = cr.read(str(path), target="price"), cr.read(str(other), target="price")
    assert found.categories == expected.categories
    np.testing.assert_array_equal(found.X, expected.X)
    assert found.digest == expected.digest


def test_plain_numbers_keep_their_dtype_and_are_no_table() -> None:
    frame = pd.DataFrame({"a": np.arange(4, dtype=np.float32), "b": [True, False, True, False], "y": [0.5, 1, 2, 3]})
    data = cr.read(frame, target="y")
    assert (data.categories, data.X.dtype) == ((), np.float32)


def refusal(frame: object, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        cr.read(frame, **options)  # type: ignore[arg-type]
    return str(caught.value)


ADVICE = "Make numbers of what may matter (days since a day, month, day of the week, hour) and remove the column."


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"t": pd.to_datetime(["2020-01-31", "2021-02-01"]), "y": [1, 2]}),
        pd.DataFrame({"t": pd.Series([date(2020, 1, 31), date(2021, 2, 1)], dtype=object), "y": [1, 2]}),
        pd.DataFrame({"t": ["2020-01-31", "2021-02-01"], "y": [1, 2]}),
        pl.DataFrame({"t": [date(2020, 1, 31), date(2021, 2, 1)], "y": [1, 2]}),
        pa.table({"t": pa.array([date(2020, 1, 31), date(2021, 2, 1)]), "y": [1, 2]}),
    ],
    ids=["pandas", "objects", "texts", "polars", "arrow"],
)
def test_dates_are_refused_with_what_to_make_of_them(frame: object) -> None:
    message = refusal(frame)
    assert message.startswith("frame: column 't' holds dates or times, such as '2020-01-31")
    assert message.endswith(ADVICE)


@pytest.mark.parametrize("text", ["31.12.2019", "2019-12-31T10:00:00Z", "12/31/19", "10:30", "10:30:01.5"])
def test_texts_that_are_dates(text: str) -> None:
    assert ADVICE in refusal(pd.DataFrame({"t": [text] * 3, "y": [1, 2, 3]}))


@pytest.mark.parametrize("text", ["1.2.3", "2019_12", "10-20", "a 2019-12-31"])
def test_texts_that_are_none(text: str) -> None:
    assert cr.read(pd.DataFrame({"t": [text] * 3, "y": [1.5, 2, 3]})).categories == ((text,),)


def test_identifiers_are_refused_and_named_categories_are_not() -> None:
    frame = pd.DataFrame({"name": [f"n{i}" for i in range(30)], "y": np.arange(30) / 7})
    assert refusal(frame) == (
        "frame: column 'name' holds 30 different texts in 30 rows, such as 'n0'; so many are an identifier or free "
        "text, of which there is nothing to learn. Remove it, or make columns of what in it matters."
    )
    assert len(cr.read(frame, categorical=["name"]).categories[0] or ()) == 30


def test_mixed_columns_are_refused_by_row_and_column() -> None:
    frame = pd.DataFrame({"a": pd.Series([1, 2.5, "red", 4], dtype=object), "y": [1, 2, 3, 4]})
    assert refusal(frame) == (
        "frame: row 2, column 'a': 'red' is no number, as the values above it are. Correct it, or name the column in "
        "data.categorical to take all its values as names of categories."
    )
    frame = pd.DataFrame({"a": pd.Series([None, "red", 7], dtype=object), "y": [1, 2, 3]})
    assert "row 2, column 'a': 7 is a number, and the values above it are texts." in refusal(frame)
    assert cr.read(frame, categorical=["a"]).categories == (("7", "red"),)


def test_decimals_of_arrow_are_numbers() -> None:
    price = pa.array([Decimal("1.50"), Decimal("-0.10"), Decimal("0.30")])
    data = cr.read(pa.table({"price": price, "n": [1, 2, 3], "y": ["a", "b", "a"]}))
    assert data.X.tolist() == [[1.5, 1], [-0.1, 2], [0.3, 3]]
    model = cr.MLPClassifier((4,), max_iter=2).fit(pa.table({"price": price, "n": [1, 2, 3]}), ["a", "b", "a"])
    assert len(model.predict(pa.table({"price": price, "n": [1, 2, 3]}))) == 3


@pytest.mark.parametrize("value", [Decimal(1), [1], 1j, b"x"])
def test_other_things_are_refused(value: object) -> None:
    frame = pd.DataFrame({"a": pd.Series([value, value], dtype=object), "y": [1, 2]})
    assert "row 0, column 'a'" in refusal(frame)
    assert "is no number" in refusal(frame)


def test_options_of_frames() -> None:
    frame = pd.DataFrame({"a": [1, 2], "y": [1.5, 2]})
    assert refusal(frame, path="x") == "frame: path 'x' has no use for a data frame. Leave it out."
    assert refusal(frame, image_size=(1, 1)) == "frame: image_size (1, 1) has no use for this data. Leave it out."
    assert refusal(frame, target="z") == "frame: there is no column 'z'; its columns are a, y"
    assert refusal(frame[:0]) == "frame: has shape (0, 2); expected at least one row and one column."
    assert refusal(frame.assign(y=[1.5, np.nan])).startswith("frame: row 1, column 'y': nan is no value.")
    assert refusal(frame, categorical=["b"]) == "frame: data.categorical names 'b', which is no column; they are a, y"
    assert "names 'y', the target; set data.task = 'classification' instead." in refusal(frame, categorical=["y"])
    assert cr.read(frame, task="regression").told == ""


def test_rows_to_predict_come_by_name_and_may_hold_anything_else() -> None:
    frame = pd.DataFrame({"t": [datetime(2020, 1, 1)] * 2, "b": ["x", None], "a": [1, 2]})
    table = rows_of(frame, ("a", "b"), ("b",))
    assert (table.names, table.categories) == (("a", "b"), (None, ("x",)))
    np.testing.assert_array_equal(table.X, [[1, 0], [2, np.nan]])
