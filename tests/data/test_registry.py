"""Names and paths: what is found where, and what is said when it is not."""

import gzip
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chainrule.data import read
from chainrule.data.readers.catalogue import NAMES
from chainrule.errors import DataError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, no shared folder, no Debian package."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    monkeypatch.setattr("chainrule.data.registry._DEBIAN", {})
    return tmp_path / "home"


def refusal(source: object, **options: object) -> str:
    with pytest.raises(DataError) as error:
        read(str(source), **options)
    return str(error.value)


def small_mnist(folder: Path, first: int = 0) -> Path:
    """Ten rows of 28 by 28, the first label telling sets apart."""
    folder.mkdir(parents=True)
    for part, n in (("train", 7), ("t10k", 3)):
        images = bytes([0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(784 * n)
        labels = bytes([0, 0, 8, 1, 0, 0, 0, n]) + bytes([first, *((i + 1) % 10 for i in range(1, n))])
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    return folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mnist", "fashion-mnist", "kmnist"):
        monkeypatch.setitem(NAMES, name, replace(NAMES[name], rows=10))


def test_what_is_known_of_the_names() -> None:
    assert list(NAMES) == ["digits", "cifar10", "cifar100", "mnist", "fashion-mnist", "kmnist"]
    for name, known in NAMES.items():
        assert known.class_names in ((), tuple(known.class_names))
        assert len(known.class_names) in (0, known.classes)
        assert (known.download_bytes > 0) == (name != "digits")
        for remote in known.remotes:
            assert re.fullmatch(r"[0-9a-f]{32}", remote.md5)
            assert re.match(r"https?://", remote.url)
            assert all(".." not in file and not file.startswith("/") for file in remote.files)


@pytest.mark.usefixtures("small")
def test_order_of_places(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_mnist(home / ".cache/chainrule/data/mnist", first=1)
    assert read("mnist").y[0] == 1
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "shared"))
    assert read("mnist").y[0] == 1
    small_mnist(tmp_path / "shared/mnist", first=2)
    assert read("mnist").y[0] == 2
    small_mnist(tmp_path / "mine", first=3)
    assert read("mnist", path=tmp_path / "mine").y[0] == 3


@pytest.mark.usefixtures("small")
def test_debian_is_looked_at_last(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chainrule.data.registry._DEBIAN", {"fashion-mnist": small_mnist(tmp_path / "usr", first=4)})
    assert read("fashion-mnist").y[0] == 4
    small_mnist(home / ".cache/chainrule/data/fashion-mnist", first=5)
    assert read("fashion-mnist").y[0] == 5


@pytest.mark.usefixtures("small")
def test_each_name_finds_its_own_below_the_same_folder(tmp_path: Path) -> None:
    """Where torchvision put them all side by side, and every set has the same shape."""
    for i, name in enumerate(["MNIST", "FashionMNIST", "KMNIST"]):
        small_mnist(tmp_path / name / "raw", first=i)
    for i, name in enumerate(["mnist", "fashion-mnist", "kmnist"]):
        data = read(name, path=tmp_path)
        assert (data.name, data.y[0], data.target_names) == (name, i, NAMES[name].class_names)
    assert "Give the folder of one of them." in refusal(tmp_path)


def test_not_found(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "shared"))
    assert refusal("cifar100") == (
        f"cifar100: not found. Looked in {tmp_path}/shared/cifar100, {home}/.cache/chainrule/data/cifar100 for "
        "cifar-100-binary/train.bin, cifar-100-binary/test.bin, cifar-100-binary/fine_label_names.txt. "
        "Get it with `chainrule data fetch cifar100`, or give the folder where it is as path."
    )
    assert refusal("mnist", path=tmp_path).startswith(
        f"mnist: not found. Looked in {tmp_path} for train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz,"
    )


def test_other_data_under_a_name(tmp_path: Path) -> None:
    folder = small_mnist(tmp_path / "mine")
    assert refusal("mnist", path=folder) == (
        f"{folder}: holds 10 rows of (1, 28, 28) in 10 classes, but MNIST has 70,000 of (1, 28, 28) in 10. "
        "To read other data, make its folder the source."
    )


def test_unknown_names(tmp_path: Path) -> None:
    known = "digits, cifar10, cifar100, mnist, fashion-mnist, kmnist"
    assert refusal("cifar-10") == (
        f"cifar-10: neither a file or folder nor a known data set: {known}; did you mean 'cifar10'?"
    )
    assert refusal("MNIST") == f"MNIST: neither a file or folder nor a known data set: {known}; did you mean 'mnist'?"
    assert refusal(tmp_path / "zzz") == f"{tmp_path}/zzz: neither a file or folder nor a known data set: {known}"
    assert refusal("fashion_mnist", path=tmp_path) == (
        f"fashion_mnist: path is only for sets with a name: {known}; did you mean 'fashion-mnist'?"
    )


@pytest.mark.parametrize("name", ["t.csv", "sub/t.parquet", "t.npz", "folder"])
def test_where_a_relative_path_was_looked_for(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = f"; {tmp_path / name} was looked for, a relative path being taken from the current folder"
    if name == "folder":
        known = "digits, cifar10, cifar100, mnist, fashion-mnist, kmnist"
        assert refusal(name) == f"folder: neither a file or folder nor a known data set: {known}{told}"
    else:
        assert refusal(name) == f"{name}: there is no such file{told}. Check the path."
        assert refusal(tmp_path / name) == f"{tmp_path / name}: there is no such file. Check the path."


def test_unknown_files(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"")
    assert refusal(tmp_path / "a.zip") == (
        f"{tmp_path}/a.zip: its suffix '.zip' is not one that is read: .csv, .tsv, .parquet, .arrow, .feather, .npz. "
        "For other layouts give the folder; unpack archives first."
    )
    assert refusal(tmp_path) == (
        f"{tmp_path}: nothing in it is known. Expected CIFAR-10 or CIFAR-100, IDX files (train-images-idx3-ubyte), "
        "X.npy and y.npy, or a folder of images for each class."
    )


def test_two_sets_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-bin").mkdir()
    (tmp_path / "cifar-10-batches-bin/test_batch.bin").touch()
    np.save(tmp_path / "X.npy", [1])
    assert refusal(tmp_path) == f"{tmp_path}: holds cifar10 and NumPy arrays. Give the folder of one of them."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "x"}, "digits: target 'x' has no use for this data. Leave it out."),
        ({"image_size": (8, 8)}, "digits: image_size (8, 8) has no use for this data. Leave it out."),
        ({"task": "regression"}, "digits: task 'regression' has no use for this data. Leave it out."),
        ({"path": "x"}, "digits: is installed with scikit-learn; path 'x' has no use. Leave it out."),
    ],
)
def test_options_without_use(options: dict[str, object], message: str) -> None:
    assert refusal("digits", **options) == message


def test_options_of_files_and_folders(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    assert refusal(path, image_size=(8, 8)) == f"{path}: image_size (8, 8) has no use for this data. Leave it out."
    np.savez(tmp_path / "a.npz", X=[[1], [2]], y=[0, 1])
    assert "target 'y' has no use" in refusal(tmp_path / "a.npz", target="y")
    assert read("digits", task="classification").n_rows == 1797


def test_capital_suffix_and_home(home: Path) -> None:
    home.mkdir()
    (home / "A.CSV").write_text("a,b\n1,2\n3,4\n")
    assert read("~/A.CSV").n_rows == 2


def test_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: Path) -> object:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(Path, "iterdir", denied)
    assert refusal(tmp_path) == f"{tmp_path}: cannot be read: [Errno 13] Permission denied: '{tmp_path}'"
