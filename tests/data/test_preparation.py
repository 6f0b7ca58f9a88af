"""The preparation of a table: fitted on training rows alone; each output is what its equation says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data import Dataset, Preparation, Table
from chainrule.data.preprocessing import fit, settled
from chainrule.errors import ConfigError

NAN = np.nan


def table(X: object, categories: tuple, weight: object = None) -> Dataset:
    X = np.array(X, dtype=float)
    names = tuple(f"x{i}" for i in range(X.shape[1]))
    return Dataset("t", X, np.zeros(len(X)), "regression", ("y",), names, categories=categories,
                   weight=None if weight is None else np.array(weight, float))  # fmt: skip


def fitted(data: Dataset, rows: object = None) -> Preparation:
    found = fit("auto", data, np.arange(data.n_rows) if rows is None else np.array(rows))
    assert isinstance(found, Preparation)
    return found


def clip(z: object) -> np.ndarray:
    z = np.asarray(z, dtype=float)
    return z / np.sqrt(1 + (z / 3) ** 2)


def test_numbers_are_centred_scaled_and_clipped_smoothly() -> None:
    column = [0.0, 1, 2, 3, 4, 5, 6, 7, 1000]
    found = fitted(table(np.array([column]).T, (None,)))
    assert (found.shift.tolist(), found.scale.tolist()) == ([4.0], [1 / (6 - 2)])
    out = found(np.array([column]).T)
    np.testing.assert_allclose(out[:, 0], clip((np.array(column) - 4) / 4), rtol=1e-15)
    assert out[-1, 0] < 3


@given(st.lists(st.floats(-1e100, 1e100), min_size=1, max_size=20), st.floats(allow_nan=False, allow_infinity=False))
def test_whatever_comes_the_numbers_stay_within_3(values: list[float], new: float) -> None:
    found = fitted(table(np.array([values]).T, (None,)))
    assert (np.abs(found(np.array([[new], *([v] for v in values)]))) <= 3).all()


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(1, 4)), min_size=1, max_size=12))
def test_a_weight_of_two_is_the_row_twice(rows: list[tuple[int, int]]) -> None:
    values, weights = zip(*rows, strict=True)
    weighted = fitted(table(np.array([values]).T, (None,), weights))
    repeated = fitted(table(np.repeat(values, weights)[:, None], (None,)))
    assert (weighted.shift, weighted.scale) == (repeated.shift, repeated.scale)


def test_half_the_range_where_the_quartiles_agree_and_0_for_constants() -> None:
    found = fitted(table([[0, 7], [0, 7], [0, 7], [0, 7], [10, 7]], (None, None)))
    assert found.scale.tolist() == [1 / 5, 0]
    assert found.constant == (1,)
    assert found(np.array([[0, 1e300]]))[0].tolist() == [0, 0]


def test_a_gap_is_the_median_and_says_so_where_training_rows_had_one() -> None:
    data = table([[1, 1], [NAN, 2], [3, 3], [5, NAN]], (None, None))
    found = fitted(data, [0, 1, 2])  # column 1 has no gap in these
    assert (found.gaps, found.indicators, found.n_numeric, found.n_out) == ((0,), (0,), 2, 3)
    assert found(np.array([[NAN, NAN], [1.0, 2.0]]))[:, 2].tolist() == [1, 0]
    assert found(np.array([[NAN, NAN]]))[0, :2].tolist() == [0, 0]


def test_few_words_are_one_hot_and_a_gap_is_one_of_them_where_training_rows_had_one() -> None:
    categories = (("a", "b", "c"), ("u", "v"))
    data = table([[0, 0], [1, 1], [NAN, 0], [2, NAN]], categories)
    found = fitted(data, [0, 1, 2])
    assert found.categories == (("a", "b"), ("u", "v"))  # 'c' is in row 3 alone
    assert found.n_out == 3 + 2
    out = found.on_host(data, np.float32)
    assert out.dtype == np.float32
    assert out.tolist() == [[1, 0, 0, 1, 0], [0, 1, 0, 0, 1], [0, 0, 1, 1, 0], [0, 0, 0, 0, 0]]


@pytest.mark.parametrize(("n", "gap", "embedded"), [(9, False, False), (10, False, True), (8, True, False),
                                                    (9, True, True)])  # fmt: skip
def test_more_than_nine_categories_are_codes(n: int, gap: bool, embedded: bool) -> None:
    words = tuple(f"w{i:03d}" for i in range(n))
    rows = [[float(i)] for i in range(n)] + ([[NAN]] if gap else [])
    found = fitted(table(rows, (words,)))
    assert found.sizes == ((n + gap,) if embedded else ())
    assert found.n_out == (2 if embedded else n + gap)


def test_codes_are_two_digits_to_the_base_256() -> None:
    words = tuple(f"w{i:04d}" for i in range(600))
    data = table([[float(i)] for i in range(600)] + [[NAN]], (words,))
    found = fitted(data)
    out = found(np.array([[-1.0], [0], [254], [255], [599], [NAN]]))
    assert out.tolist() == [[0, 0], [0, 1], [0, 255], [1, 0], [2, 88], [2, 89]]
    without_gap = fitted(data, np.arange(600))
    assert without_gap(np.array([[NAN]])).tolist() == [[0, 0]]


def test_order_numbers_indicators_one_hot_codes() -> None:
    many = tuple(f"w{i:02d}" for i in range(12))
    rows = [[i % 2, float(i), i, NAN if i == 3 else float(i % 5)] for i in range(12)]
    found = fitted(table(rows, (("a", "b"), None, many, None)))
    assert (found.numbers, found.indicators, found.embedded) == ((1, 3), (3,), (2,))
    row = found(np.array([[1, 5.0, 7, NAN]]))[0]
    np.testing.assert_allclose(row, [clip((5 - found.shift[0]) * found.scale[0]), 0, 1, 0, 1, 0, 8])


def test_words_are_found_by_their_texts_whatever_their_codes() -> None:
    found = fitted(table([[0.0], [1]], (("a", "b"),)))
    rows = Table(np.array([[0.0], [1], [2]]), (("b", "new", "a"),), ("x0",))
    assert found.on_host(rows, np.float64).tolist() == [[0, 1], [0, 0], [1, 0]]


def test_validation_rows_have_no_say() -> None:
    rows = [[float(i), i % 3] for i in range(20)]
    before = fitted(table(rows, (None, ("a", "b", "c"))), range(10))
    after = fitted(table([*rows[:10], [NAN, NAN], [1e9, 0]], (None, ("a", "b", "c"))), range(10))
    assert (before.shift, before.scale) == (after.shift, after.scale)
    assert (before.categories, before.gaps) == (after.categories, after.gaps)


def test_a_column_of_gaps_alone_is_0() -> None:
    found = fitted(table([[NAN, 0], [NAN, NAN]], (None, ("a",))), [0])
    assert found(np.array([[NAN, 0], [4, NAN]])).tolist() == [[0, 1], [0, 0]]
    without_words = fitted(table([[1, NAN], [2, 0]], (None, ("a",))), [0])
    assert without_words.categories == (None, ())
    assert without_words(np.array([[1, NAN], [1, -1]])).tolist() == [[0, 1], [0, 0]]


def test_other_kinds_are_refused_and_plain_numbers_may_ask_for_robust() -> None:
    with pytest.raises(ConfigError) as caught:
        settled("standardise", table([[NAN]], (None,)))
    assert str(caught.value) == (
        "preprocessing 'standardise' is for numbers without gaps, and t has words or gaps; leave data.preprocessing "
        "out, or set it to 'robust'"
    )
    plain = Dataset("p", np.arange(8.0).reshape(4, 2).astype("f4"), np.zeros(4), "regression", ("y",))
    assert settled("auto", plain) == "standardise"
    assert isinstance(fit("robust", plain, np.arange(4)), Preparation)
