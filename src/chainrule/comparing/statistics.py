"""Differences of means over seeds and rows: pure functions.

A score is known for every seed and row, x (n_seeds, n_rows). Two things vary that another experiment would draw anew:
the seeds, and the rows. Both go into the standard error of a mean, se² = se_seeds² + se_rows², with se_seeds² =
s²/n_seeds of the seeds' means and se_rows² = s²/n_rows of the rows' means.
"""

from collections.abc import Sequence
from math import inf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.intervals import Bounds

Scores = NDArray[np.float64]
"""(n_seeds, n_rows)"""


class Difference(NamedTuple):
    """mean of a less that of b; its 95 % interval and p-value against 0; what its error is made of.

    how: "paired" over the same seeds, "Welch" over others, "McNemar" or "rows" where there is one run of one of them,
    so that nothing can be said about other seeds. deviation: of a seed's difference, for the number of seeds that would
    settle it. alike: all rows differ by the same.
    """

    mean: float
    low: float
    high: float
    p: float
    how: str
    se_seeds: float
    se_rows: float
    deviation: float
    alike: bool = False


def difference(a: Scores, b: Scores, *, paired: bool) -> Difference:
    """a and b (n_seeds, n_rows) of the same rows; paired: the same seeds in the same order."""
    from scipy.stats import t as student

    each = a.mean(axis=0) - b.mean(axis=0)  # (n_rows,)
    mean = float(each.mean())
    se_rows = _deviation(each) / sqrt(len(each)) if len(each) > 1 else inf
    if len(a) == 1 or len(b) == 1:
        return _single(a, b, mean, se_rows)
    if paired:
        d = a.mean(axis=1) - b.mean(axis=1)  # (n_seeds,)
        deviation = _deviation(d)
        se_seeds, freedom = deviation / sqrt(len(d)), len(d) - 1.0
    else:
        parts = [float(x.mean(axis=1).var(ddof=1)) / len(x) for x in (a, b)]
        se_seeds = sqrt(sum(parts))
        deviation = se_seeds * sqrt(min(len(a), len(b)))
        spread = sum(part**2 / (len(x) - 1) for part, x in zip(parts, (a, b), strict=True))
        freedom = sum(parts) ** 2 / spread if spread > 0 else len(a) + len(b) - 2.0
    se = sqrt(se_seeds**2 + se_rows**2)
    # Satterthwaite: the degrees of freedom of a sum of variances, one of which is known from many rows.
    spread = se_seeds**4 / freedom + se_rows**4 / max(len(each) - 1, 1)
    freedom = se**4 / spread if spread > 0 else freedom
    half = float(student.ppf(0.975, freedom)) * se
    p = float(2 * student.sf(abs(mean) / se, freedom)) if se > 0 else float(mean == 0)
    return Difference(mean, mean - half, mean + half, p, "paired" if paired else "Welch", se_seeds, se_rows, deviation)


def _deviation(values: NDArray[np.float64]) -> float:
    """Standard deviation of values (n,), 0 where they differ in rounding alone."""
    return float(values.std(ddof=1)) if np.ptp(values) > 1e-12 * np.abs(values).max() else 0.0


def of_alike_rows(found: Difference, n_rows: int, within: Bounds) -> Difference:
    """What `n_rows` rows that all differ by the same d can tell, where a row's difference lies `within`.

    They show no spread, but not that there is none. Were d or more to be had from a share q of all rows, n_rows would
    all be of that share with probability q^n_rows, which is 2.5 % at q = 0.025^(1/n_rows) (Clopper and Pearson 1934);
    likewise d or less. The others differ by what they can, so the mean lies in q d + (1 - q) `within`. p is the level
    at which that reaches 0; for d = ±1 within [-1, 1] it is McNemar's 2 · 0.5^n_rows. What the seeds leave open is
    open still: the wider interval and the greater p are given.

    >>> one = of_alike_rows(Difference(1.0, 1.0, 1.0, 0.0, "paired", 0.0, 0.0, 0.0), 3, (-1.0, 1.0))
    >>> round(one.low, 3), one.high, one.p
    (-0.415, 1.0, 0.25)
    """
    q, d = 0.025 ** (1 / n_rows), found.mean
    low, high = (q * d + (1 - q) * end for end in within)
    opposite = within[0] if d > 0 else within[1]
    p = min(1.0, 2 * (1 + abs(d / opposite)) ** -n_rows)
    se_rows = max(d - low, high - d) / 1.959964  # of a normal law that reaches as far
    return found._replace(low=min(low, found.low), high=max(high, found.high), p=max(p, found.p),
                          se_rows=se_rows, alike=True)  # fmt: skip


def _single(a: Scores, b: Scores, mean: float, se_rows: float) -> Difference:
    """One run each: rows alone. Shares of right rows are compared by McNemar's exact test (1947)."""
    from scipy.stats import norm

    first, second = a.mean(axis=0), b.mean(axis=0)
    half = 1.959964 * se_rows
    if len(a) == len(b) == 1 and set(np.unique([first, second])) <= {0.0, 1.0}:
        only_a, only_b = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
        return Difference(mean, *mcnemar(only_a, only_b, len(first)), "McNemar", inf, se_rows, inf)
    p = float(2 * norm.sf(abs(mean) / se_rows)) if se_rows > 0 else float(mean == 0)
    return Difference(mean, mean - half, mean + half, p, "rows", inf, se_rows, inf)


def mcnemar(only_a: int, only_b: int, n_rows: int) -> tuple[float, float, float]:
    """95 % interval of the difference of two shares of right rows, and McNemar's exact p: low, high, p.

    only_a, only_b: rows, of `n_rows`, that a alone and b alone gets right. The difference is q (2 r - 1) of the share q
    of rows that they judge otherwise and the share r of these that a gets right. It is given all that it is for q and r
    in their exact intervals (Clopper and Pearson 1934), which leaves 0 out where r's leaves 1/2 out, at p < 0.05.

    >>> [round(value, 4) for value in mcnemar(2, 0, 3)]
    [-0.678, 0.9916, 0.5]
    """
    from scipy.stats import binomtest

    unlike = only_a + only_b
    q = binomtest(unlike, n_rows).proportion_ci(0.95, "exact")
    if not unlike:
        return -float(q.high), float(q.high), 1.0
    test = binomtest(only_a, unlike)
    low, high = (2 * float(end) - 1 for end in test.proportion_ci(0.95, "exact"))
    low *= float(q.low if low > 0 else q.high)
    high *= float(q.high if high > 0 else q.low)
    return low, high, float(test.pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their number, so that the chance of any false conclusion stays below 5 % (Holm 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=lambda i: p[i])
    corrected, largest = [0.0] * len(p), 0.0
    for place, i in enumerate(order):
        largest = max(largest, min((len(p) - place) * p[i], 1.0))
        corrected[i] = largest
    return corrected


MOST_SEEDS = 1000
POWER_Z = 0.8416212
"""Standard normal quantile of 0.8: a difference of this size is to be found in four of five such comparisons."""


def seeds_needed(found: Difference, comparisons: int = 1) -> int | None:
    """Paired seeds after which a true difference of the size seen would be found with probability 0.8.

    At 5 % divided by the number of comparisons, Holm's first step. None where no number would do: the rows alone leave
    too much open. With few seeds Student's quantile counts, so the number is found by trying.
    """
    from scipy.stats import norm
    from scipy.stats import t as student

    level, size = 1 - 0.025 / comparisons, abs(found.mean)
    if size == 0 or found.deviation == inf or size <= (norm.ppf(level) + POWER_Z) * found.se_rows:
        return None
    for n in range(2, MOST_SEEDS + 1):
        seeds, rows = found.deviation**2 / n, found.se_rows**2
        freedom = (seeds + rows) ** 2 / (seeds**2 / (n - 1)) if seeds > 0 else inf
        if size >= (student.ppf(level, freedom) + POWER_Z) * sqrt(seeds + rows):
            return n
    return None
