"""Rows to predict are found by name in tables, and have the width that the model takes."""

import gzip
import tracemalloc
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.data import Table
from chainrule.data.streaming import row_blocks
from chainrule.errors import DataError


def written(path: Path, columns: dict[str, list], per_part: int = 100_000) -> Path:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pa.table(columns)
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=per_part)
    else:
        with pa.ipc.new_file(str(path), table.schema) as sink:
            sink.write_table(table, max_chunksize=per_part)
    return path


def blocks(
    path: Path, names: tuple[str, ...], n: int, words: tuple[str, ...] | None = None, size: int = 2
) -> list[Table]:
    return list(row_blocks(path, names, n, words, size))


def rows(*arguments: Any) -> list[list[float]]:
    return [row for block in blocks(*arguments) for row in block.X.tolist()]


def refusal(path: Path, names: tuple[str, ...], n_features: int, words: tuple[str, ...] | None = None) -> str:
    with pytest.raises(DataError) as error:
        blocks(path, names, n_features, words)
    return str(error.value).removeprefix(f"{path}: ")


def test_csv_by_name(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("note,b,a\nfirst,1,2\nsecond,3,true\n")
    assert rows(path, ("a", "b"), 2) == [[2, 1], [1, 3]]
    assert refusal(path, ("a", "c"), 2) == "there is no column 'c'; its columns are note, b, a"
    assert refusal(path, (), 3).startswith("line 2, column 'note': 'first' is no number.")


def test_other_columns_may_be_called_anything(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text(",b,n,n,a,__index_level_0__\nx,1,2,3,4,5\n")
    assert rows(path, ("a", "b"), 2) == [[4, 1]]
    assert refusal(path, (), 6) == "column 1 has no name. Name it, or remove it if it is a row index."
    path.write_text("b,a,b\n1,2,3\n")
    assert refusal(path, ("a", "b"), 2) == "two columns are called 'b'. Rename or remove one of them."


@pytest.mark.parametrize("mark", [";", "\t"])
def test_cells_that_are_separated_otherwise(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "new.csv"
    path.write_text(f"a{mark}b\n1{mark}2\n")
    assert refusal(path, ("a", "b"), 2) == (
        f"there is no column 'a'; its only column is {f'a{mark}b'!r}. Separate cells by commas, in a .tsv by tabs."
    )


def test_csv_without_names(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("u,v\n1,2\n")
    assert rows(path, (), 2) == [[1, 2]]
    assert refusal(path, (), 3) == "holds shape (1, 2) of float64; the model takes rows of 3 numbers."


def test_parquet_by_name(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "new.parquet"
    parquet.write_table(pa.table({"note": ["x", "y"], "b": [1, 3], "a": [2, 4]}), path)
    assert rows(path, ("a", "b"), 2) == [[2, 1], [4, 3]]
    assert refusal(path, ("c",), 1) == "there is no column 'c'; its columns are note, b, a"


def test_arrays(tmp_path: Path) -> None:
    images = np.arange(24, dtype=">u2").reshape(2, 3, 4)
    np.save(tmp_path / "new.npy", images)
    np.savez(tmp_path / "new.npz", X=images)
    for name in ("new.npy", "new.npz"):
        (block,) = blocks(tmp_path / name, (), 12)
        X = block.X
        np.testing.assert_array_equal(X, images.reshape(2, 12))
        assert X.dtype == np.uint16
        assert refusal(tmp_path / name, (), 5) == "holds shape (2, 12) of uint16; the model takes rows of 5 numbers."
    np.savez(tmp_path / "other.npz", rows=images)
    assert refusal(tmp_path / "other.npz", (), 12) == "expected an array X of rows to predict; found none."


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_rows_of_another_shape_than_the_models_are_refused(tmp_path: Path, suffix: str, order: Any) -> None:
    path = tmp_path / f"new.{suffix}"

    def taken(shape: tuple[int, ...], row_shape: tuple[int, ...]) -> int:
        X = np.zeros(shape, order=order)
        np.save(path, X) if suffix == "npy" else np.savez(path, X=X)
        return sum(len(block) for block in row_blocks(path, (), 24, None, 10, row_shape))

    for shape in [(5, 24), (5, 3, 2, 4), (5, 1, 3, 2, 4), (5, 24, 1)]:
        assert taken(shape, (3, 2, 4)) == 5
    for row_shape in [(), (24,), (1, 24)]:
        assert taken((5, 2, 4, 3), row_shape) == 5
    for shape, last in [((2, 4, 3), " Put the channels first: X.transpose(0, 3, 1, 2)."), ((3, 4, 2), "")]:
        with pytest.raises(DataError) as error:
            taken((5, *shape), (3, 2, 4))
        assert str(error.value) == (
            f"{path}: holds rows of shape {shape}; the model takes rows of shape (3, 2, 4), or flat ones of 24 "
            f"numbers.{last}"
        )


TO_PREDICT = "Correct the cell, or leave the row out."


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("old", f"'old' is no number. The model takes numbers there. {TO_PREDICT}"),
        ("", f"'' is no value. The model knows no gaps. {TO_PREDICT}"),
        ("nan", f"'nan' is no value. The model knows no gaps. {TO_PREDICT}"),
        ("-Infinity", "'-Infinity' is infinite; expected a finite number. Correct it, or leave the row out."),
    ],
)
def test_a_bad_cell_far_down_is_named_with_what_to_do_about_it_where_rows_are_predicted(
    tmp_path: Path, cell: str, message: str
) -> None:
    path = tmp_path / "new.csv"
    path.write_text(f"a,b\n1,2\n3,4\n5,6\n7,{cell}\n")
    assert refusal(path, ("a", "b"), 2) == f"line 5, column 'b': {message}"
    if "is no value" not in message:
        assert refusal(path, ("a", "b"), 2, ()) == f"line 5, column 'b': {message}"


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
@pytest.mark.parametrize(
    ("values", "words", "message"),
    [
        ([1.0, 2, 3, None, 5], None, f"row 3, column 'b': None is no value. The model knows no gaps. {TO_PREDICT}"),
        ([1.0, 2, 3, np.inf, 5], (), "row 3, column 'b': inf is infinite; expected a finite number. Correct it, or leave "
                                     "the row out."),
        (["", "NA", None, "x", "y"], (), f"row 3, column 'b': 'x' is no number. The model takes numbers there. {TO_PREDICT}"),
        ([None] * 5, None, f"row 0, column 'b': None is no value. The model knows no gaps. {TO_PREDICT}"),
        ([[1]] * 5, (), "column 'b' is list<item: int64>; the model takes numbers there. Write the column as it was for "
                        "the training."),
        ([date(2020, 1, 1)] * 5, ("b",), "column 'b' is date32[day]; the model takes words there. Write the column as it "
                                         "was for the training."),
    ],
)  # fmt: skip
def test_a_bad_column_of_arrow(tmp_path: Path, suffix: str, values: list, words: tuple[str, ...], message: str) -> None:
    path = written(tmp_path / f"new.{suffix}", {"a": [1, 2, 3, 4, 5], "b": values})
    assert refusal(path, ("a", "b"), 2, words).replace("<element:", "<item:") == message


def test_blocks_are_the_rows_whatever_the_files_own_parts_are(tmp_path: Path) -> None:
    columns = {"a": [*range(9), None], "b": [*"abcabc", "", None, "x", "d"], "more": [[1]] * 10}
    (tmp_path / "new.csv").write_text(
        "a,b,more\n"
        + "".join(f"{'' if a is None else a},{b or ''},x\n" for a, b in zip(columns["a"], columns["b"], strict=True))
    )
    for name in ("new.csv", "new.parquet", "new.arrow"):
        path = tmp_path / name if name.endswith("csv") else written(tmp_path / name, columns, 3)
        (whole,) = blocks(path, ("b", "a"), 2, ("b",), 10)
        for size in (1, 2, 4, 10):
            parts = blocks(path, ("b", "a"), 2, ("b",), size)
            assert [(len(part), part.first) for part in parts] == [(min(size, 10 - i), i) for i in range(0, 10, size)]
            again = [spelt for part in parts for spelt in spelling(part)]
            assert again == spelling(whole)
    np.save(tmp_path / "new.npy", np.arange(20).reshape(10, 2))
    assert rows(tmp_path / "new.npy", (), 2) == np.arange(20).reshape(10, 2).tolist()
    assert [part.first for part in blocks(tmp_path / "new.npy", (), 2, None, 4)] == [0, 4, 8]


def spelling(table: Table) -> list[list[Any]]:
    """Each row with its words for their codes."""
    return [[None if np.isnan(value) else words[int(value)] if words else value
             for value, words in zip(row, table.categories, strict=True)] for row in table.X]  # fmt: skip


def test_a_column_of_words_may_hold_more_new_ones_than_a_model_could_learn(tmp_path: Path) -> None:
    path = written(tmp_path / "new.parquet", {"b": [f"w{i}" for i in range(70_000)]})
    assert len(blocks(path, ("b",), 1, ("b",), 100_000)[0]) == 70_000


def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    with (tmp_path / "new.csv").open("w") as file:
        file.write("a,b\n")
        file.writelines(f"{i},{i + 0.5}\n" for i in range(200_000))
    tracemalloc.start()
    n = sum(len(block) for block in row_blocks(tmp_path / "new.csv", ("a", "b"), 2, None, 1024))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n == 200_000
    assert most < 0.25 * n * 2 * 8


def test_gaps(tmp_path: Path) -> None:
    path = tmp_path / "new.npy"
    np.save(path, np.array([[1, 2], [3, np.nan]]))
    assert refusal(path, (), 2) == "is nan at row 1, column 1. Correct it, or leave the row out."
    assert refusal(path, ("a", "b"), 2) == "is nan at row 1, column 'b'. Correct it, or leave the row out."


@pytest.mark.parametrize("words", [None, ("a",)])
def test_other_files(tmp_path: Path, words: tuple[str, ...] | None) -> None:
    for name in ("a.txt", "a", "a.csv.gz"):
        (tmp_path / name).touch()
    assert refusal(tmp_path / "a.txt", (), 2, words) == (
        "its suffix '.txt' is not one of .csv .tsv .parquet .arrow .feather .npy .npz."
    )
    assert refusal(tmp_path / "a", (), 2, words) == (
        "it has no suffix; expected one of .csv .tsv .parquet .arrow .feather .npy .npz."
    )
    assert refusal(tmp_path, (), 2, words) == "is a folder; name a file with the rows."
    (tmp_path / "packed.csv").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert refusal(tmp_path / "packed.csv", (), 2) == "is packed by gzip. Unpack it first."
    assert refusal(tmp_path / "a.csv.gz", (), 2, words).endswith(".npz. Unpack it first.")
    for name in ("a.npy", "nothere", "-", "none.txt", "none.csv.gz"):
        assert refusal(tmp_path / name, (), 2, words) == "there is no such file. Check the path."


def test_a_model_of_images_tells_what_it_takes_for_them(tmp_path: Path) -> None:
    (tmp_path / "one.png").touch()
    images = "Images are taken as a .npy of shape (n, 3, 2, 4): images, channels, height, width."
    for path, message in [
        (tmp_path, "is a folder; name a file with the rows."),
        (tmp_path / "one.png", "its suffix '.png' is not one of .csv .tsv .parquet .arrow .feather .npy .npz."),
    ]:
        with pytest.raises(DataError) as error:
            list(row_blocks(path, (), 24, None, 10, (3, 2, 4)))
        assert str(error.value) == f"{path}: {message} {images}"
