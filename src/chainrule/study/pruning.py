"""Whether a candidate is stopped at a row of its history: pure functions of the values seen so far."""

from collections.abc import Mapping, Sequence
from statistics import median

from chainrule.study.config import Pruning

Curves = Mapping[int, Sequence[float]]
"""By trial, its values at rows 1, 2, ...; the smaller the better."""


def stopped(options: Pruning, curves: Curves, trial: int) -> str | None:
    """Why `trial` is stopped at its last row; None to go on."""
    if options.kind == "none":
        return None
    return _median(options, curves, trial) if options.kind == "median" else _halving(options, curves, trial)


def _median(options: Pruning, curves: Curves, trial: int) -> str | None:
    n = len(curves[trial])
    others = [min(curve[:n]) for other, curve in curves.items() if other != trial and len(curve) >= n]
    if n < options.first or trial < options.warm_up or len(others) < max(options.warm_up, 1):
        return None
    best, middle = min(curves[trial]), median(others)
    return f"at row {n} its best is behind the median of {len(others)} others" if best > middle else None


def _halving(options: Pruning, curves: Curves, trial: int) -> str | None:
    """Asynchronous successive halving (Li 2020): go on from a rung only among the best 1/factor that reached it."""
    n, first, factor = len(curves[trial]), first_rung(options, trial), options.factor
    rung = first
    while rung < n:
        rung *= factor
    if rung != n:
        return None
    there = [curve[n - 1] for other, curve in curves.items() if len(curve) >= n and first_rung(options, other) <= n]
    kept = max(len(there) // factor, 1)
    if curves[trial][n - 1] <= sorted(there)[kept - 1]:
        return None
    return f"at row {n} it is not among the best {kept} of {len(there)}"


def first_rung(options: Pruning, trial: int) -> int:
    """Rows before the first decision; Hyperband's brackets begin at first, first·factor, first·factor² in turn."""
    return options.first * (options.factor ** (trial % 3) if options.kind == "hyperband" else 1)
