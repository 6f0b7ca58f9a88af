"""Logits and metrics in evaluation mode, over all rows asked for, in blocks of one fixed size."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.backends import Backend
from chainrule.backprop import Parameters, forward
from chainrule.data import Preprocessing
from chainrule.losses import Loss
from chainrule.network import Network


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
    rows: NDArray[np.int64], largest: int | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Logits of the named rows of X, on the host, (len(rows), n_out): of members together, those of their mean.

    X is what `preprocessing.on_host` gave.

    largest: rows of a block; fewer than the backend's where it is always the same rows that are asked for.
    """
    if len(rows) == 0:
        return np.empty((0, network.n_out))
    found = logits_on_device(network, parameters, preprocessing, backend, X, rows, largest)
    z: NDArray[np.float64] = combined(network, loss, backend.numpy(found).astype(np.float64), np)
    return z


def logits_on_device(
    network: Network, parameters: Parameters, preprocessing: Preprocessing, backend: Backend, X: Array,
    rows: NDArray[np.int64], largest: int | None = None,
) -> Array:  # fmt: skip
    """The same of at least one row, as the network gives them: (len(rows), n_members·n_out) in the working dtype.

    Of P stacked networks, whose arrays are (P, ...), they are (P, len(rows), n_members·n_out).
    """
    working, largest = backend.working(parameters, network.parameters), largest or backend.evaluation_block
    shift, scale = affine_arrays(preprocessing, X, backend)
    context = backend.context(training=False)
    found = []
    for start in range(0, len(rows), largest):
        block = rows[start : start + largest]
        x = backend.prepare_rows(X, np.resize(block, largest), shift, scale)
        found.append(forward(network.layers, working, x, context).y[..., : len(block), :])
    return backend.xp.concat(found, axis=-2)


def combined(network: Network, loss: Loss, z: Array, xp: Any) -> Array:
    """Logits z (..., n_rows, n_members·n_out) of members as those of their mean, (..., n_rows, n_out)."""
    return z if network.n_members == 1 else loss.combined(z.reshape(*z.shape[:-1], network.n_members, -1), xp)
