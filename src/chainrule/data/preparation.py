"""The preparation of a table: its columns, with words and gaps, to a network's input; fitted on training rows alone."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.affine import Affine, counted, identity
from chainrule.data.dataset import Dataset, check_size
from chainrule.data.tables import MOST_WORDS, Categories, Table, Words, recoded
from chainrule.errors import DataError

ONE_HOT = 9
"""A column with so many categories at most becomes one-hot; one with more becomes a code for an embedding."""

CLIP = 3.0
"""x ↦ x/√(1 + (x/3)²) leaves ±1 almost alone and never passes ±3 (Holzmüller, Grinsztajn and Steinwart 2024)."""

FAR = 1e6
"""Beyond it a scaled number is as good as infinite; its square must not overflow, in float32 either."""

GAP = -2.0
"""The code of a gap while a row is prepared."""

DIGIT = 256
"""Codes are given as two digits to this base, each of which bfloat16 holds exactly."""

_BLOCK = 2**20  # numbers prepared at a time


@dataclass(frozen=True, eq=False)
class Preparation:
    """Columns (n, n_columns) of numbers and codes, NaN a gap, to the network's input (n, n_out), in this order:

    numbers: x ↦ clip((x - shift)·scale), clip(z) = z/√(1 + (z/3)²); a gap is the median, and so 0.
    indicators: 1 at a gap, of each column of numbers whose training rows had gaps, but not gaps alone.
    one-hot: of each column of at most 9 categories; a gap is a category where training rows had one.
    codes: of each other column of words, two digits to the base 256: 0 for an unseen word, 1, 2, ... for the words,
    then the gap where training rows had one.
    A word, or a gap in a column of words, that no training row had is no category: zeros, or code 0.

    shift, scale: (n_numeric,), the median and 1/(q₇₅ - q₂₅) of the training rows, or 2/(max - min) where the quartiles
    agree, or 0 for a column of one value. categories: the words that training rows had, None for a column of numbers.
    gaps: the columns whose training rows had gaps; a column of numbers that held nothing else is 0 whatever comes.
    """

    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    categories: Categories
    gaps: tuple[int, ...] = ()

    @property
    def n_in(self) -> int:
        """Columns of the table."""
        return len(self.categories)

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The columns of numbers."""
        return tuple(i for i, words in enumerate(self.categories) if words is None)

    @cached_property
    def indicators(self) -> tuple[int, ...]:
        """The columns of numbers that have an indicator."""
        return tuple(i for i in self.gaps if self.categories[i] is None)

    @cached_property
    def one_hot(self) -> tuple[tuple[int, float], ...]:
        """(column, code) of each one-hot output; the code of a gap is -2."""
        return tuple(
            (i, code)
            for i, words in enumerate(self.categories)
            if words is not None and self._size(i) <= ONE_HOT
            for code in (*map(float, range(len(words))), *([GAP] if i in self.gaps else []))
        )

    @cached_property
    def embedded(self) -> tuple[int, ...]:
        """The columns that are given as codes."""
        return tuple(i for i, words in enumerate(self.categories) if words is not None and self._size(i) > ONE_HOT)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many categories each embedded column has, its gap among them."""
        return tuple(map(self._size, self.embedded))

    def _size(self, column: int) -> int:
        return len(self.categories[column] or ()) + (column in self.gaps)

    @property
    def n_numeric(self) -> int:
        """The first so many outputs are scaled numbers; indicators, one-hot and codes follow."""
        return len(self.numbers)

    @property
    def n_out(self) -> int:
        """Width of the network's input."""
        return len(self.numbers) + len(self.indicators) + len(self.one_hot) + 2 * len(self.embedded)

    @property
    def constant(self) -> tuple[int, ...]:
        """The columns of numbers whose training rows had one value: they are 0, whatever comes."""
        return tuple(column for column, scale in zip(self.numbers, self.scale, strict=True) if scale == 0)

    @cached_property
    def on_device(self) -> Affine:
        """What is left to be done batch by batch: nothing."""
        return identity(self.n_out)

    def on_host(self, rows: Dataset | Table, dtype: Any) -> NDArray[Any]:
        """All rows, prepared once, (n, n_out). Words are found by their texts, whatever their codes."""
        X = self.encoded(rows)
        step = max(1, _BLOCK // max(self.n_in, self.n_out))
        made = np.empty((len(X), self.n_out), dtype)
        for start in range(0, len(X), step):
            made[start : start + step] = self(X[start : start + step])
        return made

    def encoded(self, rows: Dataset | Table) -> NDArray[np.float64]:
        """X with codes into this preparation's `categories`, (n, n_columns)."""
        names = rows.feature_names if isinstance(rows, Dataset) else rows.names
        categories = rows.categories or (None,) * rows.X.shape[1]
        first = 0 if isinstance(rows, Dataset) else rows.first
        return recoded(Table(rows.X.astype(np.float64, copy=False), categories, names, first), self.categories)

    def __call__(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Prepare X (n, n_columns), with codes into `categories`, to (n, n_out)."""
        X = np.asarray(X, dtype=np.float64)
        gap = np.isnan(X)
        numbers = list(self.numbers)
        with np.errstate(over="ignore"):
            z = np.clip((X[:, numbers] - self.shift) * self.scale, -FAR, FAR)  # (n, n_numeric)
        z[gap[:, numbers]] = 0.0
        found = [z / np.sqrt(1 + (z / CLIP) ** 2), gap[:, list(self.indicators)]]
        X = np.where(gap, GAP, X)
        if self.one_hot:
            columns, codes = zip(*self.one_hot, strict=True)
            found.append(X[:, columns] == np.array(codes))
        for column in self.embedded:
            words = len(self.categories[column] or ())
            at_gap = words + 1 if column in self.gaps else 0
            code = np.where(X[:, column] == GAP, at_gap, X[:, column] + 1)
            found.append(np.stack(np.divmod(code, DIGIT), axis=1))  # (n, 2)
        return np.concatenate(found, axis=1, dtype=np.float64)


def fit_preparation(data: Dataset, rows: NDArray[np.int64]) -> Preparation:
    """The preparation fitted on `rows` of the data, quantiles of the empirical distribution, rows by their weights."""
    check_size(data, data.X, "X", data.feature_names, rows, gaps=True)
    weight = None if data.weight is None else data.weight[rows].astype(np.float64)
    categories: list[Words | None] = []
    gaps, scales = [], []
    for i, words in enumerate(data.categories or (None,) * data.n_features):
        column = data.X[rows, i].astype(np.float64)
        known = ~np.isnan(column)
        if not known.all() and (words is not None or known.any()):
            gaps.append(i)
        categories.append(None if words is None else _seen(words, column[known], data, i))
        if words is None:
            scales.append(_robust(column[known], None if weight is None else weight[known]))
    shift, scale = np.array(scales, np.float64).reshape(-1, 2).T  # (n_numeric,) each
    return Preparation(shift.copy(), scale.copy(), tuple(categories), tuple(gaps))


def _seen(words: Words, codes: NDArray[np.float64], data: Dataset, column: int) -> Words:
    """The words that the codes name, in the order of `words`."""
    found = tuple(words[int(code)] for code in np.unique(codes))
    if len(found) > MOST_WORDS:
        name = data.feature_names[column] if data.feature_names else column
        raise DataError(f"{data.name}: column {name!r} has {len(found):,} categories; expected at most {MOST_WORDS:,}.")
    return found


def _robust(values: NDArray[np.float64], weight: NDArray[np.float64] | None) -> tuple[float, float]:
    """(median, scale) of a column of numbers without gaps."""
    if weight is not None:
        values, weight = values[weight > 0], weight[weight > 0]
    if not len(values):
        return 0.0, 0.0
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75), method="inverted_cdf", weights=weight)
    rounding = 0.0 if counted(values) else 1e-12 * float(np.abs(values).max())
    least = max(rounding, float(np.finfo(np.float64).tiny))
    for spread in (high - low, (values.max() - values.min()) / 2):
        if spread > least:
            return float(median), float(1 / spread)
    return float(median), 0.0
