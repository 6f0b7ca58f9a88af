"""Preprocessing fitted on the training rows only: affine, x ↦ (x - shift)·scale, or the preparation of a table."""

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.data.affine import Affine as Affine
from chainrule.data.affine import counted
from chainrule.data.affine import identity as identity
from chainrule.data.dataset import Dataset, check_size
from chainrule.data.preparation import Preparation as Preparation
from chainrule.data.preparation import fit_preparation
from chainrule.errors import ConfigError, DataError

Kind = Literal["auto", "none", "mean", "standardise", "standardise_channels", "unit", "symmetric", "robust"]

Preprocessing = Affine | Preparation
"""Both have a part `on_host`, done once for all rows, and a part `on_device`, done batch by batch."""

_BLOCK = 2**22  # numbers widened at a time


def same(one: Preprocessing, other: Preprocessing) -> bool:
    """Whether two give the same for every row."""
    if one is other:
        return True
    arrays = np.array_equal(one.shift, other.shift) and np.array_equal(one.scale, other.scale)
    if isinstance(one, Preparation) and isinstance(other, Preparation):
        return arrays and (one.categories, one.gaps) == (other.categories, other.gaps)
    return arrays and type(one) is type(other)


def settled(kind: Kind, data: Dataset) -> Kind:
    """The kind that "auto" stands for: robust for a table with words or gaps, else standardise.

    Raises a ConfigError for one that cannot take such a table.
    """
    if kind == "auto":
        return "robust" if data.categories else "standardise"
    if data.categories and kind != "robust":
        raise ConfigError(
            f"preprocessing {kind!r} is for numbers without gaps, and {data.name} has words or gaps; leave "
            "data.preprocessing out, or set it to 'robust'"
        )
    return kind


def fit(kind: Kind, data: Dataset, rows: NDArray[np.int64]) -> Preprocessing:
    """The preprocessing `kind`, fitted on `rows` of the data.

    auto: robust for tables with words or gaps, standardise for others. robust: see `Preparation`.
    none: x. mean: x - mean of the training rows (the report's mean image). standardise: and divided by the standard
    deviation, a column each. standardise_channels: one mean and deviation a channel of images, row_shape (C, H, W).
    unit: to [0, 1] by the training minimum and maximum, of each column, or of all pixels together for images.
    symmetric: to [-1, 1] in the same way.
    Rows count by their weights, where the data have them, but for the minimum and maximum.
    Raises a DataError where a number of those rows is too large for that.
    """
    kind = settled(kind, data)
    if kind == "robust":
        return fit_preparation(data, rows)
    check_size(data, data.X, "X", data.feature_names, rows)
    about = About(data.name, data.n_features, data.row_shape, data.X.itemsize)
    shares = _shares(data, rows)
    made = fitted(kind, about, lambda: _moments(data.X, rows, shares), lambda: _extremes(data.X, rows))
    return _told_apart(made, data.X, rows, shares) if kind == "standardise" else made


class About(NamedTuple):
    """What preprocessing asks of a data set beside its numbers. itemsize: bytes of a number of X."""

    name: str
    n_features: int
    row_shape: tuple[int, ...]
    itemsize: int


Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def fitted(kind: Kind, about: About, moments: Callable[[], Pair], extremes: Callable[[], Pair]) -> Affine:
    """The preprocessing `kind` by the training rows' moments, mean and variance, or their extremes, low and high."""
    n = about.n_features
    if kind == "none":
        return identity(n)
    if kind in ("unit", "symmetric"):
        return _between(*extremes(), about, symmetric=kind == "symmetric")
    mean, variance = moments()
    if kind == "mean":
        return Affine(mean, np.ones(n))
    if kind == "standardise_channels":
        mean, variance = _by_channel(about, mean, variance)
    return standardising(mean, variance, about.itemsize)


def standardising(mean: NDArray[np.float64], variance: NDArray[np.float64], itemsize: int) -> Affine:
    """To mean 0 and deviation 1; itemsize: bytes of a number of what was measured."""
    return _scaled(mean, np.sqrt(variance), np.maximum(1e-12 * np.abs(mean), _least(itemsize)))


_LEAST_SPREAD = 1e-150
"""Squares of less have lost digits, or all of them, in float64."""


def fit_target(data: Dataset, rows: NDArray[np.int64]) -> Affine:
    """Standardises regression targets; `back` takes predictions to the targets' own units.

    Raises a DataError for targets that differ by so little that their variance is lost.
    """
    y = data.y[rows].reshape(len(rows), -1)  # (n_rows, n_out)
    with np.errstate(over="ignore"):
        spread = y.max(axis=0) - y.min(axis=0)
    least = 10 * max(_least(y.itemsize), _LEAST_SPREAD)
    close = (spread > 0) & (spread < least)
    if close.any():
        name = data.target_names[int(np.argmax(close))]
        raise DataError(
            f"{data.name}: the targets of {name!r} differ by {spread[close][0]:.3g} "
            f"at most; expected {least:.0e} or more, for their squares vanish. Give them in a smaller unit."
        )
    every, shares = np.arange(len(rows)), _shares(data, rows)
    return _told_apart(standardising(*_moments(y, every, shares), y.itemsize), y, every, shares)


def differ(X: NDArray[Any], rows: NDArray[np.int64], column: int) -> bool:
    """Whether the rows hold several numbers in the column, to the last digit."""
    return bool((X[rows, column] != X[rows[0], column]).any())


def _told_apart(made: Affine, X: NDArray[Any], rows: NDArray[np.int64], shares: NDArray[np.float64] | None) -> Affine:
    """`made`, but whole numbers do not differ by rounding: a spread that is small beside their mean counts, too.

    What they are away from the first of them is exact, as far as float64 can tell them apart.
    """
    if X.itemsize < 8:
        return made
    shift, scale, constant = made.shift.copy(), made.scale.copy(), []
    for i in made.constant:
        x = X[rows, i].astype(np.float64)
        mean, variance = _moments((x - x[0])[:, None], np.arange(len(rows)), shares)  # of (n_rows, 1)
        if variance[0] > 0 and counted(x):
            shift[i], scale[i] = x[0] + mean[0], 1 / np.sqrt(variance[0])
        else:
            constant.append(i)
    return Affine(shift, scale, tuple(constant))


def _scaled(shift: NDArray[np.float64], spread: NDArray[np.float64], least: Any) -> Affine:
    """Columns of a spread up to `least` are constant."""
    constant = spread <= least
    scale = 1 / np.where(constant, np.maximum(least, 1.0), spread)
    return Affine(shift, scale, tuple(int(i) for i in np.flatnonzero(constant)))


def _least(itemsize: int) -> float:
    """The smallest spread with a finite inverse, in the precision in which numbers of so many bytes are scaled."""
    return float(np.finfo(np.float64 if itemsize > 4 else np.float32).tiny)


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


def _moments(X: NDArray[Any], rows: NDArray[np.int64], shares: NDArray[np.float64] | None) -> Pair:
    """Mean and (biased) variance of each column, in two passes so that large means lose nothing."""

    def average(of: Callable[[NDArray[Any]], NDArray[Any]]) -> Any:
        values = (of(block) for block in _blocks(X, rows))
        if shares is None:
            return sum(value.sum(axis=0) for value in values) / len(rows)
        return sum(shares[part] @ value for part, value in zip(_parts(X, len(rows)), values, strict=True))

    mean = average(lambda block: block)
    return mean, average(lambda block: (block - mean) ** 2)


def _by_channel(about: About, mean: Any, variance: Any) -> Pair:
    if len(about.row_shape) != 3:
        raise ConfigError(
            f"preprocessing 'standardise_channels' needs images (channels, height, width), but the rows of "
            f"{about.name} have shape {about.row_shape or (about.n_features,)}; use 'standardise'"
        )
    channels = about.row_shape[0]
    by_channel = mean.reshape(channels, -1)  # (channels, height * width)
    channel_mean = by_channel.mean(axis=1, keepdims=True)
    within = variance.reshape(channels, -1).mean(axis=1, keepdims=True)
    total = within + ((by_channel - channel_mean) ** 2).mean(axis=1, keepdims=True)
    spread = np.ones_like(by_channel)
    return (channel_mean * spread).reshape(-1), (total * spread).reshape(-1)  # (n_features,)


def _extremes(X: NDArray[Any], rows: NDArray[np.int64]) -> Pair:
    """Minimum and maximum of each column."""
    low = np.min([block.min(axis=0) for block in _blocks(X, rows)], axis=0)
    return low, np.max([block.max(axis=0) for block in _blocks(X, rows)], axis=0)


def _between(low: NDArray[Any], high: NDArray[Any], about: About, *, symmetric: bool) -> Affine:
    if about.row_shape:
        low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
    if symmetric:
        return _scaled((low + high) / 2, (high - low) / 2, _least(about.itemsize))
    return _scaled(low, high - low, _least(about.itemsize))
