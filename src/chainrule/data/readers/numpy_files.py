"""NumPy's own files: an `.npz` that holds X and y, and a folder with X.npy and y.npy."""

import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset, Task
from chainrule.data.readers.files import LABEL_BYTES, Sips, Stream, missing, opened, refuse_bomb, take
from chainrule.data.readers.values import flattened, native, targets, texts
from chainrule.errors import DataError

Array = NDArray[Any]
T = TypeVar("T")

_TRAIN = (("x", "y"), ("x_train", "y_train"))
_WANTED = {*sum(_TRAIN, ()), "x_test", "y_test", "weight", "target_names", "feature_names"}
_HEADER_BYTES = 2**14
_SAVE_PLAIN = "save it with numpy.savez"
_TEXT_COPIES = {"S": 12, "U": 3}  # decoded, sorted, and where they stood before
_NO_HEADER = (ValueError, TypeError, SyntaxError, tokenize.TokenError, MemoryError, RecursionError)
_NO_ZIP = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, UnicodeDecodeError)


def find(folder: Path) -> dict[str, Path]:
    """The `.npy` files of a folder that are those of one data set, by their names in small letters."""
    return _wanted(folder, ((file.name, file) for file in sorted(folder.glob("*.npy"))))


def read_npy(folder: Path, task: Task | None = None) -> Dataset:
    """X.npy and y.npy (or x_train, y_train) of a folder, with X_test.npy and y_test.npy where there are any."""
    return _dataset(folder, {name: read_npy_array(file) for name, file in find(folder).items()}, task)


def read_npz(path: Path, task: Task | None = None) -> Dataset:
    """X and y, or x_train and y_train as Keras writes them, with x_test and y_test where there are any.

    `weight` (of every row, test rows last), `target_names` and `feature_names` are read too; others are left alone.
    """
    return _dataset(path, read_npz_arrays(path), task)


def read_npy_array(path: Path) -> Array:
    """The array in a `.npy`."""
    with opened(path) as stream:
        return _array(path, stream, path.stat().st_size)


def read_npz_arrays(path: Path) -> dict[str, Array]:
    """The arrays of an `.npz` that are those of one data set, by their names in small letters."""
    if not path.is_file():
        raise missing(path)
    arrays = {}
    try:
        with Sips(path.open("rb", buffering=0)) as file, zipfile.ZipFile(file) as archive:
            members = _wanted(path, ((info.filename, info) for info in archive.infolist()))
            refuse_bomb(path, path.stat().st_size, sum(member.file_size for member in members.values()), _SAVE_PLAIN)
            for name, member in members.items():
                inside = path / member.filename
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise DataError(f"{inside}: is packed in a way that numpy.savez does not write. Save it again.")
                with archive.open(member) as stream:
                    arrays[name] = _array(inside, stream, member.file_size)
    except _NO_ZIP as error:
        raise DataError(f"{path}: cannot be read: {error}. Save it again with numpy.savez.") from error
    return arrays


def _wanted(path: Path, files: Iterable[tuple[str, T]]) -> dict[str, T]:
    found: dict[str, T] = {}
    for file, value in files:
        name = file.removesuffix(".npy").lower()
        if name in found:
            raise DataError(f"{path}: holds {file!r} twice, in small or capital letters. Keep one of them.")
        if name in _WANTED:
            found[name] = value
    return found


def _array(path: Path, stream: Stream, size: int) -> Array:
    """The array of one `.npy`, read only when its header is sound and agrees with the size of the file."""
    dtype, shape, order, header = read_header(path, stream)
    n_bytes = math.prod(shape) * dtype.itemsize
    if header + n_bytes != size:
        raise DataError(
            f"{path}: its header promises shape {shape} of {dtype}, {header + n_bytes:,} bytes with the header, but it "
            f"holds {size:,}. Save it again."
        )
    stream.seek(header)
    content = take(stream, n_bytes)
    if len(content) < n_bytes or stream.read(1):
        raise DataError(f"{path}: does not hold the {n_bytes:,} bytes that it promises. Save it again.")
    try:
        return native(content.view(dtype).reshape(shape, order=order))
    except ValueError as error:  # too many axes, or too large a shape around an axis of 0
        raise DataError(f"{path}: has dtype {dtype} and shape {shape}: {error}. Save it again.") from error


def read_header(path: Path, stream: Stream) -> tuple[np.dtype[Any], tuple[int, ...], Any, int]:
    """Dtype, shape and order ("C" or "F") of the array in a `.npy`, and the byte at which it begins."""
    start = io.BytesIO(stream.read(_HEADER_BYTES))  # a header says how long it is, and may lie
    try:
        version = npy.read_magic(start)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(start)
    except _NO_HEADER as error:
        raise DataError(f"{path}: its header is no .npy header: {error}. Save it again with numpy.save.") from error
    if dtype.hasobject:
        raise DataError(
            f"{path}: holds Python objects (dtype object), which only unpickling reads, and that may run any code. "
            "Save it as numbers or as texts of one dtype: array.astype(float) or array.astype(str)."
        )
    if dtype.kind not in "biufUS" or dtype.itemsize == 0 or min(shape, default=0) < 0:
        raise DataError(f"{path}: has dtype {dtype} and shape {shape}; expected numbers or texts.")
    return dtype, shape, "F" if fortran else "C", start.tell()


def _dataset(path: Path, arrays: dict[str, Array], task: Task | None) -> Dataset:
    pair = next((pair for pair in _TRAIN if set(pair) <= set(arrays)), None)
    if pair is None:
        raise DataError(
            f"{path}: expected arrays X and y, or x_train and y_train, with x_test and y_test if there is a test set; "
            f"found {', '.join(arrays) or 'none of them'}."
        )
    if ("x_test" in arrays) != ("y_test" in arrays):
        raise DataError(f"{path}: x_test and y_test go together; one of them is missing.")
    parts = [pair, ("x_test", "y_test")] if "x_test" in arrays else [pair]
    for pair in parts:
        _check_rows(path, arrays, *pair)
    if path.is_file():
        others = (array for name, array in arrays.items() if name not in ("x", "x_train", "x_test"))
        _refuse_growth(path, sum(array.nbytes for array in arrays.values()), others)
    X, row_shape = flattened(_joined(path, [arrays[rows] for rows, _ in parts]))
    target_names, features = (_names(path, arrays, name) for name in ("target_names", "feature_names"))
    joined = _joined(path, [arrays[target] for _, target in parts])
    y, task, target_names = targets(joined, task, path, names=target_names)
    n_test = len(arrays["y_test"]) if "y_test" in arrays else 0
    return Dataset(path.stem, X, y, task, target_names, features, row_shape, n_test, weight=arrays.get("weight"))


def _refuse_growth(path: Path, n_bytes: int, others: Iterable[Array]) -> None:
    """Labels of one byte become numbers of eight, are sorted, and the like."""
    for array in others:
        n_bytes += LABEL_BYTES * array.size + _TEXT_COPIES.get(array.dtype.kind, 0) * array.nbytes
    refuse_bomb(path, path.stat().st_size, n_bytes, _SAVE_PLAIN)


def _names(path: Path, arrays: dict[str, Array], name: str) -> tuple[str, ...]:
    return tuple(map(str, texts(arrays[name].ravel(), path, name))) if name in arrays else ()


def _check_rows(path: Path, arrays: dict[str, Array], x_name: str, y_name: str) -> None:
    X, y = arrays[x_name], arrays[y_name]
    if X.ndim < 2 or y.ndim < 1 or len(X) != len(y):
        raise DataError(
            f"{path}: {x_name} has shape {X.shape} and {y_name} {y.shape}; expected (n_rows, n_features) or more "
            "axes, and as many targets."
        )


def _joined(path: Path, parts: list[Array]) -> Array:
    if len(parts) == 1:
        return parts[0]
    train, test = parts
    if train.shape[1:] != test.shape[1:] or train.dtype.kind != test.dtype.kind:
        raise DataError(
            f"{path}: training rows are {train.shape[1:]} {train.dtype}, test rows {test.shape[1:]} {test.dtype}; "
            "they must be alike."
        )
    return np.concatenate(parts)
