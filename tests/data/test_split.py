"""Splits are disjoint, of the sizes asked for, in the order asked for, and the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr


def data(n: int = 100, n_test: int = 0, k: int = 3) -> cr.Dataset:
    y = np.arange(n) * 7 % k
    return cr.Dataset("d", np.zeros((n, 1)), y, "classification", tuple(map(str, range(k))), n_test=n_test)


size = st.one_of(st.integers(0, 30), st.floats(0, 0.4, exclude_max=True))


@settings(max_examples=200, deadline=None)
@given(
    n=st.integers(90, 300),
    n_test=st.integers(0, 20),
    test=st.one_of(st.just("official"), size),
    validation=size,
    order=st.sampled_from(["auto", "file", "shuffled", "stratified"]),
    seed=st.integers(0, 5),
)
def test_parts_are_disjoint_and_of_their_sizes(n, n_test, test, validation, order, seed):
    how = cr.Split(test=test, validation=validation, order=order, seed=seed)
    rows = cr.split(data(n, n_test), how)
    parts = [rows.train, rows.validation, rows.test]
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together) == n
    for part in parts:
        assert (np.diff(part) > 0).all()
    if test == "official" and n_test:
        assert rows.test.tolist() == list(range(n - n_test, n))
    elif isinstance(test, int):
        assert len(rows.test) == test
    if isinstance(validation, int):
        assert len(rows.validation) == validation
    again = cr.split(data(n, n_test), how)
    np.testing.assert_array_equal(rows.train, again.train)


def test_the_reports_split_is_the_last_1000_in_file_order():
    rows = cr.split(data(60_000, 10_000), cr.Split(validation=1000, order="file"))
    assert rows.train.tolist() == list(range(49_000))
    assert rows.validation.tolist() == list(range(49_000, 50_000))
    assert rows.test.tolist() == list(range(50_000, 60_000))


def test_stratified_keeps_every_class_in_proportion():
    y = np.array([0] * 900 + [1] * 90 + [2] * 10)
    imbalanced = cr.Dataset("d", np.zeros((1000, 1)), y, "classification", ("a", "b", "c"))
    rows = cr.split(imbalanced, cr.Split(test=0.2, validation=0.25))
    assert np.bincount(y[rows.test]).tolist() == [180, 18, 2]
    assert np.bincount(y[rows.validation]).tolist() == [180, 18, 2]


def test_train_size_takes_that_many():
    assert len(cr.split(data(), cr.Split(train=10, test=0, validation=0)).train) == 10
    assert cr.split(data(), cr.Split(train=10, test=0, validation=0, order="file")).train.tolist() == list(range(10))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (cr.Split(validation=90), "d: split.validation asks for 90 rows, but 80 are left; the data set has 100 rows"),
        (cr.Split(test=60, validation=40), "d: the split leaves no rows to train on; ask for fewer validation or test"),
        (cr.Split(train=1, order="file"), "d: no training row has the class '1'; train on more rows, or split with"),
    ],
)
def test_a_split_that_cannot_be_is_refused(how, message):
    with pytest.raises(cr.DataError) as caught:
        cr.split(data(), how)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("names", [("yes",), ("no", "yes")])
def test_rows_of_one_class_are_no_training_set(names):
    y = np.full(9, len(names) - 1)
    with pytest.raises(cr.DataError, match="d: every row has the label 'yes'; a classifier needs two classes"):
        cr.split(cr.Dataset("d", np.zeros((9, 1)), y, "classification", names), cr.Split())


def test_stratifying_numbers_is_refused():
    numbers = cr.Dataset("d", np.zeros((9, 1)), np.zeros(9), "regression", ("t",))
    with pytest.raises(cr.DataError, match="'stratified' needs classes, but the task is regression"):
        cr.split(numbers, cr.Split(order="stratified"))


@pytest.mark.parametrize("size", [-1, 1.0, -0.1, float("nan")])
def test_sizes_are_counts_or_fractions(size):
    with pytest.raises(cr.ConfigError, match="should be a count such as 1000, or a fraction from 0 to below 1"):
        cr.Split(validation=size)


@pytest.mark.parametrize("how", [0.2, 300, {"test": 0.2}, "stratified", None, cr.Split])
def test_what_is_no_split_is_refused(how):
    with pytest.raises(cr.ConfigError, match=r"^how is .*; expected a Split, such as Split\(test=0.2\)$"):
        cr.split(data(), how)


def test_what_is_no_data_set_is_refused():
    message = r"^data is array.*; expected a Dataset: what `read` gives, or Dataset\(name, X, y, ...\)$"
    with pytest.raises(cr.ConfigError, match=message):
        cr.split(data().X, cr.Split())
