"""Curves: fewer points that keep the picture, means and ranges over seeds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.reporting.blocks import Curves, Line, Page, Section, Table
from chainrule.reporting.curves import BUDGET, MOST, by_step, lines, pairs, summary, thinned, within, within_budget

NUMBERS = st.floats(-1e6, 1e6)


@given(st.lists(NUMBERS, min_size=1, max_size=300), st.integers(4, 60))
def test_thinning_keeps_ends_and_extremes(y, most):
    at = thinned(y, most)
    assert at == sorted(set(at))
    assert len(at) <= max(most, 1)
    assert (at[0], at[-1]) == (0, len(y) - 1)
    kept = [y[i] for i in at]
    assert (min(kept), max(kept)) == (min(y), max(y))


@pytest.mark.parametrize("peak", range(50))
def test_no_peak_is_lost(peak):
    y = [0.0] * 50
    y[peak] = 1.0
    assert peak in thinned(y, 10)


def test_a_short_curve_is_left_alone():
    assert thinned([3.0, 1.0, 2.0], 3) == [0, 1, 2]
    line = Line("a", (1.0, 2.0), (3.0, 4.0))
    assert within(line, 10) == line


def test_a_band_is_thinned_with_its_line():
    y = tuple(float(i % 7) for i in range(100))
    line = within(Line("a", tuple(map(float, range(100))), y, tuple(v - 1 for v in y), tuple(v + 1 for v in y)), 20)
    assert len(line.x) == len(line.y) == len(line.low) == len(line.high) <= 20
    assert all(low == v - 1 for low, v in zip(line.low, line.y, strict=True))


def page_of(n_lines, n_points):
    line = Line("a", tuple(map(float, range(n_points))), tuple(float(i % 11) for i in range(n_points)))
    figure = Curves("loss", "Loss", "", Table((), ()), "step", "loss", (line,) * n_lines)
    return Page("t", "", (Section("s", "S", (figure,)),))


@pytest.mark.parametrize(("n_lines", "most"), [(1, MOST), (100, BUDGET // 200)])
def test_a_page_has_a_budget_of_points(n_lines, most):
    [figure] = within_budget(page_of(n_lines, 5000)).figures()
    assert all(most // 2 <= len(line.x) <= most for line in figure.lines)


def test_pairs_leave_out_what_is_not_finite_and_take_the_later_of_equal_steps():
    history = [
        {"step": 5, "loss": 3.0, "of": {"0.W": 1.0}}, {"step": 10, "loss": float("nan")}, {"step": 5, "loss": 2.0},
        {"step": 20, "loss": None}, {"step": 7, "loss": float("inf"), "of": {"2.W": 4.0}},
    ]  # fmt: skip
    assert pairs(history, "loss") == ((5,), (2.0,))
    assert pairs(history, "of", "0.W") == ((5,), (1.0,))
    assert pairs(history, "nothing") == ((), ())


def history(*values, first=1):
    return [{"step": first + i, "loss": value} for i, value in enumerate(values)]


def test_several_runs_are_their_mean_and_range():
    [line] = lines([history(1.0, 4.0), history(3.0, 2.0)], "loss", "validation", 2)
    assert (line.x, line.y, line.low, line.high) == ((1, 2), (2.0, 3.0), (1.0, 2.0), (3.0, 4.0))
    [line] = lines([history(1.0, 4.0)], "loss", "validation", 2)
    assert (line.y, line.low) == ((1.0, 4.0), ())
    [line] = lines([history(1.0, 4.0), history(1.0, 4.0)], "loss", "lr", 0)
    assert line.low == ()
    found = lines([history(1.0, 4.0), history(3.0)], "loss", "validation", 2)
    assert [(one.name, one.y) for one in found] == [("validation #1", (1.0, 4.0)), ("validation #2", (3.0,))]
    assert lines([history(1.0)], "absent", "x", 0) == []


def test_tables_of_curves():
    line = Line("a", tuple(map(float, range(100))), tuple(float((i - 50) ** 2) for i in range(100)))
    table = by_step([line, line])
    assert table.header == ("step", "a", "a")
    assert (len(table.rows), table.rows[0], table.rows[-1]) == (12, (0, 2500.0, 2500.0), (99, 2401.0, 2401.0))
    assert summary([line]).rows == (("a", 100, 2500.0, 2401.0, 0.0, 50, 2500.0, 0),)
