"""Intervals against scipy and against what they promise: to cover the truth 95 times in 100."""

from math import inf

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from chainrule.intervals import cut, mean_interval, proportion_interval


@pytest.mark.parametrize(("k", "n"), [(0, 10), (10, 10), (590, 1000), (1, 3)])
def test_a_share_has_wilsons_interval(k, n):
    theirs = scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
    assert proportion_interval(k / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_a_mean_has_students_interval():
    values = [0.97, 0.98, 0.99, 0.95]
    mean, low, high = mean_interval(values)
    expected = scipy.stats.t.interval(0.95, 3, np.mean(values), scipy.stats.sem(values))
    assert (low, high) == pytest.approx(expected)
    assert mean == pytest.approx(np.mean(values))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_the_interval_of_a_mean_is_students_cut_where_values_end(values):
    mean, low, high = mean_interval(values, (0, 1))
    _, whole_low, whole_high = mean_interval(values)
    assert (low, high) == (max(whole_low, 0.0), min(whole_high, 1.0))
    assert 0 <= low <= mean + 1e-15
    assert mean - 1e-15 <= high <= 1


def test_cutting_changes_no_coverage():
    """Accuracies near 1, three seeds: the cut interval holds the true mean whenever the whole one does."""
    rng = np.random.default_rng(0)
    draws = rng.beta(30, 1, size=(2000, 3))
    whole = [mean_interval(values)[1:] for values in draws]
    cuts = [cut(low, high, (0, 1)) for low, high in whole]
    true = 30 / 31
    assert [low <= true <= high for low, high in whole] == [low <= true <= high for low, high in cuts]
    assert np.mean([high > 1 for _, high in whole]) > 0.5  # it matters here
    assert cut(-3.0, 5.0, (0, inf)) == (0.0, 5.0)


def test_one_value_has_no_interval():
    assert mean_interval([0.5], (0, 1)) == mean_interval([0.5]) == (0.5, float("-inf"), float("inf"))


def test_the_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    shares = [proportion_interval(k / 200, 200) for k in rng.binomial(200, 0.9, 4000)]
    means = [mean_interval(values)[1:] for values in rng.normal(size=(2000, 5))]
    assert np.mean([low <= 0.9 <= high for low, high in shares]) == pytest.approx(0.95, abs=0.015)
    assert np.mean([low <= 0 <= high for low, high in means]) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("confidence", [0.8, 0.99])
def test_the_confidence_can_be_chosen(confidence):
    theirs = scipy.stats.binomtest(59, 100).proportion_ci(confidence, method="wilson")
    assert proportion_interval(0.59, 100, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    values = [0.97, 0.98, 0.99, 0.95]
    expected = scipy.stats.t.interval(confidence, 3, np.mean(values), scipy.stats.sem(values))
    assert mean_interval(values, confidence=confidence)[1:] == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 7, 10**6])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_interval_of_a_share_stays_within_0_and_1(share, n):
    low, high = proportion_interval(share, n)
    assert 0 <= low < high <= 1
