"""What arrays and columns from a file become: rows of native numbers, and labels or quantities to predict."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Task
from chainrule.errors import DataError

Array = NDArray[Any]

_LAST_CODE = 0x10FFFF
_SHOWN = 80


class Texts(NamedTuple):
    """A column of texts: which of `words` each row has. In an array every text would take the room of the longest."""

    codes: NDArray[np.int64]
    words: list[str]


def shown(text: str) -> str:
    """A text cut to what fits a message."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def native(array: Array) -> Array:
    """The same numbers in this machine's byte order; float16 becomes float32, whose sums do not overflow."""
    widened = {2: np.float32, 16: np.float64}.get(array.dtype.itemsize) if array.dtype.kind == "f" else None
    with np.errstate(over="ignore"):  # what a float64 cannot hold becomes inf, and is refused by its row and column
        return array.astype(widened or array.dtype.newbyteorder("="), copy=False)


def flattened(X: Array) -> tuple[Array, tuple[int, ...]]:
    """One row each, and the shape that a row had: `(n, 28, 28)` gives `(n, 784)` and `(28, 28)`."""
    if X.ndim <= 2:
        return X, ()
    return X.reshape(len(X), math.prod(X.shape[1:])), X.shape[1:]


def check_row_shape(source: str, given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Raise a DataError where rows have another shape than those that a model takes, axes of length 1 left out.

    Flat rows have no shape of their own, and a model of flat rows takes rows of any.
    """
    own, model = (tuple(n for n in shape if n != 1) for shape in (given, wanted))
    if len(own) < 2 or len(model) < 2 or own == model:
        return
    last = " Put the channels first: X.transpose(0, 3, 1, 2)." if given == (*wanted[1:], wanted[0]) else ""
    raise DataError(
        f"{source}: holds rows of shape {given}; the model takes rows of shape {wanted}, or flat ones of "
        f"{math.prod(wanted):,} numbers.{last}"
    )


def texts(values: Array, path: Path, name: str) -> Array:
    """Texts as str, UTF-8 decoded where they are bytes; refused where they are none."""
    if values.dtype.kind not in "US":
        raise DataError(f"{path}: {name} has dtype {values.dtype}; expected texts.")
    if values.dtype.kind == "S":
        try:
            return np.char.decode(values, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: {name} holds bytes that are not UTF-8: {error}. Save it as texts.") from error
    codes = np.ascontiguousarray(values).reshape(-1).view(np.uint32)
    # NumPy raises a SystemError when it makes a str of such a code.
    if ((codes > _LAST_CODE) | ((codes >= 0xD800) & (codes < 0xE000))).any():
        raise DataError(f"{path}: {name} holds codes that no character has. Save it again.")
    return values


def targets(
    y: Array | Texts, task: Task | None, path: Path, name: str = "y", names: tuple[str, ...] = ()
) -> tuple[Array, Task, tuple[str, ...]]:
    """The targets ready to train on, what they are, and what the classes or outputs are called.

    Without a `task`, text and booleans are classes. Whole numbers are classes when at most 20 of them differ (√n_rows
    where that is more), and quantities otherwise. Other numbers are quantities. Columns of 0 and 1 are several labels.
    `name` is what the target itself is called; `names` are those of labels 0, 1, ... or of the outputs, where the file
    has them.
    """
    if isinstance(y, Texts):
        if task not in (None, "classification"):
            raise _text(path, name, y.words[0], task)
        return _text_labels(y, path, name)
    if y.ndim not in (1, 2) or y.dtype.kind not in "biufUS" or len(y) == 0:
        raise DataError(
            f"{path}: {name} has shape {y.shape} and dtype {y.dtype}; expected a number or text for each row."
        )
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    y = texts(y, path, name) if y.dtype.kind in "US" else native(y)
    task = task or _task(y)
    if task == "classification":
        return _labels(y, path, name, names)
    if y.dtype.kind == "U":
        raise _text(path, name, str(y.flat[0]), task)
    outputs = names or ((name,) if y.ndim == 1 else tuple(f"{name}{i}" for i in range(y.shape[1])))
    if task == "regression":
        return y.astype(np.float64), task, outputs
    return (y if y.dtype.kind == "f" else y.astype(np.int64)).reshape(len(y), -1), task, outputs


def told(y: Array | Texts, name: str) -> str:
    """By what `targets` tells the task where none is named."""
    if isinstance(y, Texts):
        return f"{shown(repr(name))} holds texts"
    if y.dtype.kind == "b":
        return f"{shown(repr(name))} holds true and false"
    n = len(np.unique(y))
    if not _whole(y):
        return f"{shown(repr(name))} holds numbers that are not whole"
    most = max(20, math.isqrt(len(y)))
    return (
        f"{shown(repr(name))} holds {n:,} different whole numbers, {'at most' if n <= most else 'more than'} {most:,}"
    )


def _task(y: Array) -> Task:
    if y.ndim == 2:
        return "multilabel" if y.dtype.kind != "U" and np.isin(y, (0, 1)).all() else "regression"
    if y.dtype.kind in "bU":
        return "classification"
    return "classification" if _whole(y) and len(np.unique(y)) <= max(20, math.isqrt(len(y))) else "regression"


def _whole(y: Array) -> bool:
    return y.dtype.kind != "f" or bool((np.isfinite(y) & (y == np.floor(y))).all())


def _labels(y: Array, path: Path, name: str, names: tuple[str, ...]) -> tuple[Array, Task, tuple[str, ...]]:
    if y.ndim == 2:
        raise DataError(
            f"{path}: {name} has shape {y.shape}; a classification needs one label a row. "
            "If each row is one-hot, store its argmax(axis=1)."
        )
    if y.dtype.kind != "U" and not _whole(y):
        row = int(np.argmax(~np.isfinite(y) | (y != np.floor(y))))
        raise DataError(
            f"{path}: {name} is {y[row]} at row {row}; class labels must be whole numbers or text. "
            "Use task 'regression' to predict quantities."
        )
    if names and y.dtype.kind != "U":
        outside = np.flatnonzero((y < 0) | (y >= len(names)))
        if outside.size:
            row, k = int(outside[0]), len(names)
            raise DataError(f"{path}: label {int(y[row])} at row {row} is outside 0..{k - 1} ({k} classes).")
        return y.astype(np.int64), "classification", names
    if y.dtype.kind == "b":
        return y.astype(np.int64), "classification", ("false", "true")
    values, labels = np.unique(y, return_inverse=True)
    if y.dtype.kind == "U":
        return _text_labels(Texts(labels, [str(value) for value in values]), path, name)
    return labels.astype(np.int64), "classification", tuple(str(int(value)) for value in values)


def _text_labels(y: Texts, path: Path, name: str) -> tuple[Array, Task, tuple[str, ...]]:
    found = sorted({y.words[code] for code in np.unique(y.codes)})
    if len(found) > max(20, len(y.codes) // 2):
        raise DataError(
            f"{path}: {name} holds {len(found):,} different texts in {len(y.codes):,} rows, such as {found[0]!r}; "
            "that is no class label. Choose another column as the target."
        )
    labels = {word: label for label, word in enumerate(found)}
    table = np.array([labels.get(word, -1) for word in y.words], np.int64)
    return table[y.codes], "classification", tuple(found)


def _text(path: Path, name: str, example: str, task: Task | None) -> DataError:
    return DataError(f"{path}: {name} is text, such as {example!r}, but {task} needs numbers.")
