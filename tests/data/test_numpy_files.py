"""`.npz` and `.npy`: what was saved is what is read, and no header or zip entry is believed before it is checked."""

import os
import pickle
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.data import Dataset, read
from chainrule.data.readers.numpy_files import read_npy_array, read_npz
from chainrule.errors import DataError

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


def saved(tmp_path: Path, **arrays: object) -> Path:
    path = tmp_path / "rows.npz"
    np.savez(path, **arrays)
    return path


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(DataError) as error:
        read(str(path), **options)
    return str(error.value).removeprefix(f"{path}")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save) -> None:
    save(tmp_path / "rows.npz", X=X, y=Y, other=np.array(["not looked at", None], dtype=object))
    data = read(str(tmp_path / "rows.npz"))
    np.testing.assert_array_equal(data.X, X)
    np.testing.assert_array_equal(data.y, Y)
    assert (data.X.dtype, data.y.dtype) == (X.dtype, np.int64)
    assert (data.task, data.target_names) == ("classification", ("0", "1", "2"))
    assert data.X.flags.writeable
    assert data.name == "rows"


def test_names_in_the_file(tmp_path: Path) -> None:
    data = read(str(saved(tmp_path, X=X, y=Y, target_names=["a", "b", "c"], feature_names=np.array([b"u", b"v"]))))
    assert (data.target_names, data.feature_names) == (("a", "b", "c"), ("u", "v"))


def test_too_few_names_in_the_file(tmp_path: Path) -> None:
    assert "label 2 at row 2 is outside 0..1 (2 classes)" in refusal(saved(tmp_path, X=X, y=Y, target_names=["a", "b"]))


def test_keras_layout(tmp_path: Path) -> None:
    images = np.arange(5 * 28 * 28, dtype=np.int64).astype(np.uint8).reshape(5, 28, 28)
    labels = np.array([3, 1, 3, 1, 1], np.uint8)
    path = saved(tmp_path, x_train=images[:3], y_train=labels[:3], x_test=images[3:], y_test=labels[3:])
    data = read(str(path))
    np.testing.assert_array_equal(data.X, images.reshape(5, 784))
    assert (data.n_test, data.row_shape, data.X.dtype, data.target_names) == (2, (28, 28), np.uint8, ("1", "3"))
    assert data.y.tolist() == [1, 0, 1, 0, 0]


def test_folder(tmp_path: Path) -> None:
    for name, array in {"X": X, "y": Y / 4, "X_test": X[:2], "y_test": Y[:2] / 4}.items():
        np.save(tmp_path / f"{name}.npy", array)
    data = read(str(tmp_path))
    assert (data.n_rows, data.n_test, data.task, data.target_names) == (8, 2, "regression", ("y",))
    np.testing.assert_array_equal(data.X, np.concatenate([X, X[:2]]))


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", ">i4", "<i8", ">u8", "<f4", ">f8", "f2", ">f2", "g"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_dtypes(tmp_path: Path, dtype: str, order: str) -> None:
    array = np.array([[0, 1], [1, 1], [1, 0]], dtype, order=order)
    data = read(str(saved(tmp_path, X=array, y=[0, 1, 0])))
    np.testing.assert_array_equal(data.X, array)
    assert data.X.dtype.isnative
    expected = (
        {2: np.float32, 16: np.float64}.get(array.itemsize, array.dtype) if array.dtype.kind == "f" else array.dtype
    )
    assert data.X.dtype == np.dtype(expected).newbyteorder("=")


@pytest.mark.parametrize(
    ("y", "task", "values", "names"),
    [
        (["cat", "ant", "cat"], "classification", [1, 0, 1], ("ant", "cat")),
        ([b"\xc3\xa9", b"a", b"a"], "classification", [1, 0, 0], ("a", "é")),
        ([True, False, True], "classification", [1, 0, 1], ("false", "true")),
        ([-1, 1, -1], "classification", [0, 1, 0], ("-1", "1")),
        ([2.0, 7.0, 2.0], "classification", [0, 1, 0], ("2", "7")),
        ([[2], [7], [2]], "classification", [0, 1, 0], ("2", "7")),
        ([0.5, 1.0, 2.0], "regression", [0.5, 1.0, 2.0], ("y",)),
        ([[0.5, 1], [1, 0], [2, 3]], "regression", [[0.5, 1], [1, 0], [2, 3]], ("y0", "y1")),
        ([[0, 1], [1, 1], [0, 0]], "multilabel", [[0, 1], [1, 1], [0, 0]], ("y0", "y1")),
    ],
)
def test_what_the_targets_are(tmp_path: Path, y: list, task: str, values: list, names: tuple[str, ...]) -> None:
    data = read(str(saved(tmp_path, X=X[:3], y=y)))
    assert (data.task, data.y.tolist(), data.target_names) == (task, values, names)


@pytest.mark.parametrize(("n_rows", "n_values", "task"), [
    (100, 20, "classification"), (100, 21, "regression"), (900, 30, "classification"), (900, 31, "regression"),
])  # fmt: skip
def test_many_whole_numbers_are_quantities(tmp_path: Path, n_rows: int, n_values: int, task: str) -> None:
    assert read(str(saved(tmp_path, X=np.ones((n_rows, 1)), y=np.arange(n_rows) % n_values))).task == task


def test_task_forced(tmp_path: Path) -> None:
    path = str(saved(tmp_path, X=np.ones((100, 1)), y=np.arange(100)))
    assert read(path, task="classification").n_outputs == 100
    assert read(path, task="regression").y.dtype == np.float64
    path = str(saved(tmp_path, X=X[:3], y=[0, 1, 1]))
    assert read(path, task="regression").y.tolist() == [0.0, 1.0, 1.0]
    assert read(path, task="multilabel").y.tolist() == [[0], [1], [1]]


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        (["a", "b", "a"], "regression", "y is text, such as 'a', but regression needs numbers."),
        ([0.5, 1, 2], "classification", "y is 0.5 at row 0; class labels must be whole numbers or text."),
        ([0, np.nan, 2], "classification", "y is nan at row 1; class labels must be whole numbers or text."),
        ([[1, 0], [0, 1], [0, 1]], "classification", "If each row is one-hot, store its argmax(axis=1)."),
        ([0, np.nan, 2], None, "y is nan at row 1"),
        ([1j, 2, 3], None, "has dtype complex128"),
        ([[0, 2], [1, 1], [0, 0]], "multilabel", "label 2 at row 0, column 1; expected 0 or 1."),
        (np.zeros((3, 2, 2)), None, "y has shape (3, 2, 2) and dtype float64; expected a number or text for each row."),
        ([b"\xff", b"a", b"a"], None, "y holds bytes that are not UTF-8: 'utf-8' codec can't decode"),
    ],
)
def test_targets_refused(tmp_path: Path, y: object, task: str | None, message: str) -> None:
    assert message in refusal(saved(tmp_path, X=X[:3], y=y), task=task)


def test_names_are_no_labels(tmp_path: Path) -> None:
    names = [f"person {i}" for i in range(50)]
    assert "y holds 50 different texts in 50 rows, such as 'person 0'; that is no class label" in refusal(
        saved(tmp_path, X=np.ones((50, 1)), y=names)
    )


def test_text_beyond_unicode(tmp_path: Path) -> None:
    y = np.array([0x110000, 97, 98], np.uint32).view("<U1")
    assert "y holds codes that no character has" in refusal(saved(tmp_path, X=X[:3], y=y))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, ": expected arrays X and y, or x_train and y_train, with x_test and y_test if there is a test set; "
             "found none of them."),
        ({"X": X}, "found x."),
        ({"y": Y, "x_train": X}, "found y, x_train."),
        ({"X": X, "y": Y, "x_test": X}, ": x_test and y_test go together; one of them is missing."),
        ({"X": X, "y": Y[:-1]}, ": x has shape (6, 2) and y (5,); expected (n_rows, n_features) or more axes"),
        ({"X": Y, "y": Y}, ": x has shape (6,) and y (6,); expected"),
        ({"X": X, "y": np.int64(3)}, ": x has shape (6, 2) and y (); expected"),
        ({"X": X, "y": Y, "x_test": X[:, :1], "y_test": Y}, ": training rows are (2,) float32, test rows (1,)"),
        ({"X": X, "x": X, "y": Y}, ": holds 'x.npy' twice, in small or capital letters. Keep one of them."),
        ({"X": X + np.inf, "y": Y}, "X is inf at row 0, column 0"),
        ({"X": np.full((6, 2), "a"), "y": Y}, "X has dtype <U1; expected numbers"),
        ({"X": np.zeros((0, 2)), "y": np.zeros(0)}, ": y has shape (0,)"),
        ({"X": np.zeros((6, 0)), "y": Y}, "expected at least one row and one column"),
        ({"X": np.zeros(6, "M8[s]"), "y": Y}, "/X.npy: has dtype datetime64[s] and shape (6,); expected"),
        ({"X": np.zeros(6, [("a", "f4")]), "y": Y}, "/X.npy: has dtype [('a', '<f4')]"),
    ],
)  # fmt: skip
def test_contents_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    assert message in refusal(saved(tmp_path, **arrays))


class Touches:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.canary}",)


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    hostile = np.array([[Touches(tmp_path / "canary")]], dtype=object)
    path = saved(tmp_path, X=hostile, y=[1])
    assert refusal(path) == (
        "/X.npy: holds Python objects (dtype object), which only unpickling reads, and that may run any code. "
        "Save it as numbers or as texts of one dtype: array.astype(float) or array.astype(str)."
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    np.save(folder / "X.npy", hostile)
    np.save(folder / "y.npy", [1])
    assert refusal(folder).startswith("/X.npy: holds Python objects")
    (folder / "X.npy").write_bytes(pickle.dumps(Touches(tmp_path / "canary")))
    assert refusal(folder).startswith("/X.npy: its header is no .npy header: ")
    (tmp_path / "x.npz").write_bytes(pickle.dumps(Touches(tmp_path / "canary")))
    assert refusal(tmp_path / "x.npz") == ": cannot be read: File is not a zip file. Save it again with numpy.savez."
    assert not (tmp_path / "canary").exists()


def header(text: str, version: int = 1, length: int | None = None) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "its header is no .npy header"),
        (b"\x93NUMPY", "its header is no .npy header"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (10**12,)}"), "its header is no .npy header"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"), "its header promises shape"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1)}"), "has dtype float64 and shape (-1, -1)"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2)}") + bytes(15), "its header promises"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2)}") + bytes(17), "its header promises"),
        (header("{'descr': '<U0', 'fortran_order': False, 'shape': (9,)}"), "has dtype <U0"),
        (header("{'descr': [1], 'fortran_order': False, 'shape': (9,)}"), "its header is no .npy header"),
        (header("{'descr': '<f8', 'shape': (9,)}"), "its header is no .npy header"),
        (header("__import__('os').system('touch canary')"), "its header is no .npy header"),
        (header("(" * 9_000), "its header is no .npy header"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (1L,", version=1), "its header is no .npy header"),
        (header("", version=2, length=2**32 - 1) + bytes(10**5), "its header is no .npy header"),
        (header("{}", version=9), "its header is no .npy header"),
    ],
)  # fmt: skip
def test_headers_refused_before_memory_is_taken(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "X.npy"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as error:
            read_npy_array(path)
        assert str(error.value).removeprefix(f"{path}: ").startswith(message)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def zipped(path: Path, parts: dict[str, bytes], repeats: int = 1) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, part in parts.items():
            with archive.open(name, "w") as file:
                for i in range(repeats):
                    file.write(part if i == 0 else bytes(2**20))
    return path


def test_zip_bomb_takes_no_memory(tmp_path: Path) -> None:
    start = header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({300 * 2**20},)}}")
    path = zipped(tmp_path / "bomb.npz", {"X.npy": start + bytes(2**20)}, repeats=300)
    tracemalloc.start()
    try:
        message = refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()
    assert message.startswith(": ")
    assert message.endswith(
        "in memory; expected at most 100 times as many (or 64 MiB). If the data is yours, save it with numpy.savez."
    )


def test_members_of_a_zip_lead_nowhere(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.npz", {"../X.npy": b"", "/etc/y.npy": b""})
    assert "found none of them" in refusal(path)
    assert sorted(entry.name for entry in tmp_path.parent.glob("*.npy")) == []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), min_size=1, max_size=4), cut=st.booleans()
)
def test_damaged_files_are_refused_or_whole(tmp_path: Path, changes: list[tuple[int, int]], cut: bool) -> None:
    """Zip's checksum finds every change of the values."""
    path = saved(tmp_path, X=X, y=Y)
    content = bytearray(path.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    path.write_bytes(content[: changes[0][0] % len(content)] if cut else content)
    with suppress(DataError):
        data: Dataset = read_npz(path)
        np.testing.assert_array_equal(data.X, X)
