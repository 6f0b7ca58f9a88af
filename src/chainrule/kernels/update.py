"""An optimiser's step for all parameters of a network in one call of `step.c`, in place."""

import ctypes
from collections.abc import Mapping
from ctypes import c_float, c_int32, c_int64, c_void_p
from math import prod

from chainrule.arrays import Array
from chainrule.kernels.calls import Kernels
from chainrule.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from chainrule.optim.optimizers import adam_constants


class _Entry(ctypes.Structure):
    _fields_ = [("p", c_void_p), ("g", c_void_p), ("a", c_void_p), ("b", c_void_p), ("w", c_void_p), ("n", c_int64),
                ("narrow", c_int32), ("weight", c_int32)]  # fmt: skip


class _Rule(ctypes.Structure):
    _fields_ = [("lr", c_float), ("penalty", c_float), ("scale", c_float), ("decay", c_float), ("scaled", c_int32),
                ("nesterov", c_int32), ("momentum", c_float), ("beta1", c_float), ("rest1", c_float),
                ("beta2", c_float), ("rest2", c_float), ("epsilon", c_float)]  # fmt: skip


class Update:
    """`optim.update` bound to the arrays that it changes: masters, slots, and the working copies renewed with them."""

    def __init__(self, kernels: Kernels, optimizer: Optimizer, parameters: Mapping[str, Array],
                 slots: Mapping[str, tuple[Array, ...]], working: Mapping[str, Array],
                 weights: tuple[str, ...]) -> None:  # fmt: skip
        place = kernels.address
        self.kernels, self.optimizer = kernels, optimizer
        self.held = (parameters, slots, working)  # the addresses below are of these
        self.names = tuple(slots)
        self.entries = (_Entry * len(self.names))()
        for entry, name in zip(self.entries, self.names, strict=True):
            p, w = parameters[name], working[name]
            entry.p, entry.n, entry.weight = place(p), prod(p.shape), name in weights
            entry.w = None if w is p else place(w)
            for field, slot in zip(("a", "b"), slots[name], strict=False):
                setattr(entry, field, place(slot))
        self.pairs = list(zip(self.entries, self.names, strict=True))
        self.rule = _constant(optimizer)
        self.call = getattr(kernels.library, f"update_{_function(optimizer)}")
        self.call.argtypes, self.call.restype = [c_void_p, c_int64, c_void_p, c_int32], None
        self.places = ctypes.addressof(self.entries), len(self.names), ctypes.addressof(self.rule), kernels.threads

    def __call__(self, gradients: Mapping[str, Array], lr: float, t: int, penalty: float, scale: float | None) -> None:
        """See `optim.update`."""
        kernels, rule = self.kernels, self.rule
        wide, dtype, contiguous, place = kernels.xp.float32, kernels.dtype, kernels.arrays.contiguous, kernels.address
        held = []  # what was copied must outlive the call
        for entry, name in self.pairs:
            g = gradients[name]
            narrow = g.dtype != wide
            if not contiguous(g) or (narrow and g.dtype != dtype):
                narrow, g = False, kernels.arrays.copy(kernels.xp.astype(g, wide))
                held.append(g)
            entry.narrow, entry.g = narrow, place(g)
        rule.lr, rule.decay = lr, 1 - lr * self.optimizer.decay
        if isinstance(self.optimizer, (Adam, AdamW)):
            rule.lr, rule.epsilon = adam_constants(self.optimizer, lr, t)
        rule.penalty, rule.scaled, rule.scale = 2 * penalty, scale is not None, scale or 0.0
        self.call(*self.places)


def takes(optimizer: Optimizer) -> bool:
    """Whether `optimizer` is one of ours, and not a rule of the user's own."""
    return type(optimizer) in (SGD, Adam, AdamW, RMSprop)


def _function(optimizer: Optimizer) -> str:
    if isinstance(optimizer, SGD):
        return "momentum" if optimizer.momentum else "sgd"
    return "rmsprop" if isinstance(optimizer, RMSprop) else "adam"


def _constant(optimizer: Optimizer) -> _Rule:
    """What stays the same in every step."""
    rule = _Rule()
    if isinstance(optimizer, (Adam, AdamW)):
        rule.beta1, rule.rest1 = optimizer.beta1, 1 - optimizer.beta1
        rule.beta2, rule.rest2 = optimizer.beta2, 1 - optimizer.beta2
    elif isinstance(optimizer, RMSprop):
        rule.beta2, rule.rest2, rule.epsilon = optimizer.alpha, 1 - optimizer.alpha, optimizer.epsilon
        rule.momentum = optimizer.momentum
    elif isinstance(optimizer, SGD):
        rule.momentum, rule.nesterov = optimizer.momentum, optimizer.nesterov
    return rule
