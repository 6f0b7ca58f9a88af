"""`step_gpu.py` called: for float32 masters, with float32 or bfloat16 at work, on CUDA.

The interface is that of `calls.py` and `update.py`. A kernel takes arrays (..., batch, n) in order in memory, with rows
that may be padded (`padded.py`), and answers None to all else. Row numbers, moves and the step may lie on the device
already, as they do in a recorded step.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import prod
from typing import Any, Protocol

import numpy as np

from chainrule.arrays import Array
from chainrule.backprop import Layer, Parameters
from chainrule.kernels import padded, step_gpu
from chainrule.kernels.calls import Arrays, BatchNormed, sizes
from chainrule.layers import ReLU
from chainrule.losses import Loss, SoftmaxCrossEntropy
from chainrule.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from chainrule.optim.optimizers import adam_constants
from chainrule.seeds import key

_BLOCK = 1024
_STRIP = 16  # columns of a program that sums over rows
_MANY = 8192  # columns from which on wider strips occupy the device
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
        ld = padded.aligned(columns)
        out, rows = self._empty((n, ld)), self.arrays.on_device(rows)
        step_gpu.prepare[n, _blocks(ld)](X, rows, shift, scale, out, columns, ld, BLOCK=_BLOCK)
        return out[:, :columns]

    def pick(self, values: Array, rows: Array) -> Array:
        """values[rows], (len(rows),), of values (n,): several times faster than CUDA's library for one axis."""
        out = self.arrays.empty(rows.shape, values.dtype)
        step_gpu.pick[-(-len(rows) // 128),](self._contiguous_as(values), rows, out, len(rows), BLOCK=128)
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

    def linear(self, parameters: Parameters, x: Array, *, needed: bool) -> tuple[Array, Any] | None:
        """x W + b and the pullback, where the rows and columns of W (..., n_in, n_out) are padded, or need not be."""
        W, b = parameters["W"], parameters.get("b")
        whole, (n_in, n_out) = padded.matrix(W), W.shape[-2:]
        if whole is None or not W.dtype == x.dtype == self.dtype or x.shape[:-2] != W.shape[:-2]:
            return None
        rows = self._laid(x, whole.shape[-2])  # (..., batch, aligned n_in)
        z = rows @ whole  # (..., batch, aligned n_out)
        if b is not None:
            grid, tile = _tiles(z)
            step_gpu.add_bias[grid](z, self._contiguous_as(b), n_out, whole.shape[-1], z.shape[-2], **tile)

        def pullback(dy: Array) -> tuple[Array, Parameters]:
            back = self._laid(dy, whole.shape[-1])  # (..., batch, aligned n_out)
            dx = (back @ whole.mT)[..., :n_in] if needed else None  # (..., batch, n_in)
            gradients = {"W": (rows.mT @ back)[..., :n_in, :n_out]}
            return dx, gradients if b is None else gradients | {"b": self._sums(back, n_out)}

        return z[..., :n_out], pullback

    def activation(self, layer: Layer, x: Array) -> tuple[Array, Callable[[Array], Array]] | None:
        """Of ReLU: max(x, 0) and the pullback dx = dy where x > 0, else 0."""
        if type(layer) is not ReLU or (whole := self._rows(x)) is None:
            return None
        n, y, columns = prod(whole.shape), self._empty(whole.shape), x.shape[-1]
        step_gpu.relu[(_blocks(n),)](whole, y, n, BLOCK=_BLOCK)

        def pullback(dy: Array) -> Array:
            dx = self._empty(whole.shape)
            step_gpu.relu_back[(_blocks(n),)](whole, self._laid(dy, whole.shape[-1]), dx, n, BLOCK=_BLOCK)
            return dx[..., :columns]

        return y[..., :columns], pullback

    def left_to_torch(self, *_: Any, **__: Any) -> None:
        """None, for layers that have no kernel here."""

    layer_norm = member_linear = embedding = waves = left_to_torch

    def batch_norm(self, x: Array, gamma: Array, beta: Array, epsilon: float) -> BatchNormed | None:
        """γ x̂ + β over the rows of x (..., batch, n), with γ and β (..., n)."""
        shape, whole = (*x.shape[:-2], x.shape[-1]), self._rows(x)  # (..., n)
        if whole is None or gamma.shape != shape or beta.shape != shape:
            return None
        (networks, rows, columns), ld = sizes(x), whole.shape[-1]
        grid, tile = (-(-columns // _STRIP), networks), {"ROWS": _rows(rows), "COLUMNS": _STRIP}
        y, (mean, variance, r) = self._empty(whole.shape), (self._wide(shape) for _ in range(3))
        step_gpu.batch_norm[grid](whole, gamma, beta, y, mean, variance, r, columns, ld, epsilon, rows, **tile)

        def pullback(dy: Array) -> tuple[Array, Array, Array]:
            dx, dgamma, dbeta = self._empty(whole.shape), self._wide(shape), self._wide(shape)
            step_gpu.batch_norm_back[grid](whole, self._laid(dy, ld), gamma, mean, r, dx, dgamma, dbeta, columns, ld,
                                           rows, **tile)  # fmt: skip
            return dx[..., :columns], dgamma, dbeta

        return BatchNormed(y[..., :columns], mean, variance, pullback)

    def sum_rows(self, dy: Array) -> Array | None:
        """Σ over the rows of dy (..., batch, n) in float32, (..., n)."""
        whole = self._rows(dy)
        return None if whole is None else self._sums(whole, dy.shape[-1])

    def _sums(self, whole: Array, columns: int) -> Array:
        networks, rows, ld = sizes(whole)
        out, strip = self._wide((*whole.shape[:-2], columns)), _STRIP if networks * columns < _MANY else 4 * _STRIP
        tile = {"ROWS": min(64, _rows(rows)), "COLUMNS": strip}
        step_gpu.sum_rows[-(-columns // strip), networks](whole, out, columns, ld, rows, **tile)
        return out

    def loss(self, loss: Loss, logits: Array, target: Array, weight: Array | None) -> tuple[Array, Array] | None:
        """Softmax cross-entropy of class indices (..., batch), every row of the same weight: loss (...) and dlogits."""
        if type(loss) is not SoftmaxCrossEntropy or weight is not None or target.dtype != self.xp.int64:
            return None
        if target.shape != logits.shape[:-1] or logits.shape[-1] > _WIDEST or (whole := self._rows(logits)) is None:
            return None
        (networks, rows, n_out), ld = sizes(logits), whole.shape[-1]
        columns = _power(ld)
        values, dlogits, tile = self._wide(target.shape), self._empty(whole.shape), max(1, 1024 // columns)
        grid = (-(-networks * rows // tile),)
        step_gpu.cross_entropy[grid](whole, self._contiguous_as(target), values, dlogits, rows, n_out, ld,
                                     loss.label_smoothing, networks * rows, ROWS=tile, COLUMNS=columns)  # fmt: skip
        return self.xp.mean(values, axis=-1), dlogits[..., :n_out]

    roomy, fill = staticmethod(padded.roomy), staticmethod(padded.fill)

    def update(self, optimizer: Optimizer, gradients: Mapping[str, Array], parameters: Mapping[str, Array],
               slots: Mapping[str, tuple[Array, ...]], working: Mapping[str, Array], weights: tuple[str, ...],
               numbers: Array, place: Array, scale: Array | None) -> None:  # fmt: skip
        """`optim.update` in place, and the working copies with it. Weights may be padded.

        numbers (steps, n_networks, 4): `numbers_of` each step. place (1,): which of the steps it is. scale: what the
        gradients are clipped by, (n_networks,).
        """
        constants, rule = _constants(optimizer), _rule(optimizer)
        for name, held in slots.items():
            narrow, weight = working[name] is not parameters[name], name in weights
            p, w, *kept = (_whole(one) if weight else one for one in (parameters[name], working[name], *held))
            g, (a, b) = self._alike(gradients[name], p), (*kept, p, p)[:2]
            n = prod(p.shape) // numbers.shape[1]
            step_gpu.update[_blocks(n), numbers.shape[1]](
                p, g, a, b, w, numbers, place, p if scale is None else scale, n, *constants, RULE=rule,
                WEIGHT=weight, CLIPPED=scale is not None, NARROW=narrow, BLOCK=_BLOCK,
            )  # fmt: skip

    def _alike(self, gradient: Array, p: Array) -> Array:
        """The gradient of p, padded as p is."""
        if gradient.shape == p.shape:
            return self._contiguous_as(gradient)
        return _whole(gradient if padded.matrix(gradient) is not None else padded.roomy(gradient))

    @staticmethod
    def numbers_of(optimizer: Optimizer, lr: float, t: int, penalty: float) -> tuple[float, float, float, float]:
        """What `update` reads of one step and one network: rate, decay, twice the penalty, epsilon."""
        rate, epsilon = lr, getattr(optimizer, "epsilon", 0.0)
        if isinstance(optimizer, (Adam, AdamW)):
            rate, epsilon = adam_constants(optimizer, lr, t)
        return rate, 1 - lr * optimizer.decay, 2 * penalty, epsilon

    def _takes_rows(self, X: Array, shift: Array) -> bool:
        return shift.dtype == self.xp.float32 and X.ndim == 2 and X.dtype in (self.xp.uint8, self.xp.float32)

    def _rows(self, x: Array) -> Array | None:
        """x (..., batch, n) with its padding; None where it is of another dtype or out of order."""
        return padded.rows(x) if x.dtype == self.dtype else None

    def _laid(self, x: Array, ld: int) -> Array:
        """The values of x (..., batch, n) in rows of ld numbers, zeros from the n-th on: (..., batch, ld)."""
        whole = self._rows(x)
        if whole is not None and whole.shape[-1] == ld:
            return whole
        if whole is None:
            whole = self._contiguous_as(x)
        out = self._empty((*x.shape[:-1], ld))
        grid, tile = _tiles(out)
        step_gpu.pad[grid](whole, out, x.shape[-1], whole.shape[-1], ld, x.shape[-2], **tile)
        return out

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


def _whole(W: Array) -> Array:
    """The matrix that W is a view of, or W."""
    whole = padded.matrix(W)
    return W if whole is None else whole


def _tiles(x: Array) -> tuple[tuple[int, int, int], dict[str, int]]:
    """The grid and the tile of programs that each take a part of some rows of a network's x (..., batch, n)."""
    networks, n_rows, n = sizes(x)
    columns = min(512, _power(n))
    rows = max(1, 2048 // columns)
    return (-(-n_rows // rows), -(-n // columns), networks), {"ROWS": rows, "COLUMNS": columns}


def _blocks(n: int) -> int:
    return -(-n // _BLOCK)


def _rows(n: int) -> int:
    """Rows of a tile: a power of 2 that wastes little."""
    return min(128, _power(n))


def _power(n: int) -> int:
    return 1 << max(0, n - 1).bit_length()
