"""Moments of columns that come in blocks are those of all rows at once, also where means are large and drift."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chainrule.data.streaming import columns
from chainrule.data.streaming.columns import columns_of


def measured(X, cuts=()):
    found = None
    for part in np.split(X, cuts):
        found = columns_of(part, found)
    return found


@given(arrays(np.float64, (23, 3), elements=st.floats(-1e3, 1e3)), st.sets(st.integers(0, 23)))
def test_blocks_of_any_length_have_the_moments_of_the_whole(X, cuts):
    found = measured(X, sorted(cuts))
    assert found.n == 23
    np.testing.assert_allclose(found.mean, X.mean(axis=0), rtol=1e-12, atol=1e-10)
    np.testing.assert_allclose(found.variance, X.var(axis=0), rtol=1e-10, atol=1e-9)
    np.testing.assert_array_equal(found.extremes, [X.min(axis=0), X.max(axis=0)])


@pytest.mark.parametrize("numbers", [2**17, 6])  # all rows widened at a time, or two
def test_large_means_and_a_drift_lose_nothing(monkeypatch, numbers):
    monkeypatch.setattr(columns, "_NUMBERS", numbers)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 3)) + np.linspace([1e9, 0, 0], [1e9, 1e6, 0], 4000)
    found = measured(X, range(0, 4000, 100))
    mean = X.mean(axis=0)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-14, atol=1e-9)
    variance = ((X - mean) ** 2).mean(axis=0)
    # A mean near 1e9 is rounded to 1e-7, and so are differences of means.
    for found_variance, expected, rtol in zip(found.variance, variance, (1e-7, 1e-12, 1e-12), strict=True):
        assert found_variance == pytest.approx(expected, rel=rtol)


def test_integers_do_not_wrap_around():
    X = np.full((1000, 1), 255, np.uint8)
    found = measured(X)
    assert (found.mean[0], found.variance[0], found.low[0], found.high[0]) == (255, 0, 255, 255)
