"""Intervals for what is reported."""

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist, fmean, stdev


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


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean and Student's interval over repeated runs; with one value the interval is unknown, (-inf, inf).

    >>> tuple(round(value, 3) for value in mean_interval([0.97, 0.98, 0.99]))
    (0.98, 0.955, 1.005)
    """
    mean = fmean(values)
    n = len(values)
    if n < 2:
        return mean, float("-inf"), float("inf")
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * stdev(values) / sqrt(n)
    return mean, mean - half, mean + half
