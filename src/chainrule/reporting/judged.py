"""What the networks of one group say of the validation rows: pure functions of probabilities and targets."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.intervals import proportion_interval
from chainrule.reporting.blocks import Interval

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


class Share(NamedTuple):
    """Of n rows, the share that is right, with Wilson's interval over rows."""

    n: int
    share: float
    interval: Interval


class Bin(NamedTuple):
    """Rows whose confidence lies in [low, high): how many, their mean confidence, how many of them are right."""

    low: float
    high: float
    n: int
    confidence: float
    share: float
    interval: Interval


class Mistake(NamedTuple):
    """row: its place among those judged. p: the mean probability given to the wrong class."""

    row: int
    true: int
    predicted: int
    p: float


def confusion(p: Floats, y: Counts) -> Counts:
    """Counts (K, K) of true by predicted class, summed over runs; p (n_runs, n_rows, K), y (n_rows,)."""
    k = p.shape[2]
    predicted = p.argmax(axis=2)  # (n_runs, n_rows)
    cells = (y[None, :] * k + predicted).ravel()
    return np.bincount(cells, minlength=k * k).reshape(k, k).astype(np.int64)


def class_shares(counts: Counts, n_runs: int) -> list[Share | None]:
    """Accuracy on the rows of each class, mean over runs; None for a class without rows.

    The interval is over the rows of one run: runs judge the same rows, so they do not make them more.
    """
    found: list[Share | None] = []
    for i, row in enumerate(counts):
        total = int(row.sum())
        n, share = total // n_runs, float(row[i] / total) if total else 0.0
        found.append(Share(n, share, Interval(*proportion_interval(share, n))) if n else None)
    return found


def calibration(confidence: Floats, right: NDArray[np.bool], n_bins: int = 10) -> list[Bin]:
    """Rows by confidence in bins of equal width, empty ones left out; both arguments (n_runs, n_rows).

    share: of the predictions that are right. The interval is over the rows of one run.
    """
    n_runs = len(confidence)
    at = np.minimum((confidence * n_bins).astype(np.int64), n_bins - 1)
    found = []
    for i in range(n_bins):
        inside = at == i
        n = int(inside.sum())
        if n:
            share = float(right[inside].mean())
            interval = Interval(*proportion_interval(share, max(round(n / n_runs), 1)))
            found.append(Bin(i / n_bins, (i + 1) / n_bins, n, float(confidence[inside].mean()), share, interval))
    return found


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error Σ n/N |share - confidence| over bins (Naeini 2015).

    >>> calibration_error([Bin(0.8, 0.9, 10, 0.85, 0.75, Interval(0, 1)), Bin(0.9, 1, 30, 0.95, 0.95, Interval(0, 1))])
    0.025
    """
    total = sum(one.n for one in bins)
    return round(sum(one.n * abs(one.share - one.confidence) for one in bins) / total, 12)


def confident_mistakes(p: Floats, y: Counts, most: int) -> list[Mistake]:
    """Rows that the mean probabilities over runs get wrong, the most confident first; p (n_runs, n_rows, K)."""
    mean = p.mean(axis=0)  # (n_rows, K)
    predicted = mean.argmax(axis=1)
    wrong = np.flatnonzero(predicted != y)
    by_confidence = wrong[np.argsort(-mean[wrong, predicted[wrong]], kind="stable")][:most]
    return [Mistake(int(i), int(y[i]), int(predicted[i]), float(mean[i, predicted[i]])) for i in by_confidence]


def largest_errors(prediction: Floats, y: Floats, most: int) -> list[int]:
    """Rows with the largest mean absolute error over outputs; both (n_rows, n_out)."""
    error = np.abs(prediction - y).mean(axis=1)
    return [int(i) for i in np.argsort(-error, kind="stable")[:most]]


def frequent_confusions(counts: Counts, most: int) -> list[tuple[int, int, int]]:
    """(true, predicted, how often) of the most frequent mistakes."""
    off: Any = counts.copy()
    np.fill_diagonal(off, 0)
    order = np.argsort(-off, axis=None, kind="stable")[:most]
    cells = [(int(i // len(off)), int(i % len(off))) for i in order]
    return [(i, j, int(off[i, j])) for i, j in cells if off[i, j] > 0]
