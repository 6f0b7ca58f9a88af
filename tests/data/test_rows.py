"""Rows to predict are found by name in tables, and have the width that the model takes."""

from pathlib import Path

import numpy as np
import pytest

from chainrule.data.readers import read_rows
from chainrule.errors import DataError


def refusal(path: Path, names: tuple[str, ...], n_features: int) -> str:
    with pytest.raises(DataError) as error:
        read_rows(path, names, n_features)
    return str(error.value).removeprefix(f"{path}: ")


def test_csv_by_name(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("note,b,a\nfirst,1,2\nsecond,3,true\n")
    assert read_rows(path, ("a", "b"), 2).tolist() == [[2, 1], [1, 3]]
    assert refusal(path, ("a", "c"), 2) == "there is no column 'c'; its columns are note, b, a"
    assert refusal(path, (), 3).startswith("line 2, column 'note': 'first' is no number.")


def test_csv_without_names(tmp_path: Path) -> None:
    path = tmp_path / "new.csv"
    path.write_text("u,v\n1,2\n")
    assert read_rows(path, (), 2).tolist() == [[1, 2]]
    assert refusal(path, (), 3) == "holds shape (1, 2) of float64; the model takes rows of 3 numbers."


def test_parquet_by_name(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "new.parquet"
    parquet.write_table(pa.table({"note": ["x", "y"], "b": [1, 3], "a": [2, 4]}), path)
    assert read_rows(path, ("a", "b"), 2).tolist() == [[2, 1], [4, 3]]
    assert refusal(path, ("c",), 1) == "there is no column 'c'; its columns are note, b, a"


def test_arrays(tmp_path: Path) -> None:
    images = np.arange(24, dtype=">u2").reshape(2, 3, 4)
    np.save(tmp_path / "new.npy", images)
    np.savez(tmp_path / "new.npz", X=images)
    for name in ("new.npy", "new.npz"):
        X = read_rows(tmp_path / name, (), 12)
        np.testing.assert_array_equal(X, images.reshape(2, 12))
        assert X.dtype == np.uint16
        assert refusal(tmp_path / name, (), 5) == "holds shape (2, 12) of uint16; the model takes rows of 5 numbers."
    np.savez(tmp_path / "other.npz", rows=images)
    assert refusal(tmp_path / "other.npz", (), 12) == "expected an array X of rows to predict; found none."


def test_gaps(tmp_path: Path) -> None:
    path = tmp_path / "new.npy"
    np.save(path, np.array([[1, 2], [3, np.nan]]))
    assert refusal(path, (), 2) == "is nan at row 1, column 1. Fill the gap or remove the row."
    assert refusal(path, ("a", "b"), 2) == "is nan at row 1, column 'b'. Fill the gap or remove the row."


def test_other_files(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a.txt", (), 2) == (
        "its suffix '.txt' is not one of .csv .tsv .parquet .arrow .feather .npy .npz"
    )
    assert refusal(tmp_path / "a.npy", (), 2) == "there is no such file. Check the path."
