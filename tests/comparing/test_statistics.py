"""Differences of means: against SciPy, by simulation under the null and elsewhere, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from chainrule.comparing.statistics import Difference, difference, holm, mcnemar, of_alike_rows, seeds_needed


def drawn(rng, n_seeds, n_rows, effect=0.0, seed_spread=0.02, row_spread=0.3):
    """Scores of two procedures: a common difficulty of rows, effects of seeds, and their interaction."""
    rows = rng.normal(0, 0.5, n_rows)
    interaction = rng.normal(0, row_spread, n_rows)  # some rows suit a, some b: drawn anew with the rows
    a = (
        rows
        + interaction / 2
        + effect
        + rng.normal(0, seed_spread, (n_seeds, 1))
        + rng.normal(0, 0.1, (n_seeds, n_rows))
    )
    b = rows - interaction / 2 + rng.normal(0, seed_spread, (n_seeds, 1)) + rng.normal(0, 0.1, (n_seeds, n_rows))
    return a, b


def test_with_endless_rows_it_is_students_and_welchs_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 1)), rng.normal(0.4, 1, size=(6, 1))
    wide = [np.repeat(x, 10**4, axis=1) for x in (a, b)]  # rows that do not differ
    paired = difference(*wide, paired=True)
    assert paired.p == pytest.approx(stats.ttest_rel(a[:, 0], b[:, 0]).pvalue, rel=1e-6)
    apart = difference(*wide, paired=False)
    assert apart.p == pytest.approx(stats.ttest_ind(a[:, 0], b[:, 0], equal_var=False).pvalue, rel=1e-6)
    assert (paired.low, paired.high) == pytest.approx(stats.ttest_rel(a[:, 0], b[:, 0]).confidence_interval(), rel=1e-6)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(("n_seeds", "n_rows"), [(3, 100), (5, 1000), (5, 60)])
def test_one_in_twenty_equal_procedures_is_called_different_at_most(paired, n_seeds, n_rows):
    rng = np.random.default_rng(1)
    found = [difference(*drawn(rng, n_seeds, n_rows), paired=paired) for _ in range(1500)]
    share = np.mean([one.p < 0.05 for one in found])
    assert share < 0.05 + 3 * (0.05 * 0.95 / 1500) ** 0.5


def test_intervals_hold_the_true_difference_and_are_not_wasteful():
    rng = np.random.default_rng(2)
    found = [difference(*drawn(rng, 5, 400, effect=0.05), paired=True) for _ in range(1500)]
    share = np.mean([one.low <= 0.05 <= one.high for one in found])
    assert 0.94 < share < 0.985


def test_seeds_alone_would_call_equal_procedures_different():
    """Why rows count too: on the same few rows a hundred seeds agree on what is an accident of the rows."""
    rng = np.random.default_rng(3)
    pairs = [drawn(rng, 20, 100, seed_spread=0.001) for _ in range(300)]
    assert np.mean([stats.ttest_rel(a.mean(axis=1), b.mean(axis=1)).pvalue < 0.05 for a, b in pairs]) > 0.3
    assert np.mean([difference(a, b, paired=True).p < 0.05 for a, b in pairs]) < 0.08


def test_one_run_each_is_mcnemars_exact_test():
    a, b = np.ones((1, 100)), np.ones((1, 100))
    a[0, :3], b[0, 3:15] = 0, 0
    found = difference(a, b, paired=True)
    assert found.how == "McNemar"
    assert found.p == pytest.approx(stats.binomtest(3, 15).pvalue)
    assert found.mean == pytest.approx(0.09)
    assert difference(a, a, paired=True).p == 1.0


def exact(k, n):
    """Clopper and Pearson's interval, as quantiles of beta laws."""
    return (stats.beta.ppf(0.025, k, n - k + 1) if k else 0.0), (stats.beta.ppf(0.975, k + 1, n - k) if k < n else 1.0)


@settings(max_examples=100, deadline=None)
@given(only_a=st.integers(0, 25), only_b=st.integers(0, 25), more=st.integers(0, 500))
def test_the_interval_of_one_run_each_leaves_0_out_where_the_test_does(only_a, only_b, more):
    n = max(only_a + only_b + more, 1)
    low, high, p = mcnemar(only_a, only_b, n)
    assert -1 <= low <= (only_a - only_b) / n <= high <= 1
    assert (low > 0 or high < 0) == (p < 0.05)
    assert mcnemar(only_b, only_a, n) == pytest.approx((-high, -low, p))
    if only_a + only_b:
        ends = [q * (2 * r - 1) for q in exact(only_a + only_b, n) for r in exact(only_a, only_a + only_b)]
        assert (low, high) == (pytest.approx(min(ends), abs=1e-9), pytest.approx(max(ends), abs=1e-9))
        assert p == pytest.approx(min(1, 2 * stats.binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)))


@pytest.mark.parametrize("n", [5, 30])
def test_the_interval_of_one_run_each_holds_the_true_difference(n):
    """Over all samples: of rows that a alone gets right with probability one, b alone with probability other."""
    counts = [(a, b, n - a - b) for a in range(n + 1) for b in range(n + 1 - a)]
    low, high, _ = np.array([mcnemar(a, b, n) for a, b, _ in counts]).T
    shares = (0.0, 0.002, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 1.0)
    for one, other in ((one, other) for one in shares for other in shares if one + other <= 1):
        chance = stats.multinomial.pmf(counts, n, [one, other, max(1 - one - other, 0)])
        assert chance[(low <= one - other + 1e-9) & (high >= one - other - 1e-9)].sum() >= 0.95


def test_rows_that_differ_alike_tell_what_their_number_tells():
    a, b = np.ones((3, 5)), np.zeros((3, 5))
    found = of_alike_rows(difference(a, b, paired=True), 5, (-1.0, 1.0))
    assert found.p == pytest.approx(stats.binomtest(0, 5).pvalue)
    low = stats.binomtest(5, 5).proportion_ci(0.95, "exact").low  # of rows that are better for a; the others are worse
    assert (found.low, found.high, found.alike) == (pytest.approx(2 * low - 1), 1.0, True)
    assert seeds_needed(found) is None
    many = of_alike_rows(difference(np.ones((3, 500)), np.zeros((3, 500)), paired=True), 500, (-1.0, 1.0))
    assert (many.p < 1e-9, many.low > 0.98) == (True, True)
    none = of_alike_rows(difference(b, b, paired=True), 5, (-1.0, 1.0))
    assert (none.p, -none.low, none.high) == (1.0, pytest.approx(1 - low), pytest.approx(1 - low))
    endless = of_alike_rows(difference(a, b, paired=True), 5, (-np.inf, np.inf))  # squared errors
    assert (endless.low, endless.high, endless.p) == (-np.inf, np.inf, 1.0)
    thirds = np.tile([[1.0], [0.0], [0.0]], 5), np.zeros((3, 5))
    apart = difference(*thirds, paired=True)
    assert apart.se_rows == 0.0  # not what rounding leaves
    assert of_alike_rows(apart, 5, (-1.0, 1.0)).p == max(apart.p, 2 * (4 / 3) ** -5)


def test_intervals_of_alike_rows_hold_the_true_difference():
    """Of rows that are better for a with probability q and worse else; intervals of others are not asked for here."""
    for q in (0.5, 0.7, 0.9, 0.99):
        for n in (2, 3, 5, 20):
            ends = [of_alike_rows(difference(np.full((2, n), x), np.full((2, n), 1 - x), paired=True), n, (-1.0, 1.0))
                    for x in (1.0, 0.0)]  # fmt: skip
            wrong = [not one.low <= 2 * q - 1 <= one.high for one in ends]
            assert wrong[0] * q**n + wrong[1] * (1 - q) ** n <= 0.05


def test_one_run_against_several_is_of_rows_alone():
    rng = np.random.default_rng(4)
    found = difference(rng.normal(size=(1, 50)), rng.normal(size=(3, 50)), paired=False)
    assert (found.how, found.se_seeds, seeds_needed(found)) == ("rows", np.inf, None)


@settings(max_examples=50, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_keeps_the_order_and_is_between_one_and_all(p):
    corrected = holm(p)
    assert all(one <= two <= min(1, len(p) * one) + 1e-12 for one, two in zip(p, corrected, strict=True))
    order = np.argsort(p, kind="stable")
    assert list(np.diff(np.array(corrected)[order]) >= -1e-12) == [True] * (len(p) - 1)


def test_as_many_seeds_as_were_said_to_be_needed_find_the_difference_four_times_in_five():
    """The size that was seen is taken to be the true one."""
    found = Difference(0.02, 0, 0, 0.2, "paired", 0.01, 0.0, 0.02 * 2**0.5)
    n = seeds_needed(found)
    rng = np.random.default_rng(5)
    d = 0.02 + 0.02 * 2**0.5 * rng.normal(size=(2000, n))
    power = np.mean(stats.ttest_1samp(d, 0, axis=1).pvalue < 0.05)
    assert 0.72 < power < 0.88
    assert seeds_needed(found._replace(se_rows=0.02)) is None  # the rows alone leave too much open
    assert seeds_needed(found._replace(mean=0.0)) is None
