"""What is said of the rows: counts by hand, and sums that must come out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.intervals import proportion_interval
from chainrule.reporting.judged import (
    calibration,
    calibration_error,
    class_shares,
    confident_mistakes,
    confusion,
    frequent_confusions,
    largest_errors,
)

# Two runs, four rows, three classes; rows 1 and 3 are of class 1 and 2.
P = np.array([
    [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]],
    [[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.3, 0.6, 0.1], [0.5, 0.1, 0.4]],
])  # fmt: skip
Y = np.array([0, 1, 1, 2])


def test_confusion_by_hand():
    counts = confusion(P, Y)
    assert counts.tolist() == [[2, 0, 0], [1, 3, 0], [1, 0, 1]]
    assert frequent_confusions(counts, 5) == [(1, 0, 1), (2, 0, 1)]
    first, second, third = class_shares(counts, n_runs=2)
    assert (first.n, first.share) == (1, 1.0)
    assert (second.n, second.share) == (2, 0.75)
    assert second.interval == proportion_interval(0.75, 2)  # rows, not runs times rows
    assert (third.n, third.share) == (1, 0.5)
    assert class_shares(np.array([[0, 0], [1, 4]]), 1)[0] is None


def test_calibration_by_hand():
    p = np.array([[0.95, 0.92, 0.55, 1.0]])
    right = np.array([[True, False, True, True]])
    low, high = calibration(p, right)
    assert (low.low, low.high, low.n, low.confidence, low.share) == (0.5, 0.6, 1, 0.55, 1.0)
    assert (high.low, high.n) == (0.9, 3)
    assert high.confidence == pytest.approx(2.87 / 3)
    assert high.share == pytest.approx(2 / 3)
    assert calibration_error([low, high]) == pytest.approx(0.25 * 0.45 + 0.75 * (2.87 / 3 - 2 / 3))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80))
def test_calibration_bins_hold_every_prediction_once(rows):
    p, right = np.array([[one[0] for one in rows]]), np.array([[one[1] for one in rows]])
    bins = calibration(p, right)
    assert sum(one.n for one in bins) == len(rows)
    assert sum(one.n * one.share for one in bins) == pytest.approx(right.sum())
    assert sum(one.n * one.confidence for one in bins) == pytest.approx(p.sum())
    assert all(one.low - 1e-12 <= one.confidence <= one.high + 1e-12 for one in bins)
    assert all(one.interval.low <= one.share <= one.interval.high + 1e-12 for one in bins)


def test_mistakes_are_of_the_mean_over_runs_and_the_most_confident_first():
    p = np.array([[[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [[0.7, 0.3], [0.1, 0.9], [0.3, 0.7]]])
    found = confident_mistakes(p, np.array([1, 0, 0]), 5)
    assert [(one.row, one.true, one.predicted) for one in found] == [(1, 0, 1), (0, 1, 0), (2, 0, 1)]
    assert [one.p for one in found] == pytest.approx([0.85, 0.8, 0.55])
    assert len(confident_mistakes(p, np.array([1, 0, 0]), 1)) == 1
    assert confident_mistakes(p, np.array([0, 1, 1]), 5) == []


def test_largest_errors():
    assert largest_errors(np.array([[1.0], [5.0], [2.0]]), np.array([[1.5], [1.0], [2.1]]), 2) == [1, 0]
