"""Gradients by central differences in float64, with kinks told apart from errors."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STEPS = (10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
ENOUGH = 1e-10
AGREEMENT = 2e-8
KINK = 1e-7


class Difference(NamedTuple):
    """∂f/∂v of sampled entries of one array: their flat positions, the estimates, and whether each one settled.

    An entry that did not settle lies at a kink (or drowns in rounding): no two step sizes agree there, or the slopes on
    its two sides differ.
    """

    entries: NDArray[np.int64]
    estimates: NDArray[np.float64]
    settled: NDArray[np.bool_]


def central_differences(
    f: Callable[[], float],
    values: NDArray[np.float64],
    scale: float,
    n_entries: int,
    rng: np.random.Generator,
    among: NDArray[np.int64] | None = None,
) -> Difference:
    """Differences of f with respect to `n_entries` entries of `values`, which f reads and which is restored after.

    The entries are drawn from all, or from the flat positions `among`.

    The stencil has four points, (8 [f(v+h) - f(v-h)] - [f(v+2h) - f(v-2h)])/(12 h), with error O(h⁴), so that h can be
    large and rounding small. h falls tenfold from 10 to 1e-5 times the array's size; the two successive estimates that
    agree best are taken, if they agree within 2e-8 of `scale`, the size of the gradient, and the search ends early at
    1e-10. Away from kinks they do; across a kink estimates differ by about as much as they are wrong. At a kink itself
    they agree on the mean of the two slopes, so second differences are asked as well; see `_smooth`.
    """
    flat = values.reshape(-1)
    assert np.shares_memory(flat, values), "the entries are perturbed in place"  # noqa: S101
    among = np.arange(flat.size) if among is None else among
    entries = np.sort(rng.choice(among, size=min(n_entries, among.size), replace=False))
    size = float(np.sqrt(np.mean(flat**2))) or 1.0
    found = [_settle(f, flat, int(entry), size, scale) for entry in entries]
    return Difference(entries, np.array([estimate for estimate, _ in found]), np.array([ok for _, ok in found]))


def _settle(
    f: Callable[[], float], flat: NDArray[np.float64], entry: int, size: float, scale: float
) -> tuple[float, bool]:
    before, best, distance = np.inf, np.nan, np.inf
    for step in STEPS:
        estimate = _four_points(f, flat, entry, step * size)
        if abs(estimate - before) < distance:
            best, distance = estimate, abs(estimate - before)
        if distance <= ENOUGH * scale:
            break
        before = estimate
    return best, distance <= AGREEMENT * scale and _smooth(f, flat, entry, size, scale)


def _smooth(f: Callable[[], float], flat: NDArray[np.float64], entry: int, size: float, scale: float) -> bool:
    """Whether f has one slope at the point: no jump of it, down to 1e-7 of `scale`, at some step size.

    B(h) = (f(v+h) - 2 f(v) + f(v-h))/h is jump + f'' h + O(h³), so (10 B(h/10) - B(h))/9 is the jump + O(h³).
    """
    before = np.inf
    for step in STEPS:
        bend = _bend(f, flat, entry, step * size)
        if abs(10 * bend - before) / 9 <= KINK * scale:
            return True
        before = bend
    return False


def _bend(f: Callable[[], float], flat: NDArray[np.float64], entry: int, h: float) -> float:
    v, centre = flat[entry], f()
    try:
        flat[entry] = v + h
        above = f()
        flat[entry] = v - h
        return (above - 2 * centre + f()) / h
    finally:
        flat[entry] = v


def _four_points(f: Callable[[], float], flat: NDArray[np.float64], entry: int, h: float) -> float:
    v = flat[entry]

    def at(offset: float) -> float:
        flat[entry] = v + offset
        return f()

    try:
        return (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    finally:
        flat[entry] = v
