"""The columns of a table, whatever it was read from: numbers with gaps as NaN, or coded words; what else is refused."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.data.readers.values import Texts, shown
from chainrule.data.tables import MOST_WORDS, Categories, Words, word
from chainrule.errors import DataError

Source = Any
"""What a message begins with: the path of a file, or what a frame is called."""

_LONGEST_WORD = 1_000
_FEW, _MOST_SHARE = 20, 0.9
"""So many different texts are categories, however few the rows, and so are those that are no larger a share of them."""

_DATE = re.compile(
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3(\d{4}|\d{2}))([T ]\d.*)?|\d{1,2}:\d\d(:\d\d(\.\d+)?)?"
)


class Features(NamedTuple):
    """X (n_rows, n_columns), and the words of each column; no categories where all are numbers without gaps."""

    X: NDArray[Any]
    categories: Categories = ()


def date(source: Source, name: str, example: object) -> DataError:
    """The error for a column of dates or times, with what to make of them."""
    return DataError(
        f"{source}: column {shown(repr(name))} holds dates or times, such as {shown(repr(example))}. Make numbers of "
        "what may matter (days since a day, month, day of the week, hour) and remove the column."
    )


def mixed(source: Source, where: str, name: str, value: object, found: str) -> DataError:
    """The error for a text among numbers, or a number among texts."""
    return DataError(
        f"{source}: {where}, column {shown(repr(name))}: {shown(repr(value))} is {found}. Correct it, or name the "
        "column in data.categorical to take all its values as names of categories."
    )


def infinite(source: Source, where: str, name: str, value: object, *, learn: bool = True) -> DataError:
    """The error for a number without end. learn: whether the rows are to be learnt from; else they are predicted."""
    advice = "Correct it, or remove the row or the column." if learn else "Correct it, or leave the row out."
    return DataError(
        f"{source}: {where}, column {shown(repr(name))}: {shown(repr(value))} is infinite; expected a finite number. "
        f"{advice}"
    )


def too_many(source: Source, name: str, n: str, example: str) -> DataError:
    """The error for a column of which almost every text is another."""
    return DataError(
        f"{source}: column {shown(repr(name))} holds {n}, such as {shown(repr(example))}; so many are an identifier or "
        "free text, of which there is nothing to learn. Remove it, or make columns of what in it matters."
    )


def check_categorical(source: Source, names: Sequence[str], target: str | None, categorical: Collection[str]) -> None:
    """Refuse names in `categorical` that are no feature."""
    for name in categorical:
        if name == target:
            raise DataError(
                f"{source}: data.categorical names {name!r}, the target; set data.task = 'classification' instead."
            )
        if name not in names:
            raise DataError(
                f"{source}: data.categorical names {name!r}, which is no column; they are {shown(', '.join(names))}"
            )


def sorted_words(source: Source, name: str, found: Texts, *, declared: bool) -> Texts:
    """The words in order, so that codes do not depend on that of the rows. Code -1 is a gap.

    declared: whether the column was said to be one of categories. Raises a DataError for dates and identifiers.
    """
    words, n = found.words, int((found.codes >= 0).sum())
    longest = max(words, key=len, default="")
    if len(longest) > _LONGEST_WORD:
        raise too_many(source, name, f"texts of up to {len(longest):,} characters", longest)
    if not declared:
        refuse_dates(source, name, words)
        if len(words) > max(_FEW, _MOST_SHARE * n):
            raise too_many(source, name, f"{len(words):,} different texts in {n:,} rows", words[0])
    if len(words) > MOST_WORDS:
        raise too_many(source, name, f"more than {MOST_WORDS:,} different texts", words[0])
    order = sorted(range(len(words)), key=words.__getitem__)
    places = np.empty(len(words) + 1, np.int64)
    places[order], places[-1] = np.arange(len(words)), -1
    return Texts(places[found.codes], [words[i] for i in order])


def refuse_dates(source: Source, name: str, words: Sequence[str]) -> None:
    """Raise a DataError where all texts of a column look like dates or times."""
    if words and all(_DATE.fullmatch(text) for text in words):
        raise date(source, name, words[0])


def as_words(values: Iterable[Any]) -> Texts:
    """Numbers as names of categories; NaN is a gap."""
    values = np.asarray(values)
    known = ~np.isnan(values) if values.dtype.kind == "f" else np.ones(len(values), bool)
    different, places = np.unique(values[known], return_inverse=True)
    codes = np.full(len(values), -1, np.int64)
    codes[known] = places
    return merged(Texts(codes, [word(value) for value in different.tolist()]))


def merged(found: Texts) -> Texts:
    """The same words, each of them once."""
    first: dict[str, int] = {}
    places = np.array([*(first.setdefault(text, len(first)) for text in found.words), -1], np.int64)
    return Texts(places[found.codes], list(first))


def assembled(
    source: Source,
    names: Sequence[str],
    columns: Sequence[NDArray[Any] | Texts],
    categorical: Collection[str] = (),
    declared: Collection[str] = (),
    *,
    tell: bool = True,
    first: int = 0,
) -> Features:
    """The columns as one matrix: in their common dtype where all are numbers without gaps, else in float64.

    categorical: names of columns whose numbers are names. declared: those that are categories by their type. tell:
    whether the table is one to learn from, whose texts are yet to be told to be categories. first: the number of its
    first row.
    Raises a DataError for infinite numbers, dates and identifiers.
    """
    found: list[NDArray[Any] | Texts] = []
    for name, column in zip(names, columns, strict=True):
        values = as_words(column) if name in categorical and not isinstance(column, Texts) else column
        if isinstance(values, Texts):
            if tell:
                values = sorted_words(source, name, values, declared=name in categorical or name in declared)
        elif values.dtype.kind == "f" and np.isinf(values).any():
            row = int(np.argmax(np.isinf(values)))
            raise infinite(source, f"row {first + row}", name, float(values[row]), learn=tell)
        found.append(values)
    n_rows = len(found[0].codes if isinstance(found[0], Texts) else found[0])
    numbers = [values for values in found if not isinstance(values, Texts)]
    if len(numbers) == len(found) and not any(v.dtype.kind == "f" and np.isnan(v).any() for v in numbers):
        dtype = np.result_type(*{values.dtype for values in numbers})
        X = np.empty((n_rows, len(found)), np.uint8 if dtype.kind == "b" else dtype)
        for i, values in enumerate(numbers):
            X[:, i] = values
        return Features(X)
    X, categories = np.empty((n_rows, len(found))), list[Words | None]()
    for i, values in enumerate(found):
        if isinstance(values, Texts):
            X[:, i] = np.where(values.codes < 0, np.nan, values.codes)
        else:
            X[:, i] = values
        categories.append(tuple(values.words) if isinstance(values, Texts) else None)
    return Features(X, tuple(categories))
