"""`step_gpu.py` called: for float32 masters, with float32 or bfloat16 at work, on CUDA.

The interface is that of `calls.py` and `update.py`. A kernel takes arrays (..., batch, n) in order in memory, and
answers None to all else. Row numbers, moves and the step may lie on the device already, as they do in a recorded step.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import prod
from typing import Any, Protocol

import numpy as np

from chainrule.arrays import Array
from chainrule.backprop import Layer
from chainrule.kernels import step_gpu
from chainrule.kernels.calls import Arrays, BatchNormed, sizes
from chainrule.layers import ReLU
from chainrule.losses import Loss, SoftmaxCrossEntropy
from chainrule.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from chainrule.optim.optimizers import adam_constants
from chainrule.seeds import key

_BLOCK = 1024
_STRIP = 16  # columns of a program that sums over rows
_WIDEST = 1024  # classes of the loss


class GpuArrays(Arrays, Protocol):
    """What these kernels ask of a backend besides."""

    def on_device(self, values: Any) -> Array:
        """The values, moved to the device where they are not there yet."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Uninitialised, on the device."""


class GpuKernels:
    """The kernels, bound to a backend."""

    def __init__(self, arrays: GpuArrays) -> None:
        self.arrays, self.xp, self.dtype = arrays, arrays.xp, arrays.dtype
        self.keys = lru_cache(maxsize=4096)(self._keys)

    def prepare(self, X: Array, rows: Any, shift: Array, scale: Array) -> Array | None:
        """(X[rows] - shift)·scale in the working dtype, (len(rows), n), for X of uint8 or float32."""
        if not self._takes_rows(X, shift):
            return None
        n, columns = len(rows), X.shape[1]
        out = self._empty((n, columns))
        step_gpu.prepare[n, _blocks(columns)](X, self.arrays.on_device(rows), shift, scale, out, columns, BLOCK=_BLOCK)
        return out

    def prepare_moved(self, X: Array, rows: Any, moves: Any, cutout: int, row_shape: tuple[int, ...], shift: Array,
                      scale: Array) -> Array | None:  # fmt: skip
        """The same for images that are moved and partly covered: `data.augmentation`."""
        if not self._takes_rows(X, shift):
            return None
        n, columns = len(rows), X.shape[1]
        out = self._empty((n, columns))
        rows, moves = self.arrays.on_device(rows), self.arrays.on_device(moves)
        step_gpu.prepare_moved[n, _blocks(columns)](X, rows, moves, cutout, *row_shape[1:], shift, scale, out, columns,
                                                    BLOCK=_BLOCK)  # fmt: skip
        return out

    def mask(self, seed: int | tuple[int, ...], path: str, step: Any, shape: tuple[int, int], threshold: int,
             kept: float) -> Array:  # fmt: skip
        """`kept` where the next 16 bits of the Philox stream are at least `threshold`, else 0; in the working dtype."""
        seeds, n = (seed if isinstance(seed, tuple) else (seed,)), prod(shape)
        out = self._empty((*((len(seeds),) if isinstance(seed, tuple) else ()), *shape))
        step = self.arrays.on_device(np.array([step])) if isinstance(step, int) else step
        grid = -(-n // (16 * 128)), len(seeds)
        step_gpu.mask[grid](self.keys(seeds, path), step, out, n, threshold, kept, BLOCK=128)
        return out

    def _keys(self, seeds: tuple[int, ...], path: str) -> Array:
        """Of the streams of one layer's masks, (n_networks, 2), on the device."""
        return self.arrays.on_device(np.stack([key(seed, f"dropout/{path}") for seed in seeds]).view(np.int64))

    def activation(self, layer: Layer, x: Array) -> tuple[Array, Callable[[Array], Array]] | None:
        """Of ReLU: max(x, 0) and the pullback dx = dy where x > 0, else 0."""
        if type(layer) is not ReLU or not self._takes(x):
            return None
        n, y = prod(x.shape), self._empty(x.shape)
        step_gpu.relu[(_blocks(n),)](x, y, n, BLOCK=_BLOCK)

        def pullback(dy: Array) -> Array:
            dx = self._empty(x.shape)
            step_gpu.relu_back[(_blocks(n),)](x, self._contiguous(dy), dx, n, BLOCK=_BLOCK)
            return dx

        return y, pullback

    def left_to_torch(self, *_: Any, **__: Any) -> None:
        """None, for layers that have no kernel here."""

    layer_norm = member_linear = embedding = waves = left_to_torch

    def batch_norm(self, x: Array, gamma: Array, beta: Array, epsilon: float) -> BatchNormed | None:
        """γ x̂ + β over the rows of x (..., batch, n), with γ and β (..., n)."""
        shape = (*x.shape[:-2], x.shape[-1])  # (..., n)
        if not self._takes(x) or gamma.shape != shape or beta.shape != shape:
            return None
        networks, rows, columns = sizes(x)
        grid, tile = (-(-columns // _STRIP), networks), {"ROWS": _rows(rows), "COLUMNS": _STRIP}
        y, (mean, variance, r) = self._empty(x.shape), (self._wide(shape) for _ in range(3))
        step_gpu.batch_norm[grid](x, gamma, beta, y, mean, variance, r, columns, epsilon, rows, **tile)

        def pullback(dy: Array) -> tuple[Array, Array, Array]:
            dx, dgamma, dbeta = self._empty(x.shape), self._wide(shape), self._wide(shape)
            step_gpu.batch_norm_back[grid](x, self._contiguous(dy), gamma, mean, r, dx, dgamma, dbeta, columns, rows,
                                           **tile)  # fmt: skip
            return dx, dgamma, dbeta

        return BatchNormed(y, mean, variance, pullback)

    def sum_rows(self, dy: Array) -> Array | None:
        """Σ over the rows of dy (..., batch, n) in float32, (..., n)."""
        if not self._takes(dy):
            return None
        networks, rows, columns = sizes(dy)
        out = self._wide((*dy.shape[:-2], dy.shape[-1]))
        step_gpu.sum_rows[-(-columns // _STRIP), networks](dy, out, columns, rows, ROWS=_rows(rows), COLUMNS=_STRIP)
        return out

    def loss(self, loss: Loss, logits: Array, target: Array, weight: Array | None) -> tuple[Array, Array] | None:
        """Softmax cross-entropy of class indices (..., batch), every row of the same weight: loss (...) and dlogits."""
        if type(loss) is not SoftmaxCrossEntropy or weight is not None or target.dtype != self.xp.int64:
            return None
        if target.shape != logits.shape[:-1] or logits.shape[-1] > _WIDEST or not self._takes(logits):
            return None
        networks, rows, n_out = sizes(logits)
        columns = _power(n_out)
        values, dlogits, tile = self._wide(target.shape), self._empty(logits.shape), max(1, 1024 // columns)
        grid = (-(-networks * rows // tile),)
        step_gpu.cross_entropy[grid](logits, self._contiguous_as(target), values, dlogits, rows, n_out,
                                     loss.label_smoothing, networks * rows, ROWS=tile, COLUMNS=columns)  # fmt: skip
        return self.xp.mean(values, axis=-1), dlogits

    def update(self, optimizer: Optimizer, gradients: Mapping[str, Array], parameters: Mapping[str, Array],
               slots: Mapping[str, tuple[Array, ...]], working: Mapping[str, Array], weights: tuple[str, ...],
               numbers: Array, place: Array, scale: Array | None) -> None:  # fmt: skip
        """`optim.update` in place, and the working copies with it.

        numbers (steps, n_networks, 4): `numbers_of` each step. place (1,): which of the steps it is. scale: what the
        gradients are clipped by, (n_networks,).
        """
        constants, rule = _constants(optimizer), _rule(optimizer)
        for name, held in slots.items():
            p, g, w = parameters[name], self._contiguous_as(gradients[name]), working[name]
            a, b = (*held, p, p)[:2]
            n = prod(p.shape) // numbers.shape[1]
            step_gpu.update[_blocks(n), numbers.shape[1]](
                p, g, a, b, w, numbers, place, p if scale is None else scale, n, *constants, RULE=rule,
                WEIGHT=name in weights, CLIPPED=scale is not None, NARROW=w is not p, BLOCK=_BLOCK,
            )  # fmt: skip

    @staticmethod
    def numbers_of(optimizer: Optimizer, lr: float, t: int, penalty: float) -> tuple[float, float, float, float]:
        """What `update` reads of one step and one network: rate, decay, twice the penalty, epsilon."""
        rate, epsilon = lr, getattr(optimizer, "epsilon", 0.0)
        if isinstance(optimizer, (Adam, AdamW)):
            rate, epsilon = adam_constants(optimizer, lr, t)
        return rate, 1 - lr * optimizer.decay, 2 * penalty, epsilon

    def _takes_rows(self, X: Array, shift: Array) -> bool:
        return shift.dtype == self.xp.float32 and X.ndim == 2 and X.dtype in (self.xp.uint8, self.xp.float32)

    def _takes(self, x: Array) -> bool:
        return bool(x.dtype == self.dtype) and self.arrays.contiguous(x)

    def _contiguous(self, dy: Array) -> Array:
        return self._contiguous_as(dy if dy.dtype == self.dtype else self.xp.astype(dy, self.dtype))

    def _contiguous_as(self, x: Array) -> Array:
        return x if self.arrays.contiguous(x) else self.arrays.copy(x)

    def _empty(self, shape: tuple[int, ...]) -> Array:
        return self.arrays.empty(shape, self.dtype)

    def _wide(self, shape: tuple[int, ...]) -> Array:
        return self.arrays.empty(shape, self.xp.float32)


def _rule(optimizer: Optimizer) -> str:
    if isinstance(optimizer, SGD):
        return "nesterov" if optimizer.nesterov else "momentum" if optimizer.momentum else "sgd"
    if isinstance(optimizer, RMSprop):
        return "rmsprop_momentum" if optimizer.momentum else "rmsprop"
    return "adam"


def _constants(optimizer: Optimizer) -> tuple[float, float, float, float]:
    """beta1 (or the momentum), what is left of it to 1, beta2, and what is left of it."""
    if isinstance(optimizer, (Adam, AdamW)):
        return optimizer.beta1, 1 - optimizer.beta1, optimizer.beta2, 1 - optimizer.beta2
    if isinstance(optimizer, RMSprop):
        return optimizer.momentum, 0.0, optimizer.alpha, 1 - optimizer.alpha
    return getattr(optimizer, "momentum", 0.0), 0.0, 0.0, 0.0


def _blocks(n: int) -> int:
    return -(-n // _BLOCK)


def _rows(n: int) -> int:
    """Rows of a tile: a power of 2 that wastes little."""
    return min(128, _power(n))


def _power(n: int) -> int:
    return 1 << max(0, n - 1).bit_length()
