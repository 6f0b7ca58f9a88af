"""Who is stopped, and why, by hand."""

import pytest

from chainrule.study.config import Pruning
from chainrule.study.pruning import first_rung, stopped

NONE, MEDIAN = Pruning(), Pruning("median", first=2, warm_up=1)
ASHA = Pruning("asha", first=1, factor=3)


def test_none_stops_no_one():
    assert stopped(NONE, {0: [1.0], 1: [9.0]}, 1) is None


def test_median():
    others = {0: [3.0, 2.0, 1.0], 1: [3.0, 4.0]}
    assert stopped(MEDIAN, others | {5: [9.0]}, 5) is None  # before `first`
    assert stopped(MEDIAN, others | {5: [9.0, 8.0]}, 5) == "at row 2 its best is behind the median of 2 others"
    assert stopped(MEDIAN, others | {5: [9.0, 2.2]}, 5) is None
    assert stopped(MEDIAN, others | {5: [2.1, 8.0]}, 5) is None  # its best counts
    assert stopped(Pruning("median", warm_up=6), others | {5: [9.0]}, 5) is None


@pytest.mark.parametrize(
    ("values", "goes_on"), [([5.0], False), ([0.5], True), ([5.0, 5.0], True), ([2, 2, 5.0], False)]
)
def test_halving_decides_at_rungs(values, goes_on):
    """Rungs at rows 1, 3, 9; of five at row 1 the best goes on, of three at row 3 the best."""
    curves = {0: [1.0, 1.0, 1.0], 1: [2.0, 2.0, 2.0], 2: [3.0], 3: [4.0], 4: values}
    assert (stopped(ASHA, curves, 4) is None) == goes_on


def test_the_first_at_a_rung_goes_on():
    assert stopped(ASHA, {0: [7.0]}, 0) is None


def test_brackets_of_hyperband():
    hyperband = Pruning("hyperband", first=1, factor=3)
    assert [first_rung(hyperband, trial) for trial in range(6)] == [1, 3, 9, 1, 3, 9]
    assert stopped(hyperband, {0: [1.0], 1: [9.0]}, 1) is None  # its first rung is at row 3
    assert "row 3" in stopped(hyperband, {0: [1.0, 1.0, 1.0], 1: [9.0, 9.0, 9.0]}, 1)
