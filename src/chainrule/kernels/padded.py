"""Tensors padded by zeros to rows of a multiple of 16 bytes, for which CUDA's libraries have their fast products.

What layers see of one is a view of the shape that they expect; the kernels look through the view at the whole.
"""

from chainrule.arrays import Array


def aligned(n: int) -> int:
    """The next multiple of 8 numbers, which is 16 bytes in the narrowest dtype."""
    return -(-n // 8) * 8


def roomy(W: Array) -> Array:
    """A copy of W (..., n_in, n_out), as a view of zeros (..., aligned n_in, aligned n_out)."""
    n_in, n_out = W.shape[-2:]
    room = W.new_zeros((*W.shape[:-2], aligned(n_in), aligned(n_out)))
    view = room[..., :n_in, :n_out]
    view[...] = W
    return view


def fill(view: Array, values: Array) -> None:
    """The values into what `roomy` made, or into any array; its zeros are zeros again, whatever they became."""
    whole = matrix(view)
    if whole is not None:
        whole[...] = 0
    view[...] = values


def matrix(W: Array) -> Array | None:
    """The whole (..., aligned n_in, aligned n_out) that W is a view of; None where it is none, or not W itself."""
    return _seen(W, (*W.shape[:-2], *map(aligned, W.shape[-2:])))


def rows(x: Array) -> Array | None:
    """The whole (..., batch, aligned n) that x (..., batch, n) is a view of; x where it is in order; else None."""
    return x if x.is_contiguous() else _seen(x, (*x.shape[:-1], aligned(x.shape[-1])))


def _seen(view: Array, shape: tuple[int, ...]) -> Array | None:
    strides = [1]
    for n in reversed(shape[1:]):
        strides.insert(0, strides[0] * n)
    own = view.storage_offset() == 0 and view.untyped_storage().nbytes() == strides[0] * shape[0] * view.itemsize
    fits = len(shape) > 1 and view.stride() == tuple(strides) and own  # a part of something else may look like one
    return view.as_strided(shape, strides) if fits else None
