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

Scores = NDArray[np.float64]
"""(n_seeds, n_rows)"""


class Difference(NamedTuple):
    """mean of a less that of b; its 95 % interval and p-value against 0; what its error is made of.

    how: "paired" over the same seeds, "Welch" over others, "McNemar" or "rows" where there is one run of one of them,
    so that nothing can be said about other seeds. deviation: of a seed's difference, for the number of seeds that would
    settle it.
    """

    mean: float
    low: float
    high: float
    p: float
    how: str
    se_seeds: float
    se_rows: float
    deviation: float


def difference(a: Scores, b: Scores, *, paired: bool) -> Difference:
    """a and b (n_seeds, n_rows) of the same rows; paired: the same seeds in the same order."""
    from scipy.stats import t as student

    each = a.mean(axis=0) - b.mean(axis=0)  # (n_rows,)
    mean = float(each.mean())
    se_rows = float(each.std(ddof=1) / sqrt(len(each))) if len(each) > 1 else inf
    if len(a) == 1 or len(b) == 1:
        return _single(a, b, mean, se_rows)
    if paired:
        d = a.mean(axis=1) - b.mean(axis=1)  # (n_seeds,)
        deviation = float(d.std(ddof=1))
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


def _single(a: Scores, b: Scores, mean: float, se_rows: float) -> Difference:
    """One run each: rows alone. Shares of right rows are compared by McNemar's exact test (1947)."""
    from scipy.stats import binomtest, norm

    first, second = a.mean(axis=0), b.mean(axis=0)
    half = 1.959964 * se_rows
    if len(a) == len(b) == 1 and set(np.unique([first, second])) <= {0.0, 1.0}:
        only_a, only_b = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
        p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
        return Difference(mean, mean - half, mean + half, p, "McNemar", inf, se_rows, inf)
    p = float(2 * norm.sf(abs(mean) / se_rows)) if se_rows > 0 else float(mean == 0)
    return Difference(mean, mean - half, mean + half, p, "rows", inf, se_rows, inf)


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
