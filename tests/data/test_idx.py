"""IDX files: what is read is what was written, and a header is never believed before it is checked."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from chainrule.data import read
from chainrule.data.readers.idx import read_array, read_idx
from chainrule.errors import DataError

CODES = {"u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}


def packed(array: np.ndarray, code: str = "u1") -> bytes:
    header = bytes([0, 0, CODES[code], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(code).tobytes()


def write_set(folder: Path, suffix: str = ".gz", dot: bool = False, test: bool = True) -> tuple[np.ndarray, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (9, 5, 4), dtype=np.uint8), np.arange(9) % 4
    for part, rows in (("train", slice(0, 6)), ("t10k", slice(6, 9)))[: 1 + test]:
        for kind, array in (("images-idx3", X[rows]), ("labels-idx1", y[rows])):
            name = f"{part}-{kind.replace('-', '.') if dot else kind}-ubyte{suffix}"
            content = packed(array)
            (folder / name).write_bytes(gzip.compress(content) if suffix == ".gz" else content)
    return X, y


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as error:
        read_array(path)
    return str(error.value).removeprefix(f"{path}: ")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), code=st.sampled_from(sorted(CODES)), zipped=st.booleans())
def test_round_trip(tmp_path: Path, data: st.DataObject, code: str, zipped: bool) -> None:
    shape = data.draw(npst.array_shapes(min_dims=1, max_dims=4, max_side=5, min_side=0))
    array = data.draw(npst.arrays(np.dtype(code).newbyteorder("="), shape))
    path = tmp_path / "array"
    path.write_bytes(gzip.compress(packed(array, code)) if zipped else packed(array, code))
    found = read_array(path)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    assert found.flags.writeable


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("below", ["", "raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw"])
def test_set(tmp_path: Path, suffix: str, dot: bool, below: str) -> None:
    X, y = write_set(tmp_path / below, suffix, dot)
    data = read(str(tmp_path))
    np.testing.assert_array_equal(data.X, X.reshape(9, 20))
    np.testing.assert_array_equal(data.y, y)
    assert (data.n_test, data.row_shape, data.target_names) == (3, (1, 5, 4), ("0", "1", "2", "3"))
    assert data.name == (below.split("/")[0] if "/" in below else tmp_path.name)
    assert data.X.flags.writeable


def test_set_without_test_rows(tmp_path: Path) -> None:
    write_set(tmp_path, test=False)
    assert read_idx(tmp_path).n_test == 0


def test_unpacked_by_a_browser_that_kept_the_name(tmp_path: Path) -> None:
    path = tmp_path / "labels.gz"
    path.write_bytes(packed(np.arange(5)))
    assert read_array(path).tolist() == [0, 1, 2, 3, 4]


GOOD = packed(np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing; IDX begins with 00 00, its type (08 for bytes) and its number of axes, 1 to 4."),
        (b"\x89PNG", "begins with 89 50 4e 47; IDX begins with 00 00,"),
        (b"\0\0\x07\x01" + bytes(8), "begins with 00 00 07 01;"),
        (b"\0\0\x08\x00" + bytes(8), "begins with 00 00 08 00;"),
        (b"\0\0\x08\x05" + bytes(80), "begins with 00 00 08 05;"),
        (b"\0\0\x08\x03" + bytes(8), "ends within its header."),
        (GOOD[:-1], "its header promises shape (3, 2), 6 bytes, but it holds only 5."),
        (GOOD + b"\0", "its header promises shape (3, 2), 6 bytes, but it holds more."),
        (
            b"\0\0\x08\x02" + b"\xff" * 8,
            "its header promises shape (4294967295, 4294967295), 18446744",
        ),
        (b"\0\0\x0e\x04" + b"\xff" * 16 + bytes(99), "its header promises shape (4294967295, 4294967295, 4294967295,"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_refused(tmp_path: Path, content: bytes, message: str, zipped: bool) -> None:
    path = tmp_path / "array"
    path.write_bytes(gzip.compress(content) if zipped else content)
    assert refusal(path).replace(",", "").startswith(message.replace(",", ""))


@pytest.mark.parametrize("damage", [lambda z: z[:-9], lambda z: z[:-8] + bytes(8), lambda z: z[:12] + b"\xff" + z[13:]])
def test_damaged_gzip(tmp_path: Path, damage) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(damage(gzip.compress(packed(np.random.default_rng(0).integers(0, 256, (50, 7))))))
    message = refusal(path)
    assert message.startswith("cannot be read: ")
    assert message.endswith("Get the file again.")


def test_missing_file(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == "there is no such file. Check the path."
    assert refusal(tmp_path) == "there is no such file. Check the path."


def test_gzip_bombs_take_no_memory(tmp_path: Path) -> None:
    """One that holds more than its header says, and one whose header says so."""
    silent, honest = tmp_path / "silent.gz", tmp_path / "honest.gz"
    zeros = bytes(2**20)
    n = 300
    for path, header in ((silent, GOOD), (honest, b"\0\0\x08\x01" + struct.pack(">I", n * 2**20))):
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(header)
            for _ in range(n):
                file.write(zeros)
    tracemalloc.start()
    try:
        assert refusal(silent) == "its header promises shape (3, 2), 6 bytes, but it holds more. Get the file again."
        assert refusal(honest) == (
            f"{honest.stat().st_size:,} bytes would unpack to 314,572,800 in memory; expected at most 100 times as many "
            "(or 64 MiB). If the data is yours, unpack it with gunzip."
        )
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def test_images_and_labels_must_agree(tmp_path: Path) -> None:
    write_set(tmp_path)
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(packed(np.zeros(2)))
    with pytest.raises(DataError, match=r"3 images in t10k-images-idx3-ubyte.gz, 2 labels in t10k-labels"):
        read_idx(tmp_path)
    labels.write_bytes(packed(np.zeros((3, 1))))
    with pytest.raises(DataError, match=r"expected images of two or more axes and one integer label each"):
        read_idx(tmp_path)
    labels.unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte, or the same with .gz, is missing beside the other"):
        read_idx(tmp_path)


def test_images_of_two_sizes(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(packed(np.zeros((3, 4, 5))))
    with pytest.raises(DataError, match=r"training images are \(5, 4\) and test images \(4, 5\)"):
        read_idx(tmp_path)


def test_labels_beyond_the_named_classes(tmp_path: Path) -> None:
    write_set(tmp_path)
    with pytest.raises(DataError, match=r"label 3 at row 3 is outside 0..2 \(3 classes\)"):
        read_idx(tmp_path, "small", ("a", "b", "c"))


@pytest.mark.real_data
def test_real_fashion_mnist(fashion_mnist: Path) -> None:
    data = read("fashion-mnist", path=fashion_mnist)
    assert (data.n_rows, data.n_features, data.n_test, data.row_shape) == (70_000, 784, 10_000, (1, 28, 28))
    assert data.target_names[0] == "T-shirt/top"
    assert data.target_names[9] == "Ankle boot"
    assert np.bincount(data.y).tolist() == [7_000] * 10
    assert data.y[:5].tolist() == [9, 0, 0, 3, 0]
