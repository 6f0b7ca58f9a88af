"""Bad data is refused before any training, naming row and column; the digest follows the content."""

from hashlib import sha256

import numpy as np
import pytest

import chainrule as cr

X = np.arange(12.0).reshape(4, 3)
Y = np.array([0, 1, 0, 1])
NAMES = ("no", "yes")


def change(array: np.ndarray, place, value) -> np.ndarray:
    array = array.copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X[0], Y, "classification", NAMES), "d: X has shape (3,); expected (n_rows, n_features)."),
        ((X[:0], Y[:0], "classification", NAMES), "d: X has shape (0, 3); expected at least one row and one column."),
        ((X[:, :0], Y, "classification", NAMES), "d: X has shape (4, 0); expected at least one row and one column."),
        (
            (X.astype(str), Y, "classification", NAMES),
            "d: X has dtype <U32; expected numbers. Encode texts and dates as numbers first.",
        ),
        ((X, Y[:3], "classification", NAMES), "d: X has 4 rows but y has 3; they must be of the same length."),
        (
            (change(X, (2, 1), np.nan), Y, "classification", NAMES),
            "d: X is nan at row 2, column 1; expected finite numbers. Remove the row or fill the gap before training.",
        ),
        ((change(X, (3, 0), -np.inf), Y, "classification", NAMES), "d: X is -inf at row 3, column 0; expected finite"),
        ((X, Y.astype(float), "classification", NAMES), "d: labels have shape (4,) and dtype float64; expected int"),
        ((X, Y[:, None], "classification", NAMES), "d: labels have shape (4, 1) and dtype int64; expected integers"),
        ((X, change(Y, 1, 2), "classification", NAMES), "d: label 2 at row 1 is outside 0..1 (2 classes)."),
        ((X, change(Y, 3, -1), "classification", NAMES), "d: label -1 at row 3 is outside 0..1 (2 classes)."),
        ((X, Y, "multilabel", NAMES), "d: labels have shape (4,); expected (n_rows, 2)."),
        ((X, np.array([[0, 1]] * 3 + [[0, 2]]), "multilabel", NAMES), "d: label 2 at row 3, column 1; expected"),
        ((X, Y, "regression", ("t",)), "d: targets have shape (4,) and dtype int64; expected floats (n_rows,)"),
        ((X, change(X[:, 0], 1, np.nan), "regression", ("t",)), "d: y is nan at row 1; expected finite numbers."),
        ((X, X[:, :2], "regression", ("t",)), "d: targets have shape (4, 2) and dtype float64; expected floats"),
    ],
)  # fmt: skip
def test_bad_rows_and_targets_are_refused(arguments, message):
    with pytest.raises(cr.DataError) as caught:
        cr.Dataset("d", *arguments)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_test": 4}, "d: n_test is 4 of 4 rows; at least one row must be left to train on."),
        ({"row_shape": (2, 2)}, "d: row_shape (2, 2) does not fit the 3 columns of X."),
        ({"feature_names": ("a", "b")}, "d: 2 feature names for 3 columns of X."),
        ({"weight": np.ones(3)}, "d: weights have shape (3,) and dtype float64; expected numbers (4,)."),
        ({"weight": np.array([1, 1, -2.0, 1])}, "d: the weight at row 2 is -2.0; weights must be at least 0."),
        ({"weight": np.array([1, 1, np.nan, 1])}, "d: weight is nan at row 2; expected finite numbers."),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(cr.DataError) as caught:
        cr.Dataset("d", X, Y, "classification", NAMES, **options)
    assert str(caught.value).startswith(message)


def test_a_bad_cell_is_named_by_its_column_far_into_a_large_table():
    large = np.zeros((3_000_000, 2), dtype=np.float32)
    large[2_999_999, 1] = np.nan
    with pytest.raises(cr.DataError, match="X is nan at row 2999999, column 'b'"):
        cr.Dataset("d", large, np.arange(3_000_000) % 2, "classification", NAMES, feature_names=("a", "b"))


def test_the_digest_follows_content_dtype_and_order():
    def digest(X, y, **options):
        return cr.Dataset("any", X, y, "classification", NAMES, **options).digest

    assert digest(X, Y) == digest(np.asfortranarray(X), Y.copy())
    others = [digest(X.astype(np.float32), Y), digest(X[::-1], Y), digest(X, 1 - Y), digest(X, Y, weight=np.ones(4))]
    assert len({digest(X, Y), *others}) == 5


def test_the_digest_knows_the_names_of_classes_but_not_their_numbers():
    def digest(y, task, names):
        return cr.Dataset("any", X, y, task, names).digest

    both = np.stack([Y, 1 - Y], axis=1)
    assert len({digest(Y, "classification", names) for names in (("0", "1"), ("no", "yes"), ("yes", "no"))}) == 3
    assert len({digest(both, "multilabel", names) for names in (("y0", "y1"), ("wet", "dry"))}) == 2
    assert digest(Y.astype(float), "regression", ("price",)) == digest(Y.astype(float), "regression", ("cost",))
    # Runs name their data by it: where classes are only numbered it stays what it has always been.
    assert cr.read("digits").digest == "9412306fcce78e42a62b53b9d042f3208a5a9def042d75be348d43b1647f21f4"
    plain = digest(Y, "classification", ("0", "1"))
    assert plain == sha256(b"<f8(4, 3)" + X.tobytes() + b"<i8(4,)" + Y.astype(np.int64).tobytes()).hexdigest()


def test_repr_says_what_it_is():
    data = cr.Dataset("d", X, Y, "classification", NAMES, n_test=1)
    assert (
        repr(data) == "Dataset('d': 4 rows of 3 float64, the last 1 official test rows; classification with 2 classes)"
    )
