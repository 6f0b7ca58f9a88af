"""Preprocessing is fitted on the training rows only, is affine, and says which columns are constant."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import chainrule as cr
from chainrule.data.preprocessing import fit, fit_target


def data(X: np.ndarray, row_shape: tuple[int, ...] = ()) -> cr.Dataset:
    return cr.Dataset("d", X, np.arange(len(X)) % 2, "classification", ("a", "b"), row_shape=row_shape)


class Noting(cr.Hook):
    def started(self, begun):
        self.notes = begun.plan.notes


TABLE = arrays(np.float64, st.tuples(st.integers(4, 30), st.integers(1, 5)), elements=st.floats(-1e6, 1e6, width=32))


@settings(max_examples=100, deadline=None)
@given(TABLE)
def test_standardised_training_columns_have_mean_0_and_deviation_1(X):
    affine = fit("standardise", data(X), np.arange(len(X)))
    z = affine(X)
    for i in range(X.shape[1]):
        if i in affine.constant:
            np.testing.assert_allclose(z[:, i], 0, atol=1e-6 * max(1, np.abs(X[:, i]).max()))
        else:
            assert abs(z[:, i].mean()) < 1e-3
            assert abs(z[:, i].std() - 1) < 1e-3
    np.testing.assert_allclose(affine.back(z), X, atol=1e-6 * max(1.0, np.abs(X).max()))


@pytest.mark.parametrize("kind", ["mean", "standardise", "standardise_channels", "unit", "robust"])
def test_only_the_training_rows_are_looked_at(kind):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, size=(50, 12)).astype(np.uint8)
    train = np.arange(0, 50, 2)
    other = X.copy()
    other[1::2] = 0
    first, second = (fit(kind, data(values, (3, 2, 2)), train) for values in (X, other))
    np.testing.assert_array_equal(first.shift, second.shift)
    np.testing.assert_array_equal(first.scale, second.scale)


def test_the_mean_image_is_that_of_the_training_rows():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, size=(3000, 2000)).astype(np.uint8)  # more than one block
    rows = np.arange(2500)
    affine = fit("mean", data(X), rows)
    np.testing.assert_allclose(affine.shift, X[:2500].mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(affine.scale, 1)


def test_channels_share_one_mean_and_deviation():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(40, 3, 4, 4)) * np.array([1, 5, 0.1])[:, None, None] + np.array([0, 9, -3])[:, None, None]
    X = images.reshape(40, -1)
    z = fit("standardise_channels", data(X, (3, 4, 4)), np.arange(40))(X).reshape(images.shape)
    np.testing.assert_allclose(z.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(z.std(axis=(0, 2, 3)), 1, rtol=1e-12)


def test_channels_of_a_table_are_refused():
    with pytest.raises(cr.ConfigError, match=r"'standardise_channels' needs images .* use 'standardise'"):
        fit("standardise_channels", data(np.zeros((4, 3))), np.arange(4))


def test_unit_is_by_column_for_tables_and_by_the_whole_for_images():
    X = np.array([[0, 10], [5, 10], [10, 30]], dtype=np.uint8)
    np.testing.assert_allclose(fit("unit", data(X), np.arange(3))(X), [[0, 0], [0.5, 0], [1, 1]])
    np.testing.assert_allclose(fit("unit", data(X, (1, 1, 2)), np.arange(3))(X), X / 30)


def test_a_large_mean_loses_no_precision():
    X = 1e8 + np.random.default_rng(0).normal(size=(1000, 1))
    z = fit("standardise", data(X), np.arange(1000))(X)
    assert z.std() == pytest.approx(1, abs=1e-6)


def test_constant_columns_are_shifted_to_0_and_said():
    X = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0], [0.0, 5.0]] * 5)
    affine = fit("standardise", data(X), np.arange(20))
    assert affine.constant == (1,)
    np.testing.assert_array_equal(affine(X)[:, 1], 0)
    seen = Noting()
    cr.train(cr.mlp([4]), data(X), training=cr.Training(epochs=1, batch_size=5), hooks=[seen])
    assert seen.notes == ("1 column is constant over the training rows (1): shifted to 0, not scaled",)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.float64])
@pytest.mark.parametrize("kind", ["standardise", "robust", "unit"])
@pytest.mark.parametrize("base", [2**53, 2**60, -(2**62)])
def test_large_whole_numbers_are_told_apart_however_close_they_are(base, kind, dtype):
    if base < 0 and dtype == np.uint64:
        base = 2**63
    step = abs(base) // 2**52  # what float64 tells apart there
    places = np.random.default_rng(0).integers(0, 1000, 300)
    X = np.array([[base + step * int(k), 7] for k in places], dtype)
    small = fit(kind, data(np.array([[k, 7] for k in places])), np.arange(300))
    affine = fit(kind, data(X), np.arange(300))
    assert affine.constant == small.constant == (1,)
    z = affine(X.astype(np.float64))[:, 0]
    np.testing.assert_allclose(z, small(np.stack([places, places], 1))[:, 0], atol=0.01)


@pytest.mark.parametrize("kind", ["standardise", "robust"])
@pytest.mark.parametrize("size", [6.02214076e23, -1e140])
def test_numbers_that_are_whole_by_rounding_are_constant(kind, size):
    X = size * (1 + np.finfo(float).eps * np.arange(-4, 4)[np.arange(80) % 8])[:, None]
    affine = fit(kind, data(np.hstack([X, X])), np.arange(80))
    assert affine.constant == (0, 1)


def test_large_whole_targets_are_told_apart():
    y = 2.0**60 + 256 * np.arange(20)
    target = fit_target(cr.Dataset("d", np.zeros((20, 1)), y, "regression", ("t",)), np.arange(20))
    assert target.constant == ()
    assert target(y[:, None]).std() == pytest.approx(1, abs=1e-3)


def test_integers_that_float64_cannot_tell_apart_are_not_called_constant():
    X = np.array([[2**62 + k, 2**62] for k in (0, 1, 2, 3)] * 5)
    seen = Noting()
    cr.train(cr.mlp([4]), data(X), training=cr.Training(epochs=1, batch_size=5), hooks=[seen])
    assert seen.notes == (
        "1 column is constant over the training rows (1): shifted to 0, not scaled",
        "1 column holds integers that float64 cannot tell apart (0): shifted to 0, not scaled; subtract the smallest "
        "from them",
    )


def test_targets_are_standardised_on_training_rows():
    rng = np.random.default_rng(0)
    numbers = cr.Dataset("d", np.zeros((20, 1)), 5 + 3 * rng.normal(size=20), "regression", ("t",))
    target = fit_target(numbers, np.arange(10))
    z = target(numbers.y[:10, None])
    assert z.mean() == pytest.approx(0, abs=1e-12)
    assert z.std() == pytest.approx(1)
    np.testing.assert_allclose(target.back(z)[:, 0], numbers.y[:10])


@pytest.mark.parametrize("kind", ["mean", "standardise"])
def test_a_weight_is_a_repetition(kind):
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(5, 3, (40, 3)), rng.normal(size=40), rng.integers(0, 4, 40)
    rows = np.arange(30)
    often = rows.repeat(weight[:30])
    weighted = cr.Dataset("d", X, y, "regression", ("y",), weight=weight)
    repeated = cr.Dataset("d", X[often], y[often], "regression", ("y",))
    for one, other in ((fit(kind, weighted, rows), fit(kind, repeated, np.arange(len(often)))),
                       (fit_target(weighted, rows), fit_target(repeated, np.arange(len(often))))):  # fmt: skip
        np.testing.assert_allclose(one.shift, other.shift, rtol=1e-12)
        np.testing.assert_allclose(one.scale, other.scale, rtol=1e-12)
    assert abs(fit(kind, weighted, rows).shift - X[:30].mean(axis=0)).max() > 0.01


def test_weights_count_in_every_block(monkeypatch):
    X, weight = np.arange(40.0).reshape(20, 2), np.arange(20.0)
    weighted = cr.Dataset("d", X, X[:, 0], "regression", ("y",), weight=weight)
    whole = fit("standardise", weighted, np.arange(20))
    monkeypatch.setattr("chainrule.data.preprocessing._BLOCK", 6)
    parts = fit("standardise", weighted, np.arange(20))
    np.testing.assert_allclose(parts.shift, np.average(X, axis=0, weights=weight))
    np.testing.assert_allclose((parts.shift, parts.scale), (whole.shift, whole.scale), rtol=1e-12)


def test_targets_whose_variance_vanishes_are_refused():
    y = np.linspace(0, 1e-160, 20)
    with pytest.raises(cr.DataError) as caught:
        fit_target(cr.Dataset("d", np.ones((20, 2)), y, "regression", ("y",)), np.arange(20))
    assert str(caught.value) == (
        "d: the targets of 'y' differ by 1e-160 at most; expected 1e-149 or more, for their squares vanish. Give them in a "
        "smaller unit."
    )
    for fits in (1e12 * y * 1e3, np.full(20, 1e-200), np.arange(20.0)):  # a constant is one in any unit
        fit_target(cr.Dataset("d", np.ones((20, 2)), fits, "regression", ("y",)), np.arange(20))
    small = cr.Dataset("d", np.ones((20, 2)), 1e12 * y, "regression", ("y",))
    target = fit_target(small, np.arange(20))
    assert np.std(target(small.y[:, None])) == pytest.approx(1)
