"""CIFAR-10 and CIFAR-100 in both layouts; small ones made here, the real one where it is."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chainrule.data import read
from chainrule.data.readers.cifar import CIFAR10, CIFAR100, Layout, read_cifar10, read_layout
from chainrule.errors import DataError
from data import official_pickle as official

SMALL10 = replace(CIFAR10, files=dict.fromkeys(CIFAR10.files, 4) | {"test_batch": 3})
SMALL100 = replace(CIFAR100, files={"train": 7, "test": 3})
NAMES10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
NAMES100 = [f"class_{i:02}" for i in range(100)]


def batches(layout: Layout) -> dict[str, tuple[np.ndarray, dict[str, np.ndarray]]]:
    rng = np.random.default_rng(0)
    return {
        file: (
            rng.integers(0, 256, (n, 3072), dtype=np.uint8),
            {key: rng.integers(0, k, n) for key, k in layout.labels.items()},
        )
        for file, n in layout.files.items()
    }


def write_binary(folder: Path, layout: Layout) -> Path:
    folder.mkdir(parents=True)
    for file, (pixels, labels) in batches(layout).items():
        rows = np.column_stack([*labels.values(), pixels]).astype(np.uint8)
        (folder / f"{file}.bin").write_bytes(rows.tobytes())
    names = NAMES10 if layout.name == "cifar10" else NAMES100
    (folder / layout.binary_names).write_text("\n".join(names) + "\n\n")
    return folder


def write_python(folder: Path, layout: Layout, dump=official.dictionary) -> Path:
    folder.mkdir(parents=True)
    for file, (pixels, labels) in batches(layout).items():
        content = {"batch_label": file, "data": pixels, "filenames": [f"{i}.png" for i in range(len(pixels))]}
        (folder / file).write_bytes(dump({**content, **{key: column.tolist() for key, column in labels.items()}}))
    meta, key = layout.python_names
    names = NAMES10 if layout.name == "cifar10" else NAMES100
    (folder / meta).write_bytes(dump({"num_cases_per_batch": 10_000, key: names, "num_vis": 3072}))
    return folder


def expected(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    parts = list(batches(layout).values())
    X = np.concatenate([pixels for pixels, _ in parts])
    return X, np.concatenate([list(labels.values())[-1] for _, labels in parts])


def refusal(path: Path, layout: Layout) -> str:
    with pytest.raises(DataError) as error:
        read_layout(path, layout)
    return str(error.value)


@pytest.mark.parametrize("layout", [SMALL10, SMALL100], ids=lambda layout: layout.name)
@pytest.mark.parametrize(
    "write",
    [
        lambda root, layout: write_binary(root / layout.binary, layout),
        lambda root, layout: write_python(root / layout.python, layout),
        lambda root, layout: write_python(root / layout.python, layout, lambda content: pickle.dumps(content, 2)),
        lambda root, layout: write_python(root / layout.python, layout, lambda content: pickle.dumps(content, 5)),
    ],
    ids=["binary", "python 2", "numpy 2, protocol 2", "numpy 2, protocol 5"],
)
def test_round_trip(tmp_path: Path, layout: Layout, write) -> None:
    folder = write(tmp_path, layout)
    X, y = expected(layout)
    for path in (folder, tmp_path):
        data = read_layout(path, layout)
        np.testing.assert_array_equal(data.X, X)
        np.testing.assert_array_equal(data.y, y)
        assert data.X.dtype == np.uint8
        assert data.X.flags.writeable
        assert data.target_names == tuple(NAMES10 if layout.name == "cifar10" else NAMES100)
        assert (data.n_test, data.row_shape, data.note, data.name) == (3, (3, 32, 32), "", layout.name)


def test_binary_is_preferred(tmp_path: Path) -> None:
    write_binary(tmp_path / CIFAR10.binary, SMALL10)
    (tmp_path / CIFAR10.python).mkdir()
    (tmp_path / CIFAR10.python / "test_batch").write_bytes(b"not looked at")
    assert read_layout(tmp_path, SMALL10).n_rows == 23


def test_official_sizes_are_demanded(tmp_path: Path) -> None:
    folder = write_binary(tmp_path / CIFAR10.binary, SMALL10)
    with pytest.raises(DataError) as error:
        read_cifar10(tmp_path)
    assert str(error.value) == (
        f"{folder}/data_batch_1.bin: 12,292 bytes; expected exactly 30,730,000. Get the file again."
    )


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0", lambda data: b""])
def test_files_of_another_size(tmp_path: Path, change) -> None:
    file = write_binary(tmp_path / "x", SMALL10) / "test_batch.bin"
    file.write_bytes(change(file.read_bytes()))
    assert refusal(tmp_path / "x", SMALL10) == (
        f"{file}: {file.stat().st_size:,} bytes; expected exactly 9,219. Get the file again."
    )


@pytest.mark.parametrize(("layout", "at", "message"), [
    (SMALL10, 0, "label 10 at row 2 is outside 0..9"),
    (SMALL100, 0, "coarse label 100 at row 2 is outside 0..19"),
    (SMALL100, 1, "fine label 100 at row 2 is outside 0..99"),
])  # fmt: skip
def test_label_out_of_range(tmp_path: Path, layout: Layout, at: int, message: str) -> None:
    folder = write_binary(tmp_path / "x", layout)
    file = folder / f"{next(iter(layout.files))}.bin"
    content = bytearray(file.read_bytes())
    content[2 * (3072 + len(layout.labels)) + at] = 10 if layout is SMALL10 else 100
    file.write_bytes(content)
    assert refusal(folder, layout) == f"{file}: {message}. Get the file again."


def test_label_out_of_range_in_a_pickle(tmp_path: Path) -> None:
    folder = write_python(tmp_path / "x", SMALL10)
    content = pickle.loads((folder / "data_batch_3").read_bytes(), encoding="latin1")
    content["labels"][1] = -1
    (folder / "data_batch_3").write_bytes(pickle.dumps(content, 2))
    assert refusal(folder, SMALL10) == (
        f"{folder}/data_batch_3: label -1 at row 1 is outside 0..9. Get the file again."
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("labels", [1, 2, 3], "'labels' is not a list of 4 integers"),
        ("labels", [1, 2, 3, "4"], "'labels' is not a list of 4 integers"),
        ("labels", [1, 2, 3, True], "'labels' is not a list of 4 integers"),
        ("labels", {}, "'labels' is not a list of 4 integers"),
        ("labels", [2**31 - 1] * 4, "label 2147483647 at row 0 is outside 0..9"),
        ("data", [], "'data' is nothing; expected uint8 of shape (4, 3072)"),
        ("data", np.zeros((4, 3), np.uint8), "'data' is (4, 3); expected uint8 of shape (4, 3072)"),
        ("data", np.zeros((3072, 4), np.uint8), "'data' is (3072, 4); expected uint8 of shape (4, 3072)"),
    ],
)
def test_wrong_contents_of_a_pickle(tmp_path: Path, key: str, value: object, message: str) -> None:
    folder = write_python(tmp_path / "x", SMALL10)
    content = pickle.loads((folder / "data_batch_1").read_bytes(), encoding="latin1")
    (folder / "data_batch_1").write_bytes(pickle.dumps({**content, key: value}, 2))
    assert refusal(folder, SMALL10) == f"{folder}/data_batch_1: {message}. Get the file again."


def test_pickle_far_too_large_is_not_read(tmp_path: Path) -> None:
    folder = write_python(tmp_path / "x", SMALL10)
    (folder / "data_batch_1").write_bytes(bytes(200_000))
    assert "holds more than 91,136 bytes" in refusal(folder, SMALL10)


def test_wrong_class_names(tmp_path: Path) -> None:
    folder = write_binary(tmp_path / "x", SMALL10)
    (folder / "batches.meta.txt").write_text("cat\ndog\n")
    assert refusal(folder, SMALL10) == (
        f"{folder}/batches.meta.txt: expected the names of 10 classes, each once. Get the file again."
    )


def test_missing_file(tmp_path: Path) -> None:
    folder = write_binary(tmp_path / "x", SMALL10)
    (folder / "data_batch_2.bin").unlink()
    assert refusal(folder, SMALL10) == (
        f"{folder}/data_batch_2.bin: this file of the set is missing. Unpack the official archive again."
    )


def test_nothing_there(tmp_path: Path) -> None:
    assert refusal(tmp_path, CIFAR10) == (
        f"{tmp_path}: cifar10 is not here; expected cifar-10-batches-bin/test_batch.bin or "
        "cifar-10-batches-py/test_batch and the files beside it."
    )


@pytest.mark.real_data
def test_real_cifar10(cifar10: Path) -> None:
    data = read("cifar10", path=cifar10)
    assert (data.n_rows, data.n_features, data.n_test, data.n_outputs) == (60_000, 3072, 10_000, 10)
    assert data.target_names == tuple(NAMES10)
    assert np.bincount(data.y[:50_000]).tolist() == [5_000] * 10
    assert np.bincount(data.y[50_000:]).tolist() == [1_000] * 10
    assert 100 < data.X[:1000].mean() < 140
