"""Intervals for what is reported."""

from collections.abc import Sequence
from math import inf, sqrt
from statistics import NormalDist, fmean, stdev

Bounds = tuple[float, float]
"""The least and the greatest value that something can have."""
ANY: Bounds = (-inf, inf)


def proportion_interval(share: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a share seen among n independent rows (Wilson 1927).

    >>> low, high = proportion_interval(0.59, 1000)
    >>> round(low, 4), round(high, 4)
    (0.5592, 0.6201)
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(
    values: Sequence[float], within: Bounds = ANY, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Mean and Student's interval over repeated runs; with one value the interval is unknown, (-inf, inf).

    within: between which every value lies, and so their true mean; the interval is cut there.

    >>> tuple(round(value, 3) for value in mean_interval([0.97, 0.98, 0.99]))
    (0.98, 0.955, 1.005)
    >>> tuple(round(value, 3) for value in mean_interval([0.97, 0.98, 0.99], within=(0, 1)))
    (0.98, 0.955, 1.0)
    """
    mean = fmean(values)
    n = len(values)
    if n < 2:
        return mean, -inf, inf
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * stdev(values) / sqrt(n)
    return mean, *cut(mean - half, mean + half, within)


def cut(low: float, high: float, within: Bounds) -> tuple[float, float]:
    """The part of an interval that lies `within` where the truth must lie: it holds the truth just as often.

    >>> cut(0.955, 1.005, (0, 1))
    (0.955, 1.0)
    """
    return max(low, float(within[0])), min(high, float(within[1]))
