"""The look through a streamed set finds what is found of the same rows in memory, and refuses what those would be."""

import re

import numpy as np
import pytest

import chainrule as cr
from chainrule.data.preprocessing import fit, fit_target
from chainrule.data.streaming import drawn, excerpt, scan
from data.streaming import made

SPLIT = cr.Split(test=0.2, validation=0.1)


@pytest.fixture
def digits(tmp_path):
    return made.digits(tmp_path / "digits")


def training_rows(data, split=SPLIT):
    parts = drawn(data, split)
    return np.setdiff1d(np.arange(data.n_rows), np.concatenate([parts.validation, parts.test]))


@pytest.mark.parametrize("kind", ["none", "mean", "standardise", "unit", "symmetric"])
def test_preprocessing_is_that_of_the_training_rows_in_memory(digits, kind):
    data = cr.shards(digits, stream=made.SMALL)
    streamed, whole = scan(data, SPLIT).preprocessing(kind), fit(kind, data.resident(), training_rows(data))
    np.testing.assert_allclose(streamed.shift, whole.shift, rtol=1e-13)
    np.testing.assert_allclose(streamed.scale, whole.scale, rtol=1e-12)
    assert streamed.constant == whole.constant


def test_targets_are_scaled_as_in_memory(tmp_path):
    rng = np.random.default_rng(0)
    made.parquet(tmp_path / "t", {"a": rng.normal(size=300), "y": rng.normal(5, 3, 300)})
    data = cr.shards(tmp_path / "t")
    streamed, whole = scan(data, SPLIT).target(), fit_target(data.resident(), training_rows(data))
    np.testing.assert_allclose([streamed.shift, streamed.scale], [whole.shift, whole.scale], rtol=1e-13)


@pytest.mark.parametrize("order", ["auto", "file"])
def test_held_rows_are_those_that_were_drawn_and_parts_share_none(digits, order):
    split = cr.Split(test=0.2, validation=50, order=order)
    data = cr.shards(digits, stream=cr.Stream(when="always", window_mb=0.05, held=200))
    held, parts, whole = excerpt(data, split), drawn(data, split), data.resident()
    rows = cr.split(held, split)
    for part, n in (("train", 200), ("validation", 50), ("test", 200)):  # a fifth would be 359
        assert len(rows[part]) == n
        np.testing.assert_array_equal(held.X[rows[part]], whole.X[parts[part]])
        np.testing.assert_array_equal(held.y[rows[part]], whole.y[parts[part]])
    assert len(np.unique(np.concatenate([parts.train, parts.validation, parts.test]))) == 450
    if order == "file":
        np.testing.assert_array_equal(parts.test, np.arange(1597, 1797))
        np.testing.assert_array_equal(parts.validation, np.arange(1547, 1597))


def test_the_digest_is_of_the_numbers_and_not_of_files_and_blocks(digits, tmp_path):
    digest = excerpt(cr.shards(digits, stream=made.SMALL), SPLIT).digest
    other = made.digits(tmp_path / "other", n_files=5)
    assert excerpt(cr.shards(other), SPLIT).digest == digest
    X = np.load(other / "X-3.npy")
    X[100, 20] += 1
    np.save(other / "X-3.npy", X)
    assert excerpt(cr.shards(other), SPLIT).digest != digest


def test_classes_that_only_held_out_rows_have_are_refused(tmp_path):
    folder = made.digits(tmp_path / "digits", n_files=1)
    y = np.arange(1797) % 9
    y[-1] = 9
    np.save(folder / "y-0.npy", y)
    with pytest.raises(cr.DataError) as refused:
        scan(cr.shards(folder), cr.Split(order="file"))
    assert str(refused.value) == "digits: no training row has the class '9'; hold out fewer rows, or others."


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2e38])
def test_a_number_that_cannot_be_used_is_named_by_file_row_and_column(digits, value):
    X = np.load(digits / "X-1.npy")
    X[123, 45] = value
    np.save(digits / "X-1.npy", X)
    with pytest.raises(cr.DataError) as refused:
        scan(cr.shards(digits, stream=made.SMALL), SPLIT)
    assert str(refused.value) == (
        f"{digits / 'X-1.npy'}: X is {np.float32(value)} at row 123, column 45; expected finite numbers of at most 1e+38 in "
        "size. Remove the row or fill the gap before training."
    )


@pytest.mark.parametrize(("split", "message"), [
    (cr.Split(order="stratified"), "data.split.order 'stratified' needs all rows in memory, but digits is streamed"),
    (cr.Split(train=100), "data.split.train 100 needs all rows in memory, but digits is streamed"),
    (cr.Split(test=1000), "digits: split.test asks for 1,000 rows of 1,797, but of a streamed set at most "
                          "data.stream.held = 500 are held. Ask for fewer, or hold more."),
])  # fmt: skip
def test_splits_that_a_streamed_set_cannot_have(digits, split, message):
    with pytest.raises(cr.ChainruleError, match=re.escape(message)):
        drawn(cr.shards(digits, stream=cr.Stream(held=500)), split)
