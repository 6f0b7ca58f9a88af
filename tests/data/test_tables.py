"""A table's matrix: codes follow their words, whatever the order of the vocabulary; what is no code is refused."""

import numpy as np
import pytest

from chainrule.data import Dataset, Table
from chainrule.data.tables import is_gap, joined, recoded, word
from chainrule.errors import DataError

NAN = np.nan


def test_words_of_values() -> None:
    assert [word(v) for v in (" a b ", 3, 3.0, -0.5, True, np.float32(2), np.int8(4))] == [
        "a b", "3", "3", "-0.5", "true", "2", "4",
    ]  # fmt: skip
    assert [is_gap(text) for text in ("", " NA ", "None", "?", "nan", "n/a", "0", "no")] == [True] * 6 + [False] * 2


def test_codes_follow_their_words() -> None:
    table = Table(np.array([[0.0, 5], [1, 6], [NAN, NAN], [-1, 7]]), (("a", "b"), None), ("word", "number"))
    found = recoded(table, (("c", "b", "a"), None))
    np.testing.assert_array_equal(found, [[2, 5], [1, 6], [NAN, NAN], [-1, 7]])
    np.testing.assert_array_equal(recoded(table, (("b",), None))[:, 0], [-1, 0, NAN, -1])
    assert table.X[0, 0] == 0  # the table itself stays as it was


def test_numbers_become_words_where_words_are_wanted_and_never_the_other_way() -> None:
    table = Table(np.array([[1.0], [2.5], [NAN]]), (None,), ("zip",))
    np.testing.assert_array_equal(recoded(table, (("2.5", "1"),)), [[1], [0], [NAN]])
    with pytest.raises(DataError) as caught:
        recoded(Table(np.array([[NAN], [0.0]]), (("red",),), ("age",)), (None,))
    assert str(caught.value) == (
        "column 'age' holds words, such as 'red' at row 1; expected numbers. Give numbers there."
    )


def test_two_tables_joined_have_the_words_of_both() -> None:
    first = Table(np.array([[0.0], [NAN]]), (("b",),), ("x",))
    whole = joined(first, Table(np.array([[0.0], [1.0]]), (("a", "b"),), ("x",)))
    assert whole.categories == (("a", "b"),)
    np.testing.assert_array_equal(whole.X[:, 0], [1, NAN, 0, 1])
    mixed = joined(first, Table(np.array([[3.0]]), (None,), ("x",)))
    assert (mixed.categories, mixed.X[2, 0]) == ((("3", "b"),), 0)


def made(X: object, categories: tuple = (("a", "b"), None), names: tuple = ("word", "number")) -> Dataset:
    return Dataset("d", np.array(X, dtype=float), np.array([0, 1]), "classification", ("n", "y"), names,
                   categories=categories)  # fmt: skip


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        ([[2, 1], [0, 1]], {},
         "d: X is 2.0 at row 0, column 'word'; expected the place of one of 2 words, or NaN for a gap."),
        ([[0, 1], [0.5, 1]], {},
         "d: X is 0.5 at row 1, column 'word'; expected the place of one of 2 words, or NaN for a gap."),
        ([[0, np.inf], [0, 1]], {}, "d: X is inf at row 0, column 'number'; expected finite numbers, or NaN for a gap."),
        ([[0, 1], [1, 1]], {"categories": (("a", "a"), None)},
         "d: the categories of column 0 are ('a', 'a'); expected texts, each of them once."),
        ([[0, 1], [1, 1]], {"categories": (None,)},
         "d: categories of 1 columns for X of shape (2, 2), float64; expected float64 and, for each column, its words, "
         "or None where it holds numbers."),
        ([[0, 1], [1, 1]], {"names": ()},
         "d: has categories but no feature_names; columns with words are found by their names."),
    ],
)  # fmt: skip
def test_refused(X: list, options: dict, message: str) -> None:
    with pytest.raises(DataError) as caught:
        made(X, **options)
    assert str(caught.value) == message


def test_gaps_are_for_tables_alone() -> None:
    assert made([[0, NAN], [NAN, 1]]).n_rows == 2
    with pytest.raises(DataError, match="X is nan at row 0, column 'number'; expected finite numbers"):
        made([[0, NAN], [1, 1]], categories=())


def test_the_digest_knows_the_words() -> None:
    X = [[0, 1], [1, 1]]
    assert made(X).digest == made(X).digest
    assert len({made(X).digest, made(X, (("a", "c"), None)).digest, made(X, (None, None)).digest}) == 3


def test_rows_are_taken_with_their_words() -> None:
    taken = made([[0, 1], [1, 2]]).take([1])
    assert isinstance(taken, Table)
    assert (taken.X.tolist(), taken.categories, taken.names) == ([[1, 2]], (("a", "b"), None), ("word", "number"))
