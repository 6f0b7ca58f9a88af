"""Logits and metrics in evaluation mode, over all rows asked for, in blocks of one fixed size."""

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.backends import Backend
from chainrule.backprop import Parameters, forward
from chainrule.data import Preprocessing
from chainrule.losses import Loss
from chainrule.network import Network

EVALUATION_BLOCK = 1024
"""Rows of one pass. Linear algebra libraries choose their kernels by shape, so a row's bits depend on how many rows
stand beside it; with blocks always full (the last one padded) they do not."""


def affine_arrays(preprocessing: Preprocessing, X: Array, backend: Backend) -> tuple[Array, Array]:
    """Shift and scale of the part on the device.

    In float64 for X of 64 bits or large integers, whose mean float32 would round.
    """
    xp = backend.xp
    exact = X.itemsize > 4 or (X.itemsize == 4 and xp.isdtype(X.dtype, "integral"))
    dtype = xp.float64 if exact else backend.master
    affine = preprocessing.on_device
    return backend.array(affine.shift, dtype), backend.array(affine.scale, dtype)


def logits(
    network: Network, loss: Loss, parameters: Parameters, preprocessing: Preprocessing, backend: Backend, X: Array,
    rows: NDArray[np.int64], largest: int = EVALUATION_BLOCK,
) -> NDArray[np.float64]:  # fmt: skip
    """Logits of the named rows of X, on the host, (len(rows), n_out): of members together, those of their mean.

    Of stacked networks, whose arrays are (P, ...), they are (P, len(rows), n_out).

    X is what `preprocessing.on_host` gave.

    largest: rows of a block; fewer than the default where it is always the same rows that are asked for.
    """
    working = backend.working(parameters, network.parameters)
    shift, scale = affine_arrays(preprocessing, X, backend)
    context = backend.context(training=False)
    found = []
    for start in range(0, len(rows), largest):
        block = rows[start : start + largest]
        padded = np.resize(block, largest)
        x = backend.prepare_rows(X, padded, shift, scale)
        found.append(forward(network.layers, working, x, context).y[..., : len(block), :])
    if not found:
        return np.empty((0, network.n_out))
    z = backend.numpy(backend.xp.concat(found, axis=-2)).astype(np.float64)
    return z if network.n_members == 1 else loss.combined(z.reshape(len(z), network.n_members, -1), np)
