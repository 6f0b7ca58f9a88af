"""`step.c` called from Python: for float32 masters, with float32 or bfloat16 at work, on the CPU."""

import ctypes
from collections.abc import Callable, Mapping
from ctypes import c_float, c_int32, c_int64, c_uint16, c_uint64, c_void_p
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.optim import SGD, Adam, AdamW, Optimizer, RMSprop

_SMALL = 4096
"""Entries of an activation below which the call costs more than it saves."""


class _Entry(ctypes.Structure):
    _fields_ = [("p", c_void_p), ("g", c_void_p), ("a", c_void_p), ("b", c_void_p), ("w", c_void_p), ("n", c_int64),
                ("narrow", c_int32), ("weight", c_int32)]  # fmt: skip


class _Rule(ctypes.Structure):
    _fields_ = [("lr", c_float), ("penalty", c_float), ("scale", c_float), ("decay", c_float), ("scaled", c_int32),
                ("nesterov", c_int32), ("momentum", c_float), ("beta1", c_float), ("rest1", c_float),
                ("beta2", c_float), ("rest2", c_float), ("correction", c_float), ("epsilon", c_float)]  # fmt: skip


class Arrays(Protocol):
    """What the kernels ask of a backend."""

    xp: Any
    dtype: Any

    def address(self, array: Array) -> int:
        """Where the array's memory begins."""

    def contiguous(self, array: Array) -> bool:
        """Whether the memory is in the order of the indices."""

    def copy(self, array: Array) -> Array:
        """The values in memory of their own, contiguous."""


class Kernels:
    """The library, bound to a backend.

    threads: 1 for NumPy, whose linear algebra has threads of another kind. exact: whether only what has the bits of the
    Python it stands in for may be used.
    """

    def __init__(self, library: ctypes.CDLL, arrays: Arrays, threads: int, *, exact: bool) -> None:
        self.library, self.arrays, self.threads, self.exact = library, arrays, threads, exact
        self.xp, self.dtype, self.address = arrays.xp, arrays.dtype, arrays.address

    @property
    def narrow(self) -> bool:
        """Whether the layers work in bfloat16."""
        return bool(self.dtype != self.xp.float32)

    def prepare(self, X: Array, rows: NDArray[np.int64], shift: Array, scale: Array) -> Array | None:
        """(X[rows] - shift)·scale in the working dtype, (len(rows), n); None for an X of other types."""
        xp = self.xp
        kind = "u8" if X.dtype == xp.uint8 else "f32" if X.dtype == xp.float32 else ""
        if not kind or shift.dtype != xp.float32 or X.ndim != 2:
            return None
        out = xp.empty((len(rows), X.shape[1]), dtype=self.dtype)
        call = getattr(self.library, f"prepare_{kind}_{'bf16' if self.narrow else 'f32'}")
        place = self.address
        call(c_void_p(place(X)), c_void_p(rows.ctypes.data), c_int64(len(rows)), c_int64(X.shape[1]),
             c_void_p(place(shift)), c_void_p(place(scale)), c_void_p(place(out)), c_int32(self.threads))  # fmt: skip
        return out

    def mask(
        self, key: NDArray[np.uint64], position: int, shape: tuple[int, int], threshold: int, kept: float
    ) -> Array:
        """`kept` where the next 16 bits of the Philox stream are at least `threshold`, else 0; in the working dtype."""
        out = self.xp.empty(shape, dtype=self.dtype)
        call = self.library.mask_bf16 if self.narrow else self.library.mask_f32
        value = c_uint16(_bfloat16_bits(kept)) if self.narrow else c_float(kept)
        call(c_uint64(int(key[0])), c_uint64(int(key[1])), c_uint64(position), c_int64(shape[0] * shape[1]),
             c_int32(threshold), value, c_void_p(self.address(out)), c_int32(self.threads))  # fmt: skip
        return out

    def relu(self, x: Array) -> tuple[Array, Callable[[Array], Array]] | None:
        """max(x, 0) and the pullback dx = dy where x > 0, else 0; None for another dtype or memory out of order."""
        if not self._takes(x):
            return None
        name, place, n, threads = self._suffix, self.address, c_int64(_size(x)), c_int32(self.threads)
        y = self.xp.empty(x.shape, dtype=self.dtype)
        getattr(self.library, f"relu_{name}")(c_void_p(place(x)), n, c_void_p(place(y)), threads)

        def pullback(dy: Array) -> Array:
            dy = self._contiguous(dy)
            dx = self.xp.empty(x.shape, dtype=self.dtype)
            call = getattr(self.library, f"relu_back_{name}")
            call(c_void_p(place(x)), c_void_p(place(dy)), n, c_void_p(place(dx)), threads)
            return dx

        return y, pullback

    def batch_norm(self, x: Array, gamma: Array, beta: Array, epsilon: float) -> "BatchNormed | None":
        """γ x̂ + β over the rows of x (batch, n); None where `relu` is, and for more axes.

        Its sums over rows are in another order than the backend's.
        """
        if self.exact or x.ndim != 2 or not self._takes(x):
            return None
        xp, name, place, threads = self.xp, self._suffix, self.address, c_int32(self.threads)
        rows, columns = c_int64(x.shape[0]), c_int64(x.shape[1])
        y = xp.empty(x.shape, dtype=self.dtype)
        mean, variance, r = (xp.empty(x.shape[1], dtype=xp.float32) for _ in range(3))
        arrays = [c_void_p(place(one)) for one in (gamma, beta)]
        made = [c_void_p(place(one)) for one in (y, mean, variance, r)]
        getattr(self.library, f"batch_norm_{name}")(c_void_p(place(x)), rows, columns, *arrays, c_float(epsilon), *made,
                                                    threads)  # fmt: skip

        def pullback(dy: Array) -> tuple[Array, Array, Array]:
            dy, dx = self._contiguous(dy), xp.empty(x.shape, dtype=self.dtype)
            dgamma, dbeta = xp.empty(x.shape[1], dtype=xp.float32), xp.empty(x.shape[1], dtype=xp.float32)
            call = getattr(self.library, f"batch_norm_back_{name}")
            call(c_void_p(place(x)), c_void_p(place(dy)), rows, columns,
                 *(c_void_p(place(one)) for one in (gamma, mean, r, dx, dgamma, dbeta)), threads)  # fmt: skip
            return dx, dgamma, dbeta

        return BatchNormed(y, mean, variance, pullback)

    @property
    def _suffix(self) -> str:
        return "bf16" if self.narrow else "f32"

    def _takes(self, x: Array) -> bool:
        """Whether x has the working dtype and is worth a call."""
        return bool(x.dtype == self.dtype) and _size(x) >= _SMALL and self.arrays.contiguous(x)

    def _contiguous(self, dy: Array) -> Array:
        dy = dy if dy.dtype == self.dtype else self.xp.astype(dy, self.dtype)
        return dy if self.arrays.contiguous(dy) else self.arrays.copy(dy)

    def update(self, optimizer: Optimizer, parameters: Mapping[str, Array], slots: Mapping[str, tuple[Array, ...]],
               working: Mapping[str, Array], weights: tuple[str, ...]) -> "Update | None":  # fmt: skip
        """`optim.update` bound to these arrays, which it changes in place; None for a rule of the user's own."""
        name = _function(optimizer)
        if name is None:
            return None
        return Update(self, getattr(self.library, name), optimizer, parameters, slots, working, weights)


class BatchNormed(NamedTuple):
    """y, the batch's mean and (biased) variance (n,), and the pullback dy -> dx, dγ, dβ."""

    y: Array
    mean: Array
    variance: Array
    pullback: Callable[[Array], tuple[Array, Array, Array]]


def _size(x: Array) -> int:
    return int(np.prod(x.shape))


def _bfloat16_bits(x: float) -> int:
    bits = int(np.float32(x).view(np.uint32))
    return (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16


def _function(optimizer: Optimizer) -> str | None:
    if type(optimizer) is SGD:
        return "update_momentum" if optimizer.momentum else "update_sgd"
    return {Adam: "update_adam", AdamW: "update_adam", RMSprop: "update_rmsprop"}.get(type(optimizer))


class Update:
    """One optimiser's step for all parameters of a network, in place, and their working copies renewed with them."""

    def __init__(self, kernels: Kernels, call: Any, optimizer: Optimizer, parameters: Mapping[str, Array],
                 slots: Mapping[str, tuple[Array, ...]], working: Mapping[str, Array],
                 weights: tuple[str, ...]) -> None:  # fmt: skip
        place = kernels.address
        self.kernels, self.call, self.optimizer = kernels, call, optimizer
        self.held = (parameters, slots, working)  # the addresses below are of these
        self.names = tuple(slots)
        self.entries = (_Entry * len(self.names))()
        for entry, name in zip(self.entries, self.names, strict=True):
            p, w = parameters[name], working[name]
            entry.p, entry.n, entry.weight = place(p), int(np.prod(p.shape)), name in weights
            entry.w = None if w is p else place(w)
            for field, slot in zip(("a", "b"), slots[name], strict=False):
                setattr(entry, field, place(slot))
        self.rule = _Rule()

    def __call__(self, gradients: Mapping[str, Array], lr: float, t: int, penalty: float, scale: float | None) -> None:
        """See `optim.update`."""
        kernels, rule = self.kernels, self.rule
        held = []  # what was copied must outlive the call
        for entry, name in zip(self.entries, self.names, strict=True):
            g = gradients[name]
            entry.narrow = g.dtype != kernels.xp.float32
            if not kernels.arrays.contiguous(g) or (entry.narrow and g.dtype != kernels.dtype):
                entry.narrow, g = 0, kernels.arrays.copy(kernels.xp.astype(g, kernels.xp.float32))
                held.append(g)
            entry.g = kernels.address(g)
        _constants(rule, self.optimizer, lr, t)
        rule.penalty, rule.scaled, rule.scale = 2 * penalty, scale is not None, scale or 0.0
        self.call(self.entries, c_int64(len(self.names)), ctypes.byref(rule), c_int32(kernels.threads))


def _constants(rule: _Rule, optimizer: Optimizer, lr: float, t: int) -> None:
    rule.lr, rule.decay = lr, 1 - lr * optimizer.decay
    if isinstance(optimizer, (Adam, AdamW)):
        rule.lr = lr / (1 - optimizer.beta1 ** (t + 1))
        rule.correction = (1 - optimizer.beta2 ** (t + 1)) ** 0.5
        rule.beta1, rule.rest1 = optimizer.beta1, 1 - optimizer.beta1
        rule.beta2, rule.rest2 = optimizer.beta2, 1 - optimizer.beta2
        rule.epsilon = optimizer.epsilon
    elif isinstance(optimizer, RMSprop):
        rule.beta2, rule.rest2, rule.epsilon = optimizer.alpha, 1 - optimizer.alpha, optimizer.epsilon
        rule.momentum = optimizer.momentum
    elif isinstance(optimizer, SGD):
        rule.momentum, rule.nesterov = optimizer.momentum, optimizer.nesterov
