"""The NumPy backend: float64 or float32 on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_void_p, sizeof
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from chainrule.backends.backend import Backend, Precision

_pointer_at = c_void_p.from_address
_DATA = 2 * sizeof(c_void_p)


class NumpyBackend(Backend):
    """NumPy itself is an array API namespace since 2.1, so no wrapper stands between it and the layers."""

    name = "numpy"
    device = "cpu"
    xp = np

    def __init__(self, precision: Precision, threads: int, reason: str) -> None:
        self.precision = precision
        self.threads = threads
        self.reason = reason
        self.dtype = self.master = np.dtype(precision)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Threads of the linear algebra library set; overflow is left to the check of the loss."""
        with threadpool_limits(self.threads), np.errstate(all="ignore"):
            yield

    def array(self, values: NDArray[Any], dtype: Any = None) -> NDArray[Any]:
        """The values themselves, or in `dtype`."""
        return np.asarray(values, dtype=dtype, order="C")

    def numpy(self, array: NDArray[Any]) -> NDArray[Any]:
        """A copy."""
        return np.array(array)

    def copy(self, array: NDArray[Any]) -> NDArray[Any]:
        """By NumPy."""
        return np.array(array, order="C")

    def address(self, array: NDArray[Any]) -> int:
        """Of the first entry."""
        # The pointer in NumPy's array object, behind the two words of every object. NumPy's own ways to it take a
        # microsecond, which is what many a kernel takes.
        return _pointer_at(id(array) + _DATA).value or 0

    def contiguous(self, array: NDArray[Any]) -> bool:
        """By NumPy's flag."""
        return bool(array.flags.c_contiguous)

    def gather(self, array: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
        """The rows, copied."""
        return np.take(array, rows, axis=0)

    def wait(self) -> None:
        """Nothing runs behind NumPy's back."""
