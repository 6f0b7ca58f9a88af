"""CIFAR-10 and CIFAR-100 as their authors give them, in the binary and in the Python layout."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset
from chainrule.data.readers.files import read_all
from chainrule.data.readers.unpickle import read_pickle
from chainrule.errors import DataError

Bytes = NDArray[np.uint8]
Batch = tuple[Bytes, NDArray[Any]]

_PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Layout:
    """How one of the two sets lies on disk; the last file holds the test rows.

    files: names and rows of the files, without `.bin`. labels: name and number of the classes of each byte before the
    pixels in the binary layout, which are also the keys of the Python layout; the last of them is what we predict.
    """

    name: str
    binary: str
    python: str
    files: dict[str, int]
    labels: dict[str, int]
    binary_names: str
    python_names: tuple[str, str]

    @property
    def n_test(self) -> int:
        """Rows of the last file."""
        return list(self.files.values())[-1]


CIFAR10 = Layout(
    name="cifar10",
    binary="cifar-10-batches-bin",
    python="cifar-10-batches-py",
    files={**{f"data_batch_{i}": 10_000 for i in range(1, 6)}, "test_batch": 10_000},
    labels={"labels": 10},
    binary_names="batches.meta.txt",
    python_names=("batches.meta", "label_names"),
)
CIFAR100 = Layout(
    name="cifar100",
    binary="cifar-100-binary",
    python="cifar-100-python",
    files={"train": 50_000, "test": 10_000},
    labels={"coarse_labels": 20, "fine_labels": 100},
    binary_names="fine_label_names.txt",
    python_names=("meta", "fine_label_names"),
)


def read_cifar10(path: Path) -> Dataset:
    """CIFAR-10 in `path` or a folder of it with the official name."""
    return read_layout(path, CIFAR10)


def read_cifar100(path: Path) -> Dataset:
    """CIFAR-100 with its 100 fine classes, in `path` or a folder of it with the official name."""
    return read_layout(path, CIFAR100)


def find(path: Path, layout: Layout) -> tuple[Path, str] | None:
    """The folder that holds the set, and the suffix of its files: `.bin`, which is preferred, or none for Python's."""
    for suffix, name in ((".bin", layout.binary), ("", layout.python)):
        for folder in (path, path / name):
            # A folder `train` is no batch: image folders have one.
            if any((folder / f"{file}{suffix}").is_file() for file in layout.files):
                return folder, suffix
    return None


def read_layout(path: Path, layout: Layout) -> Dataset:
    """Both splits as uint8 rows, channel by channel, the test rows last; `layout` says what must be there."""
    found = find(path, layout)
    if found is None:
        last = list(layout.files)[-1]
        raise DataError(
            f"{path}: {layout.name} is not here; expected {layout.binary}/{last}.bin or {layout.python}/{last} and the "
            "files beside it."
        )
    folder, suffix = found
    names, batches = (_binary if suffix else _python)(folder, layout)
    n_rows = sum(layout.files.values())
    X, y = np.empty((n_rows, _PIXELS), np.uint8), np.empty(n_rows, np.int64)
    start = 0
    for pixels, labels in batches:
        rows = slice(start, start := start + len(pixels))
        X[rows], y[rows] = pixels, labels
    return Dataset(layout.name, X, y, "classification", names, row_shape=(3, 32, 32), n_test=layout.n_test)


def _binary(folder: Path, layout: Layout) -> tuple[tuple[str, ...], Iterator[Batch]]:
    meta = folder / layout.binary_names
    names = _names(meta, read_all(meta, at_most=2**16).decode("latin1").split(), layout)
    n_labels = len(layout.labels)
    for file, n in layout.files.items():
        _check_size(folder / f"{file}.bin", n * (n_labels + _PIXELS))

    def batches() -> Iterator[Batch]:
        for file, n in layout.files.items():
            batch = folder / f"{file}.bin"
            rows = np.fromfile(batch, np.uint8).reshape(n, n_labels + _PIXELS)
            yield rows[:, n_labels:], _checked(batch, rows[:, :n_labels].T, layout)

    return names, batches()


def _python(folder: Path, layout: Layout) -> tuple[tuple[str, ...], Iterator[Batch]]:
    meta, key = layout.python_names
    names = _names(folder / meta, read_pickle(folder / meta, at_most=2**16).get(key), layout)

    def batches() -> Iterator[Batch]:
        for file, n in layout.files.items():
            # Protocol 2 writes a byte above 127 as two; 256 bytes are ample for a row's labels and file name.
            content = read_pickle(folder / file, at_most=n * (2 * _PIXELS + 256) + 2**16)
            yield _pixels(folder / file, content.get("data"), n), _listed_labels(folder / file, content, n, layout)

    return names, batches()


def _check_size(file: Path, expected: int) -> None:
    if not file.is_file():
        raise DataError(f"{file}: this file of the set is missing. Unpack the official archive again.")
    size = file.stat().st_size
    if size != expected:
        raise DataError(f"{file}: {size:,} bytes; expected exactly {expected:,}. Get the file again.")


def _pixels(file: Path, data: object, n: int) -> Bytes:
    if not isinstance(data, np.ndarray) or data.shape != (n, _PIXELS):
        found = data.shape if isinstance(data, np.ndarray) else "nothing"
        raise DataError(f"{file}: 'data' is {found}; expected uint8 of shape ({n}, {_PIXELS}). Get the file again.")
    return data


def _listed_labels(file: Path, content: dict[str, Any], n: int, layout: Layout) -> NDArray[np.int64]:
    columns = [content.get(key) for key in layout.labels]
    for key, column in zip(layout.labels, columns, strict=True):
        if not isinstance(column, list) or len(column) != n or not all(type(label) is int for label in column):
            raise DataError(f"{file}: {key!r} is not a list of {n:,} integers. Get the file again.")
    return _checked(file, np.array(columns, np.int64), layout)


def _checked(file: Path, labels: NDArray[Any], layout: Layout) -> NDArray[Any]:
    """The last of the label columns, every column being within its classes."""
    for (key, n_classes), column in zip(layout.labels.items(), labels, strict=True):
        outside = np.flatnonzero((column < 0) | (column >= n_classes))
        if outside.size:
            row = int(outside[0])
            raise DataError(
                f"{file}: {key.replace('_', ' ').removesuffix('s')} {column[row]} at row {row} is outside "
                f"0..{n_classes - 1}. Get the file again."
            )
    return labels[-1]  # type: ignore[no-any-return]


def _names(file: Path, names: object, layout: Layout) -> tuple[str, ...]:
    n_classes = list(layout.labels.values())[-1]
    if isinstance(names, list) and all(isinstance(name, str) for name in names) and len(set(names)) == n_classes:
        return tuple(names)
    raise DataError(f"{file}: expected the names of {n_classes} classes, each once. Get the file again.")
