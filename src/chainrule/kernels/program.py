"""`program.c` called: many steps of a plain network in one call, in float32 on the CPU, to the bits of NumPy."""

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import c_float, c_int32, c_int64, c_uint64, c_void_p
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.kernels.calls import Kernels
from chainrule.kernels.update import Rules, Update

KINDS = ("prepare_u8", "prepare_f32", "prepare_f64", "classes", "numbers", "product", "bias", "activation",
         "activation_back", "mask", "times", "plus", "batch_norm", "batch_norm_back", "running", "layer_norm",
         "layer_norm_back", "sums", "cross_entropy", "numbers_loss", "members_in", "members_out", "members_out_back",
         "members_in_back", "waves", "waves_back", "embedding", "embedding_back")  # fmt: skip
"""As in program.c."""

PREPARES = {np.uint8: "prepare_u8", np.float32: "prepare_f32", np.float64: "prepare_f64"}
"""How rows are gathered and scaled, by their dtype; of others there are no programs."""

Floats = NDArray[np.float32]


class _Operation(ctypes.Structure):
    _fields_ = [("kind", c_int32), ("option", c_int32), ("n", c_int64 * 4), ("key", c_uint64 * 2),
                ("number", c_float * 4), ("at", c_void_p * 12)]  # fmt: skip


class _Products(ctypes.Structure):
    _fields_ = [("matrices", c_void_p), ("vector", c_void_p), ("numbers", c_void_p)]


@cache
def products() -> _Products | None:
    """cblas_sgemm, cblas_sgemv and cblas_sdot, with indices of 64 bits, of the library in NumPy's wheels; None where it
    has another.
    """
    found = sorted((Path(np.__file__).parents[1] / "numpy.libs").glob("libscipy_openblas64_*.so*"))
    if len(found) != 1:
        return None
    library = ctypes.CDLL(str(found[0]))
    try:
        called = [getattr(library, f"scipy_cblas_{name}64_") for name in ("sgemm", "sgemv", "sdot")]
    except AttributeError:
        return None
    return _Products(*(ctypes.cast(one, c_void_p) for one in called))


@cache
def _run(library: ctypes.CDLL) -> Any:
    call = library.run
    call.argtypes = [c_void_p, c_int64, c_void_p, c_void_p, c_void_p, c_int64, c_float, c_void_p, c_void_p, c_void_p,
                     c_int64, c_uint64, c_int64, c_float, c_float]  # fmt: skip
    call.restype = c_float
    return call


def array(*shape: int, dtype: Any = np.float32) -> NDArray[Any]:
    """Room for what an operation leaves; zero until the first step."""
    return np.zeros(shape, dtype)


class Program:
    """The operations of one step, in the order in which they are added.

    Arrays that are given are worked on where they lie; the program keeps them alive.
    """

    def __init__(self, kernels: Kernels) -> None:
        self.kernels = kernels
        self.held: list[Any] = []
        self.operations: list[_Operation] = []
        self.call: Any = None

    def add(self, kind: str, *arrays: NDArray[Any] | None, n: Sequence[int] = (), option: int = 0,
            key: Sequence[int] = (), numbers: Sequence[float] = ()) -> None:  # fmt: skip
        """One more operation; `work` in program.c says what each is given."""
        made = _Operation(KINDS.index(kind), option)
        made.n[: len(n)], made.key[: len(key)], made.number[: len(numbers)] = n, key, numbers
        made.at[: len(arrays)] = [None if array is None else array.ctypes.data for array in arrays]
        self.held.append(arrays)
        self.operations.append(made)

    def product(self, a: Floats, b: Floats, *, transposed: str = "", out: Floats | None = None) -> Floats:
        """a b, aᵀ b where `transposed` is "left", or a bᵀ where it is "right"; into `out` if it is given."""
        rows, inner = a.shape[::-1] if transposed == "left" else a.shape
        out = array(rows, b.shape[0] if transposed == "right" else b.shape[1]) if out is None else out
        self.add("product", a, b, out, n=(*out.shape, inner), option=("", "left", "right").index(transposed))
        return out

    def end(self, update: Update, gradients: Mapping[str, Floats], loss: Floats, clip_norm: float | None) -> None:
        """A step ends with the update by `gradients`, no longer than `clip_norm`; `loss` (1,) is where it was left."""
        listed = (_Operation * len(self.operations))(*self.operations)
        entries, function = update.bound(gradients)
        self.held += [listed, update, gradients, loss]
        self.call = _run(self.kernels.library)
        called = products()
        if called is None:
            raise AssertionError("programs need NumPy's products: `programmable`")
        self.first = (ctypes.addressof(listed), len(listed), ctypes.addressof(called), ctypes.cast(function, c_void_p),
                      ctypes.addressof(entries), len(entries), clip_norm or 0.0, loss.ctypes.data)  # fmt: skip
        self.held += [entries, called]

    def run(self, rules: Rules, rows: NDArray[np.int64], position: int, share: float, total: float) -> np.float32:
        """A step for each of `rows` (n_steps, batch), the first being step `position` of the run; one rule a step.

        Returns total + share·loss + share·loss + ..., rounded after each.
        """
        n_steps, batch = rows.shape
        return np.float32(self.call(*self.first, rules.ctypes.data, rows.ctypes.data, batch, position, n_steps, share,
                                    total))  # fmt: skip
