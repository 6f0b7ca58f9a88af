"""IDX, the format of MNIST and of the sets made in its image, packed with gzip or not."""

import gzip
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset
from chainrule.data.readers.files import DEFLATE_LIMIT, LABEL_BYTES, Stream, opened, refuse_bomb, take
from chainrule.data.readers.values import native
from chainrule.errors import DataError

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 4
_MOST_CLASSES = 10_000
_TORCHVISION = ("MNIST", "FashionMNIST", "KMNIST")


def find(path: Path, torchvision: str = "") -> list[Path]:
    """The folders that hold such a set: `path` itself, or those below it where torchvision puts a set of that name."""
    names = [torchvision] if torchvision else _TORCHVISION
    folders = (path / below for below in ("", "raw", *(f"{name}/raw" for name in names)))
    return [folder for folder in folders if _file(folder, "train-images-idx3")]


def read_idx(folder: Path, name: str = "", classes: tuple[str, ...] = ()) -> Dataset:
    """The four files of an MNIST-like set, the test rows (`t10k`) last; without `classes` they are called by number."""
    parts = [_part(folder, "train")]
    if _file(folder, "t10k-images-idx3") or _file(folder, "t10k-labels-idx1"):
        parts.append(_part(folder, "t10k"))
    images, labels = zip(*parts, strict=True)
    if len({part.shape[1:] for part in images}) > 1:
        raise DataError(f"{folder}: training images are {images[0].shape[1:]} and test images {images[1].shape[1:]}.")
    y = np.concatenate(labels).astype(np.int64)
    if y.max(initial=0) >= len(y) + _MOST_CLASSES:  # each class below the largest label is given a name
        raise DataError(f"{folder}: a label is {y.max():,}, with {len(y):,} rows; expected classes counted from 0.")
    return Dataset(
        name=name or (folder.parent if folder.name == "raw" else folder).name,
        X=np.concatenate([part.reshape(len(part), -1) for part in images]),
        y=y,
        task="classification",
        target_names=classes or tuple(str(label) for label in range(int(y.max()) + 1)),
        row_shape=(1, *images[0].shape[1:]) if images[0].ndim == 3 else images[0].shape[1:],
        n_test=len(labels[1]) if len(labels) > 1 else 0,
    )


def read_array(path: Path, beside: int = 0) -> NDArray[Any]:
    """The array in one IDX file, in native byte order; its header is checked against its size before anything else.

    beside: bytes that each value will take elsewhere, which count where a packed file claims to be huge.
    """
    with opened(path) as stream:
        dtype, shape = _header(path, stream)
        n_bytes = math.prod(shape) * dtype.itemsize
        size = path.stat().st_size
        packed = isinstance(stream, gzip.GzipFile)
        if n_bytes > (size * DEFLATE_LIMIT if packed else size):
            raise _wrong_size(path, shape, n_bytes, f"only {size:,}{' packed' if packed else ''}")
        refuse_bomb(path, size, n_bytes + beside * math.prod(shape), instead="unpack it with gunzip")
        content = take(stream, n_bytes)
        if len(content) < n_bytes or stream.read(1):
            raise _wrong_size(path, shape, n_bytes, f"only {len(content):,}" if len(content) < n_bytes else "more")
    try:
        return native(content.view(dtype).reshape(shape))
    except ValueError:  # no values at all, and yet an axis too long for any array
        raise _wrong_size(path, shape, n_bytes, "only 0") from None


def _header(path: Path, stream: Stream) -> tuple[np.dtype[Any], tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not 1 <= magic[3] <= _MOST_AXES:
        raise DataError(
            f"{path}: begins with {magic.hex(' ') or 'nothing'}; IDX begins with 00 00, its type (08 for bytes) "
            f"and its number of axes, 1 to {_MOST_AXES}. Get the file again."
        )
    axes = stream.read(4 * magic[3])
    if len(axes) < 4 * magic[3]:
        raise DataError(f"{path}: ends within its header. Get the file again.")
    return np.dtype(_TYPES[magic[2]]), tuple(int.from_bytes(axes[i : i + 4], "big") for i in range(0, len(axes), 4))


def _wrong_size(path: Path, shape: tuple[int, ...], n_bytes: int, held: str) -> DataError:
    return DataError(
        f"{path}: its header promises shape {shape}, {n_bytes:,} bytes, but it holds {held}. Get the file again."
    )


def _part(folder: Path, part: str) -> tuple[NDArray[Any], NDArray[Any]]:
    paths = []
    for kind in ("images-idx3", "labels-idx1"):
        path = _file(folder, f"{part}-{kind}")
        if path is None:
            raise DataError(f"{folder}: {part}-{kind}-ubyte, or the same with .gz, is missing beside the other files.")
        paths.append(path)
    images, labels = read_array(paths[0]), read_array(paths[1], beside=LABEL_BYTES)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or images.ndim < 2:
        raise DataError(
            f"{folder}: {paths[0].name} has shape {images.shape}, {paths[1].name} {labels.shape} and {labels.dtype}; "
            "expected images of two or more axes and one integer label each."
        )
    if len(images) != len(labels):
        raise DataError(
            f"{folder}: {len(images):,} images in {paths[0].name}, {len(labels):,} labels in {paths[1].name}."
        )
    return images, labels


def _file(folder: Path, stem: str) -> Path | None:
    # MNIST's old home wrote `train-images.idx3-ubyte`.
    stems = (stem, ".".join(stem.rsplit("-", 1)))
    names = (f"{each}-ubyte{suffix}" for each in stems for suffix in ("", ".gz"))
    return next((folder / name for name in names if (folder / name).is_file()), None)
