"""CSV with a header, read with the standard library alone."""

import csv
import math
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset, Task
from chainrule.data.readers.cells import BOOLEANS, Cells, number
from chainrule.data.readers.columns import check_categorical, infinite
from chainrule.data.readers.files import missing
from chainrule.data.readers.tables import check_label, column_indices, gap, table, target_index
from chainrule.data.readers.values import Texts, shown
from chainrule.data.tables import Table, is_gap
from chainrule.errors import DataError

_LONGEST_ROW = 2**22  # 100,000 columns of 40 characters


class _Lines:
    """The rows of cells; each of so few characters that its cells, which are made all at once, take little memory."""

    def __init__(self, path: Path, file: IO[str], delimiter: str) -> None:
        self.path, self.file, self.left, self.start = path, file, _LONGEST_ROW, 1
        self.cells = csv.reader(self._texts(), delimiter=delimiter)

    @property
    def line_num(self) -> int:
        return self.cells.line_num

    def _texts(self) -> Iterator[str]:
        while text := self.file.readline(self.left + 1):
            self.left -= len(text)
            if self.left < 0:
                raise DataError(
                    f"{self.path}: the row at line {self.start:,} has more than {_LONGEST_ROW:,} characters. "
                    "If the data is yours, store it as .npz with numpy.savez."
                )
            yield text

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        self.left, self.start = _LONGEST_ROW, self.line_num + 1
        return next(self.cells)


def read_csv(
    path: Path, target: str | None = None, task: Task | None = None, categorical: Collection[str] = ()
) -> Dataset:
    """A table in UTF-8, separated by commas, or by tabs in a `.tsv`; booleans are read as 0 and 1. X is float64.

    A column of texts holds names of categories, and so do those that `categorical` names; see `Cells`.
    """
    labels, where = [], array("q")
    with _opened(path) as lines:
        names = _header(path, lines)
        at = target_index(path, names, target)
        check_categorical(path, names, names[at], categorical)
        found = Cells(path, names[:at] + names[at + 1 :], categorical, tell=True, gaps=True)
        for line, cells in _rows(path, lines, len(names)):
            where.append(line)
            labels.append(cells.pop(at).strip())
            found.add(line, cells)
    return table(path, found.features(), _target(path, names[at], labels, where), names, at, task)


def csv_blocks(path: Path, wanted: Sequence[str], categorical: Collection[str] | None, n_rows: int) -> Iterator[Table]:
    """Rows to predict, `n_rows` at a time: the columns with the wanted names, in that order, or all if none are named.

    Other columns may hold anything. categorical: those that hold names of categories; then cells may be without a
    value. None: all hold numbers.
    """
    with _opened(path) as lines:
        names = _header(path, lines)
        chosen = column_indices(path, names, wanted)
        names_chosen = [names[i] for i in chosen]
        rows, first = _rows(path, lines, len(names)), 0
        while True:
            found = Cells(path, names_chosen, categorical or (), tell=False, gaps=categorical is not None)
            for line, row in islice(rows, n_rows):
                found.add(line, [row[i] for i in chosen])
            X, categories = found.features()
            if not len(X):
                return
            yield Table(X, categories or (None,) * X.shape[1], tuple(names_chosen), first)
            first += len(X)


def csv_names(path: Path) -> list[str]:
    """The names of all columns."""
    with _opened(path) as lines:
        return _header(path, lines)


@contextmanager
def _opened(path: Path) -> Iterator[_Lines]:
    if not path.is_file():
        raise missing(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield _Lines(path, file, "\t" if path.suffix.lower() == ".tsv" else ",")
    except UnicodeDecodeError as error:
        if error.object.startswith(b"\x1f\x8b"):
            raise DataError(f"{path}: is packed by gzip. Unpack it first.") from error
        raise DataError(f"{path}: is not UTF-8 ({error.reason}, byte {error.start:,}). Save it as UTF-8.") from error
    except (csv.Error, OSError) as error:
        raise DataError(f"{path}: cannot be read as CSV: {error}. Save it again.") from error


def _header(path: Path, lines: _Lines) -> list[str]:
    names = [name.strip() for name in next(lines, [])]
    if not names:
        raise DataError(f"{path}: is empty; expected a line of column names and a line for each row.")
    if all(number(name) is not None for name in names):
        raise DataError(f"{path}: line 1 holds numbers, {shown(', '.join(names))}; expected the names of the columns.")
    return names


def _rows(path: Path, lines: _Lines, n_cells: int) -> Iterator[tuple[int, list[str]]]:
    """The number of each line that is not empty, and its cells."""
    empty = True
    for cells in lines:
        if not cells:
            continue
        if len(cells) != n_cells:
            raise DataError(
                f"{path}: line {lines.line_num} has {len(cells)} cells but the header has {n_cells}. "
                "Write every cell, and quote those that hold a comma."
            )
        empty = False
        yield lines.line_num, cells
    if empty:
        raise DataError(f"{path}: has a header but no rows.")


def _target(path: Path, name: str, cells: list[str], lines: "array[int]") -> NDArray[Any] | Texts:
    """Numbers, booleans or texts. Where there are texts, `none` and `NA` may be classes, but an empty cell is a gap."""
    values = [number(cell) for cell in cells]
    gaps = [i for i, (cell, value) in enumerate(zip(cells, values, strict=True))
            if (is_gap(cell) if value is None else not math.isfinite(value))]  # fmt: skip
    is_text = sum(value is None for value in values) > sum(values[i] is None for i in gaps)
    gaps = [i for i in gaps if not cells[i]] if is_text else gaps
    if gaps:
        value = values[gaps[0]]
        error = gap if value is None or math.isnan(value) else infinite
        raise error(path, f"line {lines[gaps[0]]}", name, cells[gaps[0]])
    if not is_text:
        return np.array(values, np.float64)
    if {cell.lower() for cell in cells} <= set(BOOLEANS):
        return np.array([cell.lower() == "true" for cell in cells])
    check_label(path, name, max(map(len, cells)))
    return coded(cells)


def coded(cells: Iterable[str]) -> Texts:
    """The texts of a column, in the order in which they come."""
    codes: dict[str, int] = {}
    return Texts(np.array([codes.setdefault(cell, len(codes)) for cell in cells], np.int64), list(codes))
