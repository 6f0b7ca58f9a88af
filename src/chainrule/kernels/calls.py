"""The kernels in C called from Python: for float32 masters, with float32 or bfloat16 at work, on the CPU.

A kernel takes what it was written for, arrays (..., batch, n) in order in memory, and answers None to all else.
"""

import ctypes
from collections.abc import Callable
from ctypes import c_float, c_int32, c_int64, c_uint16, c_uint64, c_void_p
from math import prod
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.backprop import Layer, Parameters
from chainrule.layers import GELU, SELU, Embedding, LeakyReLU, Mish, ReLU, Sigmoid, SiLU, SmoothClip, Tanh
from chainrule.layers.embedding import DIGIT
from chainrule.losses import Huber, Loss, Poisson, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from chainrule.seeds import key

_P, _N, _T, _F = c_void_p, c_int64, c_int32, c_float
_SIGNATURES: dict[str, list[Any]] = {
    "activation": [_T, _F, _P, _N, _P, _T],
    "activation_back": [_T, _F, _P, _P, _N, _P, _T],
    "batch_norm": [_P, _N, _N, _N, _P, _P, _F, _P, _P, _P, _P, _T],
    "batch_norm_back": [_P, _P, _N, _N, _N, _P, _P, _P, _P, _P, _P, _T],
    "layer_norm": [_P, _N, _N, _N, _P, _P, _F, _P, _P, _P, _T],
    "layer_norm_back": [_P, _P, _N, _N, _N, _P, _P, _P, _P, _P, _P, _T],
    "sum_rows": [_P, _N, _N, _N, _P, _T],
    "cross_entropy": [_P, _P, _P, _N, _N, _N, _F, _P, _P, _P, _P, _P, _T],
    "numbers_loss": [_T, _F, _P, _P, _P, _N, _N, _N, _P, _P, _P, _P, _T],
}
_IN_FLOAT32: dict[str, list[Any]] = {
    "members_in": [_P, _N, _N, _N, _T, _P, _P, _T],
    "members_out": [_P, _N, _N, _N, _P, _P, _P, _T],
    "members_out_back": [_P, _P, _N, _N, _N, _P, _P, _P, _P, _T],
    "members_in_back": [_P, _P, _N, _N, _N, _T, _P, _P, _P, _T],
    "waves": [_P, _N, _N, _N, _N, _P, _P, _P, _P, _P, _P, _P, _T],
    "embedding": [_P, _N, _N, _N, _N, _T, _P, _P, _P, _P],
    "embedding_back": [_P, _P, _N, _N, _N, _N, _N, _P, _P, _P],
    "waves_back": [_P, _P, _N, _N, _N, _N, _P, _P, _P, _P, _P, _P, _P, _P, _P, _P, _T],
}
_PREPARE = [_P, _P, _N, _N, _P, _P, _P, _T]
_PREPARE_MOVED = [_P, _P, _N, _P, _N, _N, _N, _N, _P, _P, _P, _T]

ACTIVATIONS = (ReLU, LeakyReLU, Tanh, Sigmoid, GELU, GELU, SiLU, SELU, Mish, SmoothClip)
"""As in activations.c, GELU by the error function and by tanh."""

NUMBERS_LOSSES = (SquaredError, Huber, Poisson, SigmoidCrossEntropy)
"""As in losses.c."""


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
    """The library for a backend's precision, bound to it. threads: 1 for NumPy, whose linear algebra has threads of
    another kind.
    """

    def __init__(self, library: ctypes.CDLL, arrays: Arrays, threads: int) -> None:
        self.library, self.arrays, self.threads = library, arrays, threads
        self.xp, self.dtype, self.address, self.empty = arrays.xp, arrays.dtype, arrays.address, arrays.xp.empty
        self.narrow = bool(self.dtype != self.xp.float32)
        signatures = _SIGNATURES | ({} if self.narrow else _IN_FLOAT32)
        self.calls = {name: _call(library, name, types) for name, types in signatures.items()}
        kept = c_uint16 if self.narrow else c_float
        self.calls["mask"] = _call(library, "mask", [c_uint64, c_uint64, c_uint64, _N, _T, kept, _P, _T])
        kinds = {getattr(self.xp, dtype): name for dtype, name in (("uint8", "u8"), ("float32", "f32"))}
        self.moving = {one: _call(library, f"prepare_moved_{name}", _PREPARE_MOVED) for one, name in kinds.items()}
        kinds |= {self.xp.float64: "f64"}
        self.prepares = {one: _call(library, f"prepare_{name}", _PREPARE) for one, name in kinds.items()}

    def prepare(self, X: Array, rows: NDArray[np.int64], shift: Array, scale: Array) -> Array | None:
        """(X[rows] - shift)·scale in the working dtype, (len(rows), n), for X of uint8, float32 or float64."""
        call = self._for(X, shift, self.prepares)
        if call is None:
            return None
        n, columns, place = len(rows), X.shape[1], self.address
        out = self.empty((n, columns), dtype=self.dtype)
        call(place(X), rows.ctypes.data, n, columns, place(shift), place(scale), place(out), self.threads)
        return out

    def prepare_moved(self, X: Array, rows: NDArray[np.int64], moves: NDArray[np.int64], cutout: int,
                      row_shape: tuple[int, ...], shift: Array, scale: Array) -> Array | None:  # fmt: skip
        """The same for images that are moved and partly covered: `data.augmentation`."""
        call = self._for(X, shift, self.moving)
        if call is None:
            return None
        place, out = self.address, self.empty((len(rows), X.shape[1]), dtype=self.dtype)
        call(place(X), rows.ctypes.data, len(rows), moves.ctypes.data, cutout, *row_shape, place(shift), place(scale),
             place(out), self.threads)  # fmt: skip
        return out

    def _for(self, X: Array, shift: Array, calls: dict[Any, Any]) -> Any:
        taken = shift.dtype == (self.xp.float64 if X.dtype == self.xp.float64 else self.xp.float32) and X.ndim == 2
        return calls.get(X.dtype if self.xp is not np else X.dtype.type) if taken else None

    def mask(self, seed: int | tuple[int, ...], path: str, step: int, shape: tuple[int, int], threshold: int,
             kept: float) -> Array | None:  # fmt: skip
        """`kept` where the next 16 bits of the Philox stream are at least `threshold`, else 0; in the working dtype.

        For one seed only.
        """
        if isinstance(seed, tuple):
            return None
        out, (k0, k1) = self.empty(shape, dtype=self.dtype), key(seed, f"dropout/{path}")
        value = _bfloat16_bits(kept) if self.narrow else kept
        self.calls["mask"](int(k0), int(k1), step, prod(shape), threshold, value, self.address(out), self.threads)
        return out

    def linear(self, *_: Any, **__: Any) -> None:
        """None: products are the library's."""

    def activation(self, layer: Layer, x: Array) -> tuple[Array, Callable[[Array], Array]] | None:
        """y = f(x) of one of our activations, and the pullback dx = f'(x) dy."""
        if type(layer) not in ACTIVATIONS or not self._takes(x):
            return None
        kind, number, by_y = activation_of(layer)
        place, n, threads = self.address, prod(x.shape), self.threads
        y = self.empty(x.shape, dtype=self.dtype)
        self.calls["activation"](kind, number, place(x), n, place(y), threads)
        seen = y if by_y else x

        def pullback(dy: Array) -> Array:
            dy = self._contiguous(dy)
            dx = self.empty(x.shape, dtype=self.dtype)
            self.calls["activation_back"](kind, number, place(seen), place(dy), n, place(dx), threads)
            return dx

        return y, pullback

    def batch_norm(self, x: Array, gamma: Array, beta: Array, epsilon: float) -> "BatchNormed | None":
        """γ x̂ + β over the rows of x (..., batch, n), with γ and β (..., n)."""
        if not self._takes_norm(x, gamma, beta):
            return None
        place, y = self.address, self.empty(x.shape, dtype=self.dtype)
        mean, variance, r = (self.empty(gamma.shape, dtype=self.xp.float32) for _ in range(3))
        self.calls["batch_norm"](place(x), *sizes(x), place(gamma), place(beta), epsilon, place(y), place(mean),
                                 place(variance), place(r), self.threads)  # fmt: skip
        return BatchNormed(y, mean, variance, self._norm_pullback("batch_norm_back", x, gamma, mean, r))

    def layer_norm(self, x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, "NormPullback"] | None:
        """γ x̂ + β over the features of x (..., batch, n), with γ and β (..., n); and the pullback."""
        if not self._takes_norm(x, gamma, beta):
            return None
        place, y = self.address, self.empty(x.shape, dtype=self.dtype)
        mean, r = (self.empty(x.shape[:-1], dtype=self.xp.float32) for _ in range(2))  # (..., batch)
        self.calls["layer_norm"](place(x), *sizes(x), place(gamma), place(beta), epsilon, place(y), place(mean),
                                 place(r), self.threads)  # fmt: skip
        return y, self._norm_pullback("layer_norm_back", x, gamma, mean, r)

    def _takes_norm(self, x: Array, gamma: Array, beta: Array) -> bool:
        shape = (*x.shape[:-2], x.shape[-1])  # (..., n)
        return self._takes(x) and self._take_wide(gamma, beta) and gamma.shape == shape and beta.shape == shape

    def _norm_pullback(self, name: str, x: Array, gamma: Array, mean: Array, r: Array) -> "NormPullback":
        place = self.address

        def pullback(dy: Array) -> tuple[Array, Array, Array]:
            dy, dx = self._contiguous(dy), self.empty(x.shape, dtype=self.dtype)
            dgamma, dbeta = (self.empty(gamma.shape, dtype=self.xp.float32) for _ in range(2))
            self.calls[name](place(x), place(dy), *sizes(x), place(gamma), place(mean), place(r), place(dx),
                             place(dgamma), place(dbeta), self.threads)  # fmt: skip
            return dx, dgamma, dbeta

        return pullback

    def member_linear(self, parameters: Parameters, x: Array, *, spread: bool, needed: bool) -> "Backward | None":
        """`MemberLinear` on x (batch, k n_in), or (batch, n_in) where it is spread; in float32. needed: dx is."""
        W, r, s, b = (parameters[name] for name in ("W", "r", "s", "b"))
        if self.narrow or x.ndim != 2 or W.ndim != 2 or not self._takes(x) or not self._take_wide(W, r, s, b):
            return None
        place, threads, call = self.address, self.threads, self.calls
        batch, (k, n_in), n_out = len(x), r.shape, W.shape[1]
        u, y = self.empty((batch * k, n_in), dtype=self.dtype), self.empty((batch, k * n_out), dtype=self.dtype)
        call["members_in"](place(x), batch, k, n_in, spread, place(r), place(u), threads)
        v = u @ W  # (batch · k, n_out)
        call["members_out"](place(v), batch, k, n_out, place(s), place(b), place(y), threads)

        def pullback(dy: Array) -> tuple[Array | None, Parameters]:
            dy, dv = self._contiguous(dy), self.empty(v.shape, dtype=self.dtype)
            dr, ds, db = (self.empty(one.shape, dtype=self.dtype) for one in (r, s, b))
            call["members_out_back"](place(v), place(dy), batch, k, n_out, place(s), place(dv), place(ds), place(db),
                                     threads)  # fmt: skip
            du = dv @ W.mT  # (batch · k, n_in)
            dx = self.empty(x.shape, dtype=self.dtype) if needed else None
            call["members_in_back"](place(x), place(du), batch, k, n_in, spread, place(r),
                                    self._place(dx), place(dr), threads)  # fmt: skip
            return dx, {"W": u.mT @ dv, "r": dr, "s": ds, "b": db}

        return y, pullback

    def waves(self, parameters: Parameters, x: Array, *, needed: bool) -> "Backward | None":
        """`PeriodicEmbedding` on x (batch, n); in float32. needed: dx is."""
        nu, phi, W, b = (parameters[name] for name in ("nu", "phi", "W", "b"))
        if self.narrow or x.ndim != 2 or nu.ndim != 2 or not self._takes(x) or not self._take_wide(nu, phi, W, b):
            return None
        place, threads, (m, mixed) = self.address, self.threads, W.shape[1:]
        shape = (*x.shape, m, mixed + 1)
        y = self.empty((len(x), x.shape[1] * (mixed + 1)), dtype=self.dtype)
        cosine, sine = (self.empty((*x.shape, m), dtype=self.dtype) for _ in range(2))
        self.calls["waves"](place(x), *shape, place(nu), place(phi), place(W), place(b), place(cosine), place(sine),
                            place(y), threads)  # fmt: skip

        def pullback(dy: Array) -> tuple[Array | None, Parameters]:
            dy, dx = self._contiguous(dy), self.empty(x.shape, dtype=self.dtype) if needed else None
            found = {name: self.empty(parameters[name].shape, dtype=self.dtype) for name in ("nu", "phi", "W", "b")}
            parts = self.empty((x.shape[1], m * (mixed + 2) + mixed), dtype=self.dtype)
            self.calls["waves_back"](place(x), place(dy), *shape, place(nu), place(W), place(cosine), place(sine),
                                     place(parts), self._place(dx), *map(place, found.values()), threads)  # fmt: skip
            return dx, found

        return y, pullback

    def embedding(self, layer: Embedding, E: Array, x: Array, *, needed: bool) -> "Backward | None":
        """`Embedding` on x (batch, n); in float32. needed: dx is."""
        if self.narrow or x.ndim != 2 or E.ndim != 2 or not self._takes(x) or not self._take_wide(E):
            return None
        categories, place, (n_E, width), k = np.array(layer.sizes), self.address, E.shape, len(layer.sizes)
        plain = layer.n_plain(x.shape[1])
        shape = (len(x), plain, k, width)
        picked = self.empty((len(x), k), dtype=self.xp.int64)
        y = self.empty((len(x), plain + k * width), dtype=self.dtype)
        self.calls["embedding"](place(x), *shape, DIGIT, categories.ctypes.data, place(E), place(picked), place(y))

        def pullback(dy: Array) -> tuple[Array | None, Parameters]:
            dy, dE = self._contiguous(dy), self.empty(E.shape, dtype=self.dtype)
            dx = self.empty(x.shape, dtype=self.dtype) if needed else None
            sums = self.empty(E.shape, dtype=self.xp.float64)
            self.calls["embedding_back"](place(picked), place(dy), *shape, n_E, self._place(dx), place(sums), place(dE))
            return dx, {"E": dE}

        return y, pullback

    def sum_rows(self, dy: Array) -> Array | None:
        """Σ over the rows of dy (..., batch, n) in float32, (..., n)."""
        if not self._takes(dy):
            return None
        out = self.empty((*dy.shape[:-2], dy.shape[-1]), dtype=self.xp.float32)
        self.calls["sum_rows"](self.address(dy), *sizes(dy), self.address(out), self.threads)
        return out

    def loss(self, loss: Loss, logits: Array, target: Array, weight: Array | None) -> tuple[Array, Array] | None:
        """Loss (...) and dlogits: softmax cross-entropy of class indices (..., batch), or one of our losses of numbers
        (..., batch, n_out); weight: of the rows, (..., batch), or None.
        """
        rows, wide, contiguous = logits.shape[:-1], self.xp.float32, self.arrays.contiguous
        weighted = weight is None or (weight.dtype == wide and weight.shape == rows and contiguous(weight))
        if not (weighted and self._takes(logits) and contiguous(target)):
            return None
        place, dz = self.address, self.empty(logits.shape, dtype=self.dtype)
        shares, values = self.empty(rows, dtype=wide), self.empty(rows, dtype=wide)
        value, weights = self.empty(rows[:-1], dtype=wide), self._place(weight)
        after = (place(dz), place(shares), place(values), place(value), self.threads)
        if type(loss) is SoftmaxCrossEntropy and target.dtype == self.xp.int64 and target.shape == rows:
            scratch = self.empty(logits.shape, dtype=wide) if self.narrow else dz
            self.calls["cross_entropy"](place(logits), place(target), weights, *sizes(logits), loss.label_smoothing,
                                        place(scratch), *after)  # fmt: skip
        elif type(loss) in NUMBERS_LOSSES and target.dtype == wide and target.shape == logits.shape:
            kind, number = numbers_loss_of(loss)
            self.calls["numbers_loss"](kind, number, place(logits), place(target), weights, *sizes(logits), *after)
        else:
            return None
        return value, dz

    def _place(self, x: Array | None) -> int | None:
        return None if x is None else self.address(x)

    def _takes(self, x: Array) -> bool:
        """Whether x has the working dtype and lies in order in memory."""
        return bool(x.dtype == self.dtype) and self.arrays.contiguous(x)

    def _take_wide(self, *arrays: Array) -> bool:
        """Whether parameters are float32 and in order; a rule of the user's own may have widened them."""
        return all(bool(one.dtype == self.xp.float32) and self.arrays.contiguous(one) for one in arrays)

    def _contiguous(self, dy: Array) -> Array:
        dy = dy if dy.dtype == self.dtype else self.xp.astype(dy, self.dtype)
        return dy if self.arrays.contiguous(dy) else self.arrays.copy(dy)


class BatchNormed(NamedTuple):
    """y, the batch's mean and (biased) variance (..., n), and the pullback dy -> dx, dγ, dβ."""

    y: Array
    mean: Array
    variance: Array
    pullback: "NormPullback"


Backward = tuple[Array, Callable[[Array], tuple[Array | None, Parameters]]]
"""y and the pullback dy -> dx, or None where it is not needed, and the parameters' gradients."""

NormPullback = Callable[[Array], tuple[Array, Array, Array]]
"""dy -> dx, dγ, dβ."""


def activation_of(layer: Layer) -> tuple[int, float, bool]:
    """Its kind and number in activations.c, and whether its slope is worked out from y, not from x."""
    tanh = isinstance(layer, GELU) and layer.approximate == "tanh"
    number = layer.slope if isinstance(layer, LeakyReLU) else layer.limit if isinstance(layer, SmoothClip) else 0.0
    return ACTIVATIONS.index(type(layer)) + tanh, number, isinstance(layer, Tanh | Sigmoid)


def numbers_loss_of(loss: Loss) -> tuple[int, float]:
    """Its kind and number in losses.c."""
    return NUMBERS_LOSSES.index(type(loss)), loss.delta if isinstance(loss, Huber) else 0.0


def _call(library: ctypes.CDLL, name: str, types: list[Any]) -> Any:
    function = getattr(library, name)
    function.argtypes, function.restype = types, None
    return function


def sizes(x: Array) -> tuple[int, int, int]:
    """Networks, rows and columns of x (..., batch, n)."""
    return (1, *x.shape) if x.ndim == 2 else (prod(x.shape[:-2]), *x.shape[-2:])


def _bfloat16_bits(x: float) -> int:
    bits = int(np.float32(x).view(np.uint32))
    return (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
