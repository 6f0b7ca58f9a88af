"""Preprocessing fitted on the training rows only. Every kind is affine: x ↦ (x - shift)·scale."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset, check_size
from chainrule.errors import ConfigError

Kind = Literal["none", "mean", "standardise", "robust", "standardise_channels", "unit", "symmetric"]

_BLOCK = 2**22  # numbers widened at a time


@dataclass(frozen=True, eq=False)
class Affine:
    """x ↦ (x - shift)·scale, shift and scale (n,). constant: the columns whose training rows were all equal.

    Equal are numbers that differ by rounding alone, or by so little that the scale would overflow. A constant column is
    shifted to 0 and left unscaled; beyond 1e12 it is scaled so that what the shift leaves, by rounding, is below 1.
    """

    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    constant: tuple[int, ...] = ()

    def __call__(self, x: Any) -> Any:
        """Apply to x (..., n)."""
        return (x - self.shift) * self.scale

    def back(self, x: Any) -> Any:
        """Undo: x/scale + shift."""
        return x / self.scale + self.shift


def identity(n: int) -> Affine:
    """x ↦ x on n columns."""
    return Affine(np.zeros(n), np.ones(n))


def fit(kind: Kind, data: Dataset, rows: NDArray[np.int64]) -> Affine:
    """The preprocessing `kind`, fitted on `rows` of the data.

    none: x. mean: x - mean of the training rows (the report's mean image). standardise: and divided by the standard
    deviation, a column each. standardise_channels: one mean and deviation a channel of images, row_shape (C, H, W).
    unit: to [0, 1] by the training minimum and maximum, of each column, or of all pixels together for images.
    symmetric: to [-1, 1] in the same way.
    Rows count by their weights, where the data have them, but for the minimum and maximum.
    Raises a DataError where a number of those rows is too large for that.
    """
    check_size(data, data.X, "X", data.feature_names, rows)
    n = data.n_features
    if kind == "none":
        return identity(n)
    if kind in ("unit", "symmetric"):
        return _between(data, rows, symmetric=kind == "symmetric")
    mean, variance = _moments(data.X, rows, _shares(data, rows))
    if kind == "robust":
        return _robust(data, rows)
    if kind == "mean":
        return Affine(mean, np.ones(n))
    if kind == "standardise_channels":
        mean, variance = _by_channel(data, mean, variance)
    return _scaled(mean, np.sqrt(variance), np.maximum(1e-12 * np.abs(mean), _least(data.X)))


def fit_target(data: Dataset, rows: NDArray[np.int64]) -> Affine:
    """Standardises regression targets; `back` takes predictions to the targets' own units."""
    y = data.y[rows].reshape(len(rows), -1)  # (n_rows, n_out)
    mean, variance = _moments(y, np.arange(len(rows)), _shares(data, rows))
    return _scaled(mean, np.sqrt(variance), np.maximum(1e-12 * np.abs(mean), _least(y)))


def _scaled(shift: NDArray[np.float64], spread: NDArray[np.float64], least: Any) -> Affine:
    """Columns of a spread up to `least` are constant."""
    constant = spread <= least
    scale = 1 / np.where(constant, np.maximum(least, 1.0), spread)
    return Affine(shift, scale, tuple(int(i) for i in np.flatnonzero(constant)))


def _least(X: NDArray[Any]) -> float:
    """The smallest spread with a finite inverse, in the precision in which X is scaled."""
    return float(np.finfo(np.float64 if X.itemsize > 4 else np.float32).tiny)


def _blocks(X: NDArray[Any], rows: NDArray[np.int64]) -> Any:
    """Rows in float64, a block at a time."""
    for part in _parts(X, len(rows)):
        yield X[rows[part]].astype(np.float64)


def _parts(X: NDArray[Any], n: int) -> Iterator[slice]:
    step = max(1, _BLOCK // X.shape[1])
    return (slice(start, start + step) for start in range(0, n, step))


def _shares(data: Dataset, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """What each row counts, (len(rows),): its weight over the sum of the weights, as in the loss; None for 1/n."""
    if data.weight is None:
        return None
    weight = data.weight[rows].astype(np.float64)
    return np.asarray(weight / weight.sum())


def _moments(
    X: NDArray[Any], rows: NDArray[np.int64], shares: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and (biased) variance of each column, in two passes so that large means lose nothing."""

    def average(of: Callable[[NDArray[Any]], NDArray[Any]]) -> Any:
        values = (of(block) for block in _blocks(X, rows))
        if shares is None:
            return sum(value.sum(axis=0) for value in values) / len(rows)
        return sum(shares[part] @ value for part, value in zip(_parts(X, len(rows)), values, strict=True))

    mean = average(lambda block: block)
    return mean, average(lambda block: (block - mean) ** 2)


def _robust(data: Dataset, rows: NDArray[np.int64]) -> Affine:
    """By quartiles; where the middle half of a column is one number, by half of the range."""
    columns = [np.percentile(data.X[rows, i].astype(np.float64), [0, 25, 50, 75, 100]) for i in range(data.n_features)]
    low, first, median, third, high = np.array(columns).T  # (n_features,) each
    least = np.maximum(1e-12 * np.abs(median), _least(data.X))
    spread = np.where(third - first > least, third - first, (high - low) / 2)
    return _scaled(median, spread, least)


def _by_channel(data: Dataset, mean: Any, variance: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if len(data.row_shape) != 3:
        raise ConfigError(
            f"preprocessing 'standardise_channels' needs images (channels, height, width), but the rows of {data.name} "
            f"have shape {data.row_shape or (data.n_features,)}; use 'standardise'"
        )
    channels = data.row_shape[0]
    by_channel = mean.reshape(channels, -1)  # (channels, height * width)
    channel_mean = by_channel.mean(axis=1, keepdims=True)
    within = variance.reshape(channels, -1).mean(axis=1, keepdims=True)
    total = within + ((by_channel - channel_mean) ** 2).mean(axis=1, keepdims=True)
    spread = np.ones_like(by_channel)
    return (channel_mean * spread).reshape(-1), (total * spread).reshape(-1)  # (n_features,)


def _between(data: Dataset, rows: NDArray[np.int64], *, symmetric: bool) -> Affine:
    low = np.min([block.min(axis=0) for block in _blocks(data.X, rows)], axis=0)
    high = np.max([block.max(axis=0) for block in _blocks(data.X, rows)], axis=0)
    if data.row_shape:
        low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
    if symmetric:
        return _scaled((low + high) / 2, (high - low) / 2, _least(data.X))
    return _scaled(low, high - low, _least(data.X))
