"""Parquet and Arrow tables, and what is said when they, or pyarrow, are not as needed."""

import datetime
import subprocess
import sys
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.data import read
from chainrule.data.readers.arrow_files import arrow_blocks
from chainrule.errors import DataError

pa = pytest.importorskip("pyarrow")
from pyarrow import feather, parquet  # noqa: E402

COLUMNS = {"a": [1.5, 2.5, 3.5], "n": [1, 2, 3], "kind": ["x", "y", "x"]}


def write(path: Path, table: object) -> Path:
    table = table if isinstance(table, pa.Table) else pa.table(table)
    if path.suffix == ".parquet":
        parquet.write_table(table, path)
    elif path.suffix == ".feather":
        feather.write_feather(table, str(path))
    else:
        new = pa.ipc.new_stream if path.stem == "stream" else pa.ipc.new_file
        with new(path, table.schema) as sink:
            sink.write_table(table, max_chunksize=2)
    return path


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(DataError) as error:
        read(str(path), **options)
    return str(error.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.arrow", "stream.arrow"])
def test_table(tmp_path: Path, name: str) -> None:
    data = read(str(write(tmp_path / name, COLUMNS)))
    assert data.X.tolist() == [[1.5, 1], [2.5, 2], [3.5, 3]]
    assert (data.y.tolist(), data.target_names, data.feature_names) == ([0, 1, 0], ("x", "y"), ("a", "n"))
    assert data.X.dtype == np.float64
    assert data.X.flags.writeable


@pytest.mark.parametrize(("types", "dtype"), [
    (["uint8", "uint8"], np.uint8), (["bool", "bool"], np.uint8), (["bool", "int16"], np.int16),
    (["float32", "int8"], np.float32), (["int64", "float32"], np.float64), (["float16", "float16"], np.float32),
])  # fmt: skip
def test_common_dtype(tmp_path: Path, types: list[str], dtype: type) -> None:
    table = pa.table({name: pa.array([0, 1, 1]).cast(name_type) if name_type != "float16" else
                      pa.array(np.array([0, 1, 1], np.float16)) for name, name_type in zip("ab", types, strict=True)}
                     | {"y": [0, 1, 0]})  # fmt: skip
    data = read(str(write(tmp_path / "t.parquet", table)))
    assert data.X.dtype == dtype
    assert data.X.tolist() == [[0, 0], [1, 1], [1, 1]]


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.arrow"])
@pytest.mark.parametrize("bits", [128, 256])
def test_decimals_are_numbers(tmp_path: Path, name: str, bits: int) -> None:
    kind = {128: pa.decimal128, 256: pa.decimal256}[bits](10, 2)
    prices = pa.array([Decimal("1.50"), Decimal("-0.10"), Decimal("12345678.99")], kind)
    path = write(tmp_path / name, {"price": prices, "n": [1, 2, 3], "y": prices})
    data = read(str(path), task="regression")
    assert data.X.tolist() == [[1.5, 1], [-0.1, 2], [12345678.99, 3]]
    assert (data.X.dtype, data.y.tolist()) == (np.float64, [1.5, -0.1, 12345678.99])
    assert [block.X[:, 0].tolist() for block in arrow_blocks(path, ["price"], None, 3)] == [[1.5, -0.1, 12345678.99]]
    gaps = pa.array([Decimal("1.50"), None, Decimal("2.25")], kind)
    write(path, {"price": gaps, "n": [1, 2, 3], "y": ["a", "b", "a"]})
    np.testing.assert_array_equal(read(str(path)).X, [[1.5, 1], [np.nan, 2], [2.25, 3]])


@pytest.mark.parametrize(
    ("y", "task", "values", "names"),
    [
        (pa.array(["b", "a", "b"]).dictionary_encode(), "classification", [1, 0, 1], ("a", "b")),
        (pa.array(["b", "a", "b"], pa.large_string()), "classification", [1, 0, 1], ("a", "b")),
        (pa.array([True, False, True]), "classification", [1, 0, 1], ("false", "true")),
        (pa.array([5, 7, 5]), "classification", [0, 1, 0], ("5", "7")),
        (pa.array([0.5, 7, 5]), "regression", [0.5, 7, 5], ("y",)),
        (pa.chunked_array([pa.array(["b"]).dictionary_encode(), pa.array(["a", "b"]).dictionary_encode()]),
         "classification", [1, 0, 1], ("a", "b")),
    ],
)  # fmt: skip
def test_what_the_target_is(tmp_path: Path, y: object, task: str, values: list, names: tuple[str, ...]) -> None:
    for name in ("t.parquet", "t.arrow") if not isinstance(y, pa.ChunkedArray) else ("t.parquet",):
        data = read(str(write(tmp_path / name, {"x": [1, 2, 3], "y": y})))
        assert (data.task, data.y.tolist(), data.target_names) == (task, values, names)


FILL = "Fill the gap, or remove the row or the column."
CORRECT_IT = "expected a finite number. Correct it, or remove the row or the column."
ENCODE = "Encode the column as numbers or remove it; if it is what to predict, name it as the target."


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"a": [1.0, np.inf], "y": [0, 1]}, f"row 1, column 'a': inf is infinite; {CORRECT_IT}"),
        ({"a": [datetime.date(2020, 1, 1)] * 2, "y": [0, 1]},
         "column 'a' holds dates or times, such as 'date32[day]'. Make numbers of what may matter (days since a day, "
         "month, day of the week, hour) and remove the column."),
        ({"a": [f"n{i}" for i in range(30)], "y": list(range(30))},
         "column 'a' holds 30 different texts in 30 rows, such as 'n0'; so many are an identifier or free text, of which "
         "there is nothing to learn. Remove it, or make columns of what in it matters."),
        ({"a": [1, 2], "y": [0.5, np.inf]}, f"row 1, column 'y': inf is infinite; {CORRECT_IT}"),
        ({"a": [1, 2], "y": [None, "a"]}, f"row 0, column 'y': None is no value. {FILL}"),
        ({"a": [1, 2], "y": ["", "a"]}, f"row 0, column 'y': '' is no value. {FILL}"),
        ({"a": [[1], [2]], "y": [0, 1]}, f"row 0, column 'a': 'list<element: int64>' is no number. {ENCODE}"),
        ({"a": [1, 2], "y": [datetime.date(2020, 1, 1)] * 2},
         "target 'y' is date32[day]; expected numbers, booleans or texts."),
        ({"a": [], "y": []}, "has 2 columns but no rows."),
        ({"a": [1, 2]}, "the only column is 'a'; expected features and a target."),
        ({"a": [1, 2], "y": ["a", "b" * 2000]}, "target 'y' has a text of 2,000 characters; expected at most 1,000. "
                                                 "Choose another column as the target."),
        ({"a": [1, 2], "y": [0, 1], "__index_level_0__": [0, 1]},
         "column '__index_level_0__' is the row index of pandas. Write the table with index=False."),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, columns: dict[str, list], message: str) -> None:
    assert refusal(write(tmp_path / "t.parquet", columns)) == message


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "b", "a"])
    assert refusal(write(tmp_path / "t.arrow", table)) == "two columns are called 'a'. Rename or remove one of them."


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.feather"])
@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"ARROW1\0\0" + bytes(50), b"PAR1" + bytes(50) + b"PAR1", b"\x80\x04."]
)
def test_no_table(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    message = refusal(tmp_path / name)
    assert message.startswith("cannot be read: ")
    assert message.endswith("Write it again.")


def test_texts_outside_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "t.arrow", {"a": [1, 2], "y": ["a" * 77, "b" * 66]})
    offsets = np.array([[0, 77, 143], [0, 2**20, 2**20 + 1]], np.int32)
    content = path.read_bytes()
    assert content.count(offsets[0].tobytes()) == 1
    path.write_bytes(content.replace(offsets[0].tobytes(), offsets[1].tobytes()))
    assert refusal(path).startswith("cannot be read: ")


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.arrow"])
def test_bombs_are_refused(tmp_path: Path, name: str) -> None:
    n = 2**25 + 1
    table = pa.table({"a": pa.array(np.zeros(n)), "y": pa.array(np.zeros(n, np.int8))})
    path = tmp_path / name
    if name == "t.arrow":
        with pa.ipc.new_file(path, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as sink:
            sink.write_table(table)
    else:
        write(path, table)
    message = refusal(path)
    assert "would unpack to" in message
    assert message.endswith("If the data is yours, write it uncompressed, or as .npz with numpy.savez.")


def test_without_pyarrow(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", COLUMNS)
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from chainrule.data import read\n"
        f"try: read({str(path)!r})\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out == f"DataError {path}: reading it needs pyarrow: pip install 'chainrule[tables]'\n"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["t.parquet", "t.arrow", "stream.arrow", "t.feather"]),
    st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), min_size=1, max_size=4),
    st.booleans(),
)
def test_damaged_files_are_read_or_refused(
    tmp_path: Path, name: str, changes: list[tuple[int, int]], cut: bool
) -> None:
    path = write(tmp_path / name, COLUMNS)
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path.write_bytes(content[: changes[0][0] % len(content)] if cut else content)
    with suppress(DataError):
        read(str(path))
    with suppress(DataError):
        list(arrow_blocks(path, (), tuple(COLUMNS), 2))
