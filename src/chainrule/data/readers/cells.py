"""The cells of a CSV, taken row by row: numbers, words and gaps, told apart by the first value of each column."""

import math
from array import array
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from chainrule.data.readers.columns import Features, infinite, mixed, sorted_words, too_many
from chainrule.data.readers.tables import gap, no_number
from chainrule.data.readers.values import Texts
from chainrule.data.tables import MOST_WORDS, Words, is_gap

BOOLEANS = {"true": 1.0, "false": 0.0}


class Cells:
    """What has been read of the columns called `names`.

    categorical: the columns whose values are names of categories, numbers though they look. tell: whether a column of
    texts becomes one, too. gaps: whether a cell may be without a value.
    """

    def __init__(self, path: Path, names: Sequence[str], categorical: Collection[str] = (), *, tell: bool, gaps: bool):
        self.path, self.names, self.tell, self.gaps = path, names, tell, gaps
        self.values = array("d")
        self.named = [name in categorical for name in names]
        self.words: list[dict[str, int] | None] = [{} if named else None for named in self.named]
        self.is_number = [False] * len(names)
        self.plain = not any(self.named)  # no column of words yet: rows of numbers alone take the quick way
        self.met = False  # such a row

    def add(self, line: int, cells: list[str]) -> None:
        """The next row."""
        plain = plain_numbers(cells) if self.plain else None
        if plain is not None:
            self.values.extend(plain)
            self.met = True
            return
        if self.met:
            self.is_number, self.met = [True] * len(self.names), False
        self.values.extend([self._value(i, line, cell) for i, cell in enumerate(cells)])

    def _value(self, i: int, line: int, cell: str) -> float:
        if self.words[i] is not None:
            return self._code(i, line, cell)
        value = BOOLEANS.get(cell.strip().lower(), number(cell))
        if is_gap(cell) if value is None else math.isnan(value):
            if self.gaps:
                return math.nan
            raise gap(self.path, f"line {line}", self.names[i], cell, learn=self.tell)
        if value is not None and math.isinf(value):
            raise infinite(self.path, f"line {line}", self.names[i], cell, learn=self.tell)
        if value is not None:
            self.is_number[i] = True
            return value
        if not self.tell:
            raise no_number(self.path, f"line {line}", self.names[i], cell, learn=False)
        if self.is_number[i]:
            raise mixed(self.path, f"line {line}", self.names[i], cell, "no number, as the cells above it are")
        self.words[i], self.plain = {}, False
        return self._code(i, line, cell)

    def _code(self, i: int, line: int, cell: str) -> float:
        words, text = self.words[i], cell.strip()
        assert words is not None  # noqa: S101  # for mypy: `_value` has asked
        if is_gap(text):
            return math.nan
        if not self.named[i] and number(text) is not None:
            raise mixed(self.path, f"line {line}", self.names[i], cell, "a number, and the cells above it are texts")
        code = words.setdefault(text, len(words))
        if code >= MOST_WORDS and self.tell:
            raise too_many(self.path, self.names[i], f"more than {MOST_WORDS:,} different texts", text)
        return code

    def features(self) -> Features:
        """All rows. Raises a DataError for dates and identifiers, where columns were to be told."""
        X = np.array(self.values).reshape(-1, len(self.names))
        if not any(words is not None for words in self.words) and not np.isnan(X).any():
            return Features(X)
        categories: list[Words | None] = []
        for i, words in enumerate(self.words):
            if words is not None:
                codes = np.where(np.isnan(X[:, i]), -1, X[:, i]).astype(np.int64)
                found = Texts(codes, list(words))
                if self.tell:
                    found = sorted_words(self.path, self.names[i], found, declared=self.named[i])
                X[:, i] = np.where(found.codes < 0, np.nan, found.codes)
            categories.append(None if words is None else tuple(found.words))
        return Features(X, tuple(categories))


def plain_numbers(cells: list[str]) -> list[float] | None:
    """The cells as numbers if all plainly are; the quick way for almost every row."""
    try:
        values = list(map(float, cells))
    except ValueError:
        return None
    return values if math.isfinite(sum(values)) and "_" not in "".join(cells) else None


def number(cell: str) -> float | None:
    """The number that a cell holds, or None."""
    try:
        # Python reads "2019_01" as 201901; in a table that is a text.
        return None if "_" in cell else float(cell)
    except ValueError:
        return None
