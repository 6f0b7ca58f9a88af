"""What the targets of a streamed set are, found by looking at all of them once, a block at a time."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import LARGEST, Task
from chainrule.data.readers.values import Texts, native, texts
from chainrule.errors import DataError

_MOST_CLASSES = 100_000
_FEW = 20


@dataclass(frozen=True, eq=False)
class Targets:
    """task, names of classes or outputs; values: of the classes in a file, sorted, those of labels 0, 1, ..."""

    task: Task
    names: tuple[str, ...]
    values: NDArray[Any] | None = None

    def encode(self, raw: NDArray[Any] | Texts, path: Path, first: int) -> NDArray[Any]:
        """Labels or numbers as in `Dataset.y`, of rows that begin at row `first` of the file."""
        y = plain(raw, path, "y")
        if self.values is None:
            assert not isinstance(y, Texts)  # noqa: S101
            return self._numbers(y, path, first)
        found, codes = (np.array(y.words), y.codes) if isinstance(y, Texts) else np.unique(y, return_inverse=True)
        places = np.minimum(np.searchsorted(self.values, found), len(self.values) - 1)
        strange = (self.values[places] != found)[codes]
        if strange.any():
            row = int(np.argmax(strange))
            raise DataError(f"{path}: the label at row {first + row} is {found[codes[row]]}, of no class seen before.")
        return places[codes].astype(np.int64)

    def _numbers(self, y: NDArray[Any], path: Path, first: int) -> NDArray[Any]:
        y = y.astype(np.float64 if self.task == "regression" or y.dtype.kind == "f" else np.int64)
        allowed = np.abs(y) <= LARGEST[8] if self.task == "regression" else (y == 0) | (y == 1)
        if not allowed.all():
            row = int(np.argwhere(~allowed)[0][0])
            expected = f"numbers of at most {LARGEST[8]:g} in size" if self.task == "regression" else "0 and 1"
            raise DataError(f"{path}: the target at row {first + row} is {y[row]}; expected {expected}.")
        return y


def plain(y: NDArray[Any] | Texts, path: Path, name: str) -> NDArray[Any] | Texts:
    """Numbers in native order, (n,) or (n, n_out), or texts."""
    if isinstance(y, Texts):
        return y
    if y.ndim not in (1, 2) or y.dtype.kind not in "biufUS":
        raise DataError(
            f"{path}: {name} has shape {y.shape} and dtype {y.dtype}; expected a number or text for each row."
        )
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    return texts(y, path, name) if y.dtype.kind in "US" else native(y)


def look(blocks: Iterable[NDArray[Any] | Texts], n_rows: int, task: Task | None, path: Path, name: str,
         names: tuple[str, ...]) -> Targets:  # fmt: skip
    """The task, unless it is given, and the classes or outputs, by the rules for sets in memory."""
    few = _MOST_CLASSES if task == "classification" else max(_FEW, math.isqrt(n_rows))
    values: NDArray[Any] | None = None
    whole = binary = True
    columns = 0
    for raw in blocks:
        y = plain(raw, path, name)
        if not isinstance(y, Texts) and y.ndim == 2:
            columns = y.shape[1]
            binary = binary and y.dtype.kind != "U" and bool(np.isin(y, (0, 1)).all())
            continue
        found = np.array(y.words)[np.unique(y.codes)] if isinstance(y, Texts) else np.unique(y)
        whole = whole and (found.dtype.kind != "f" or bool((np.isfinite(found) & (found == np.floor(found))).all()))
        values = found if values is None else np.union1d(values, found)
        if values.dtype.kind == "U" and len(values) > min(max(_FEW, n_rows // 2), _MOST_CLASSES):
            raise DataError(
                f"{path}: {name} holds {len(values):,} different texts, such as {str(values[0])!r}; that is no class "
                "label. Choose another column as the target."
            )
        if values.dtype.kind != "U" and (not whole or len(values) > few):
            break
    if values is None:
        return _several(columns, binary, task, path, name, names)
    return _one(values, whole and len(values) <= few, task, path, name, names)


def _several(columns: int, binary: bool, task: Task | None, path: Path, name: str, names: tuple[str, ...]) -> Targets:
    if task == "classification":
        raise DataError(
            f"{path}: {name} has {columns} columns; a classification needs one label a row. If each row is one-hot, "
            "store its argmax(axis=1)."
        )
    return Targets(task or ("multilabel" if binary else "regression"),
                   names or tuple(f"{name}{i}" for i in range(columns)))  # fmt: skip


def _one(values: NDArray[Any], countable: bool, task: Task | None, path: Path, name: str,
         names: tuple[str, ...]) -> Targets:  # fmt: skip
    is_text = values.dtype.kind == "U"
    if task is None:
        task = "classification" if is_text or countable else "regression"
    if task != "classification":
        if is_text:
            raise DataError(f"{path}: {name} is text, such as {str(values[0])!r}, but {task} needs numbers.")
        return Targets(task, names or (name,))
    if not is_text and not countable:
        raise DataError(
            f"{path}: {name} holds numbers that are not whole, or more than {_MOST_CLASSES:,} different ones; class "
            "labels must be whole numbers or text. Use task 'regression' to predict quantities."
        )
    if names and not is_text:
        if values[0] < 0 or values[-1] >= len(names):
            raise DataError(
                f"{path}: labels go from {values[0]} to {values[-1]}, but target_names has {len(names)} names."
            )
        return Targets(task, names, np.arange(len(names)))
    if values.dtype.kind == "b":
        return Targets(task, ("false", "true"), values)
    return Targets(task, tuple(str(value) if is_text else str(int(value)) for value in values), values)
