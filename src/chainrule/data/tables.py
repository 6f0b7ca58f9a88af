"""Rows of a table without a target: numbers, words and gaps, in one matrix of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError

UNSEEN = -1.0
"""The code of a word that is not in its column's vocabulary."""

MOST_WORDS = 65_000
"""Of a column; with the codes of a gap and of unseen words they fit two digits to the base 256."""

GAPS = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""Texts that stand for no value, whatever their case."""

Words = tuple[str, ...]

Categories = tuple[Words | None, ...]
"""The words of each column of a table, None for a column of numbers."""


@dataclass(frozen=True, eq=False)
class Table:
    """X (n_rows, n_columns), float64: numbers, or the place of a word among its column's `categories`; NaN is a gap.

    categories: the words of each column, None for a column of numbers. names: of the columns, or (). first: the number
    of its first row, where it is a part of a larger one.
    """

    X: NDArray[np.float64]
    categories: Categories
    names: tuple[str, ...] = ()
    first: int = 0

    def __len__(self) -> int:
        return len(self.X)

    def take(self, rows: Any) -> "Table":
        """The named rows, or those that a mask marks."""
        return Table(self.X[rows], self.categories, self.names)


def is_gap(text: str) -> bool:
    """Whether a text stands for no value."""
    return text.strip().lower() in GAPS


def word(value: Any) -> str:
    """What a value is called as a category: a text without the space around it, 3 for 3.0, true for True.

    >>> word(" red "), word(3.0), word(0.5), word(True)
    ('red', '3', '0.5', 'true')
    """
    if isinstance(value, (bool, np.bool)):
        return str(bool(value)).lower()
    if isinstance(value, (float, np.floating)):
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    return str(value).strip()


def column_name(names: Sequence[str], column: int) -> str:
    """How a message calls a column."""
    return repr(names[column]) if names else str(column)


def joined(first: Table, second: Table) -> Table:
    """The rows of both, one after the other; a word of either is a word of the whole."""
    categories = tuple(
        None if a is None and b is None else tuple(sorted({*_words(first, i), *_words(second, i)}))
        for i, (a, b) in enumerate(zip(first.categories, second.categories, strict=True))
    )
    X = np.concatenate([recoded(table, categories) for table in (first, second)])
    return Table(X, categories, first.names)


def _words(table: Table, column: int) -> Words:
    held = table.categories[column]
    if held is not None:
        return held
    return tuple(word(value) for value in np.unique(table.X[:, column]) if not np.isnan(value))


def recoded(table: Table, categories: Sequence[Words | None]) -> NDArray[np.float64]:
    """X of `table` with codes into `categories`: -1 for words that are not there. Numbers become words where asked.

    Raises a DataError for words in a column of numbers.
    """
    if table.categories == tuple(categories):
        return table.X
    X = table.X.copy()
    for i, (held, wanted) in enumerate(zip(table.categories, categories, strict=True)):
        if held == wanted:
            continue
        if wanted is None:
            if np.isnan(X[:, i]).all():
                continue
            row = int(np.argmin(np.isnan(X[:, i])))
            raise DataError(
                f"column {column_name(table.names, i)} holds words, such as {_shown(held, X[row, i])!r} at row "
                f"{table.first + row}; expected numbers. Give numbers there."
            )
        known = ~np.isnan(X[:, i])
        codes = {name: float(code) for code, name in enumerate(wanted)}
        if held is not None:
            new = np.array([*(codes.get(name, UNSEEN) for name in held), UNSEEN])  # the last one is for code -1
            X[known, i] = new[X[known, i].astype(np.int64)]
        else:
            values, places = np.unique(X[known, i], return_inverse=True)
            X[known, i] = np.array([codes.get(word(value), UNSEEN) for value in values])[places]
    return X


def _shown(words: Words | None, code: float) -> str:
    return words[int(code)] if words and code >= 0 else "a new word"
