"""The few array helpers that the array API leaves out, for NumPy and torch arrays alike, without importing torch."""

from typing import Any

Array = Any
"""A NumPy array or a torch tensor. Its shape is written where it matters."""


def wide(x: Array, xp: Any) -> Array:
    """`x` in float32 at least, where sums and exponentials are safe; float32 and float64 pass unchanged."""
    return xp.astype(x, xp.float32) if x.itemsize < 4 else x


def like(y: Array, x: Array, xp: Any) -> Array:
    """`y` in the dtype of `x`."""
    return y if y.dtype == x.dtype else xp.astype(y, x.dtype)


def equal(x: Array, before: Array, xp: Any) -> bool:
    """Whether x is what it was, entry by entry; what was not a number may be anything."""
    return bool(xp.all((x == before) | (before != before)))


def rounded_to(number: Any, x: Array, xp: Any) -> Any:
    """A plain number as it is; an array of them, one a network, in the dtype of x, rounded as a number would be."""
    return xp.astype(number, x.dtype) if hasattr(number, "dtype") and number.dtype != x.dtype else number


def sum_to(gradient: Array, shape: tuple[int, ...], xp: Any) -> Array:
    """Sum the leading axes that broadcasting added, so that a gradient has the shape of what it belongs to.

    (P, batch, n) to (batch, n) sums over P; a leading axis of length 1 that was stretched is summed and kept.
    """
    if gradient.shape == shape:
        return gradient
    added = len(gradient.shape) - len(shape)
    gradient = xp.sum(gradient, axis=tuple(range(added))) if added else gradient
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and gradient.shape[i] != 1)
    return xp.sum(gradient, axis=stretched, keepdims=True) if stretched else gradient


def erf(x: Array) -> Array:
    """The error function, elementwise, which the array API does not have."""
    if hasattr(x, "erf"):  # torch
        return x.erf()
    from scipy.special import erf as scipy_erf

    return scipy_erf(x)


def scattered(values: Array, rows: Array, shape: tuple[int, int], xp: Any) -> Array:
    """An array of `shape` (n_rows, n) whose row r is the sum of all values[i] (i, n) with rows[i] = r, in their order.

    The array API has no such sum. Sums are in float32 at least and in a fixed order, so their bits are always the same.
    """
    wider = wide(values, xp)
    if hasattr(values, "index_add_"):  # torch
        zeros = xp.zeros(shape, dtype=wider.dtype, device=wider.device)
        # PyTorch documents index_add_ as unordered on a GPU, and index_put_ with sums on several threads of the CPU.
        found = zeros.index_put_((rows,), wider, accumulate=True) if wider.is_cuda else zeros.index_add_(0, rows, wider)
        return like(found, values, xp)
    places = rows[:, None] * shape[1] + xp.arange(shape[1])  # (i, n)
    sums = xp.bincount(places.reshape(-1), wider.reshape(-1), shape[0] * shape[1]).reshape(shape)
    return like(sums, values, xp)
