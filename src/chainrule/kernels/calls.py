"""`step.c` called from Python: for float32 masters, with float32 or bfloat16 at work, on the CPU."""

import ctypes
from collections.abc import Callable, Mapping
from ctypes import c_float, c_int32, c_int64, c_uint16, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.optim import SGD, Adam, AdamW, Optimizer, RMSprop


class _Entry(ctypes.Structure):
    _fields_ = [("p", c_void_p), ("g", c_void_p), ("a", c_void_p), ("b", c_void_p), ("w", c_void_p), ("n", c_int64),
                ("narrow", c_int32), ("weight", c_int32)]  # fmt: skip


class _Rule(ctypes.Structure):
    _fields_ = [("lr", c_float), ("penalty", c_float), ("scale", c_float), ("decay", c_float), ("scaled", c_int32),
                ("nesterov", c_int32), ("momentum", c_float), ("beta1", c_float), ("rest1", c_float),
                ("beta2", c_float), ("rest2", c_float), ("correction", c_float), ("epsilon", c_float)]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Kernels:
    """The library, bound to a backend: its array namespace, its working dtype, and how it gives an array's address.

    threads: 1 for NumPy, whose linear algebra has threads of another kind.
    """

    library: ctypes.CDLL
    xp: Any
    dtype: Any
    address: Callable[[Array], int]
    threads: int

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

    def update(self, optimizer: Optimizer, parameters: Mapping[str, Array], slots: Mapping[str, tuple[Array, ...]],
               working: Mapping[str, Array], weights: tuple[str, ...]) -> "Update | None":  # fmt: skip
        """`optim.update` bound to these arrays, which it changes in place; None for a rule of the user's own."""
        name = _function(optimizer)
        if name is None:
            return None
        return Update(self, getattr(self.library, name), optimizer, parameters, slots, working, weights)


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
        """See `optim.update`. gradients: contiguous, in the working or the master dtype."""
        kernels, rule = self.kernels, self.rule
        for entry, name in zip(self.entries, self.names, strict=True):
            g = gradients[name]
            entry.g, entry.narrow = kernels.address(g), g.dtype != kernels.xp.float32
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
