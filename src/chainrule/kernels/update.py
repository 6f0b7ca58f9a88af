"""An optimiser's step for all parameters of a network in one call of `update.c`, in place."""

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import c_float, c_int32, c_int64, c_void_p
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.kernels.calls import Kernels
from chainrule.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from chainrule.optim.optimizers import adam_constants

Numbers = float | list[float]
Rules = NDArray[np.void]
"""A rule's numbers of several steps, as update.c reads them."""


class _Entry(ctypes.Structure):
    _fields_ = [("p", c_void_p), ("g", c_void_p), ("a", c_void_p), ("b", c_void_p), ("w", c_void_p), ("n", c_int64),
                ("narrow", c_int32), ("weight", c_int32), ("rule", c_int32)]  # fmt: skip


class _Rule(ctypes.Structure):
    _fields_ = [("lr", c_float), ("penalty", c_float), ("scale", c_float), ("decay", c_float), ("scaled", c_int32),
                ("nesterov", c_int32), ("momentum", c_float), ("beta1", c_float), ("rest1", c_float),
                ("beta2", c_float), ("rest2", c_float), ("epsilon", c_float)]  # fmt: skip


_RULE = np.dtype(_Rule)


class Update:
    """`optim.update` bound to the arrays that it changes: masters, slots, and the working copies renewed with them.

    networks: of P stacked networks each may have a rate and a penalty of its own; 1 where they share them.
    """

    def __init__(self, kernels: Kernels, optimizer: Optimizer, parameters: Mapping[str, Array],
                 slots: Mapping[str, tuple[Array, ...]], working: Mapping[str, Array], weights: tuple[str, ...],
                 networks: int = 1) -> None:  # fmt: skip
        place = kernels.address
        self.kernels, self.optimizer = kernels, optimizer
        self.held = (parameters, slots, working)  # the addresses below are of these
        self.entries = (_Entry * (len(slots) * networks))()
        self.rules = (_Rule * networks)(*(_constant(optimizer) for _ in range(networks)))
        # By name, its entries, each with how many numbers of the array lie before it.
        places: dict[str, list[tuple[_Entry, int]]] = {name: [] for name in slots}
        owners = [(name, k) for name in slots for k in range(networks)]
        for entry, (name, k) in zip(self.entries, owners, strict=True):
            p, w = parameters[name], working[name]
            n = prod(p.shape) // networks
            entry.n, entry.weight, entry.rule = n, name in weights, k
            entry.p = place(p) + 4 * k * n
            entry.w = None if w is p else place(w) + w.itemsize * k * n
            for field, slot in zip(("a", "b"), slots[name], strict=False):
                setattr(entry, field, place(slot) + 4 * k * n)
            places[name].append((entry, k * n))
        self.places = list(places.items())
        self.call = getattr(kernels.library, f"update_{_function(optimizer)}")
        self.call.argtypes, self.call.restype = [c_void_p, c_int64, c_void_p, c_int32], None
        self.clip = kernels.library.clip_scale
        self.clip.argtypes, self.clip.restype = [c_void_p, c_int64, c_void_p, c_float, c_int32], c_float
        self.arguments = (ctypes.addressof(self.entries), len(owners), ctypes.addressof(self.rules), kernels.threads)

    def __call__(
        self, gradients: Mapping[str, Array], lr: Numbers, t: int, penalty: Numbers, clip_norm: float | None = None
    ) -> None:
        """See `optim.update`; lr and penalty are one number, or one for each network. clip_norm: of one network."""
        held = self._bind(gradients)  # what was copied must outlive the calls
        for k, rule in enumerate(self.rules):
            self._set(rule, _of(lr, k), t, _of(penalty, k))
        if clip_norm is not None:
            entries, n, rules, threads = self.arguments
            self.rules[0].scaled, self.rules[0].scale = True, self.clip(entries, n, rules, clip_norm, threads)
        self.call(*self.arguments)
        del held

    def _bind(self, gradients: Mapping[str, Array]) -> list[Array]:
        """The entries' gradients; returns copies of those that could not be read where they lie."""
        kernels, held = self.kernels, []
        wide, dtype, contiguous, place = kernels.xp.float32, kernels.dtype, kernels.arrays.contiguous, kernels.address
        for name, entries in self.places:
            g = gradients[name]
            narrow = g.dtype != wide
            if not contiguous(g) or (narrow and g.dtype != dtype):
                narrow, g = False, kernels.arrays.copy(kernels.xp.astype(g, wide))
                held.append(g)
            at, size = place(g), 2 if narrow else 4
            for entry, before in entries:
                entry.narrow, entry.g = narrow, at + size * before
        return held

    def bound(self, gradients: Mapping[str, Array]) -> tuple[ctypes.Array[_Entry], Any]:
        """What update.c's function is given for these gradients of one network, in float32, and the function."""
        entries = (_Entry * len(self.entries)).from_buffer_copy(self.entries)
        for entry, (name, _) in zip(entries, self.places, strict=True):
            entry.g, entry.narrow = self.kernels.address(gradients[name]), False
        return entries, self.call

    def rules_of(self, lrs: Sequence[float], t: int, penalty: float) -> Rules:
        """The rule's numbers of the steps from update `t` on, whose rates are `lrs`."""
        rules = np.tile(np.frombuffer(bytes(_constant(self.optimizer)), _RULE), len(lrs))  # (n_steps,)
        rates, decay = np.asarray(lrs), self.optimizer.decay
        rules["decay"], rules["penalty"] = 1 - rates * decay, 2 * penalty
        if isinstance(self.optimizer, (Adam, AdamW)):
            constants = [adam_constants(self.optimizer, lr, t + k) for k, lr in enumerate(lrs)]
            rules["lr"], rules["epsilon"] = zip(*constants, strict=True)
        else:
            rules["lr"] = rates
        return rules

    def _set(self, rule: _Rule, lr: float, t: int, penalty: float) -> None:
        rule.lr, rule.decay, rule.penalty = lr, 1 - lr * self.optimizer.decay, 2 * penalty
        if isinstance(self.optimizer, (Adam, AdamW)):
            rule.lr, rule.epsilon = adam_constants(self.optimizer, lr, t)


def _of(numbers: Numbers, k: int) -> float:
    return numbers[k] if isinstance(numbers, list) else numbers


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
