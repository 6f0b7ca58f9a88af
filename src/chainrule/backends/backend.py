"""What a backend does for training: arrays, gathering rows, masks, precision. The equations are the layers' own."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.backprop import Context, Parameter, Parameters, Part
from chainrule.data import augmentation
from chainrule.kernels import Kernels, library, products
from chainrule.seeds import bits

T = TypeVar("T")
Precision = Literal["float64", "float32", "bfloat16"]
"""Of activations and matrix products; parameters and their updates have float32 at least."""

EVALUATION_BLOCK = 1024
"""Rows of one pass of evaluation. Linear algebra libraries choose their kernels by shape, so a row's bits depend on how
many rows stand beside it; with blocks always full (the last one padded) they do not."""


class Backend(ABC):
    """Arrays of one library on one device in one precision.

    xp: the array namespace. dtype: of activations and matrix products. master: of parameters, never less than float32.
    reason: why this backend was chosen, in a few words. kernels: compiled stand-ins for parts of a step, or None.
    """

    name: str
    device: str
    precision: Precision
    threads: int
    reason: str
    xp: Any
    dtype: Any
    master: Any
    derive: Callable[..., Any] | None = None
    kernels: Any = None

    @abstractmethod
    def scope(self) -> AbstractContextManager[Any]:
        """Sets threads, and turns off autograd and floating-point warnings, while it is open."""

    @abstractmethod
    def array(self, values: NDArray[Any], dtype: Any = None) -> Array:
        """The values on the device, in their own dtype or in `dtype`."""

    @abstractmethod
    def numpy(self, array: Array) -> NDArray[Any]:
        """A copy on the host; bfloat16 becomes float32."""

    @abstractmethod
    def gather(self, array: Array, rows: Any) -> Array:
        """The rows whose numbers are in `rows` (n,), on the host or the device; in the array's own dtype."""

    @abstractmethod
    def wait(self) -> None:
        """Until the device has done all it was given; for honest timing."""

    @abstractmethod
    def copy(self, array: Array) -> Array:
        """The same values in memory of their own, contiguous."""

    @abstractmethod
    def address(self, array: Array) -> int:
        """Where the array's memory begins, for compiled code; only on the CPU."""

    @abstractmethod
    def contiguous(self, array: Array) -> bool:
        """Whether the array's memory is in the order of its indices."""

    def compile(self) -> None:
        """Use the compiled kernels from here on, if they can be built."""
        if self.device == "cpu" and self.precision != "float64":
            threads = self.kernel_threads
            found = library(threaded=threads > 1, narrow=self.precision == "bfloat16")
            self.kernels = None if found is None else Kernels(found, self, threads)

    def on_device(self, values: Any) -> Array:
        """The values, moved to the device where they are not there yet."""
        return self.array(values) if isinstance(values, np.ndarray) else values

    def send(self, values: NDArray[Any]) -> Array:
        """The values on the device, for what it does from here on; not waiting for what it still has to do."""
        return self.array(values)

    @property
    def evaluation_block(self) -> int:
        """Rows of one pass of evaluation, all of which are full."""
        return EVALUATION_BLOCK

    @property
    def device_name(self) -> str:
        """The device as a reader knows it: a GPU with its model."""
        return self.device

    @property
    def programs(self) -> bool:
        """Whether steps of plain networks run as programs: NumPy in float32, with kernels and with its own products."""
        return self.name == "numpy" and self.kernels is not None and products() is not None

    @property
    def records(self) -> bool:
        """Whether whole steps are recorded and replayed."""
        return False

    def record(self, work: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """What replays the device's part of `work`, and the result of `work`, whose arrays each replay renews."""
        raise NotImplementedError(f"{self.name} on {self.device} records nothing")

    @property
    def host_dtype(self) -> Any:
        """NumPy's dtype for rows that are prepared on the host: that of the masters."""
        return np.float64 if self.precision == "float64" else np.float32

    @property
    def kernel_threads(self) -> int:
        """Of the compiled kernels: one, where threads of two kinds would meet."""
        return 1

    def prepare_rows(self, X: Array, rows: Any, shift: Array, scale: Array) -> Array:
        """The named rows of X, (X - shift)·scale, in the working dtype, (len(rows), n_in)."""
        made = self.kernels and self.kernels.prepare(X, rows, shift, scale)
        return self.prepare(self.gather(X, rows), shift, scale) if made is None else made

    def prepare_moved(self, X: Array, rows: Any, moves: Any, cutout: int,
                      row_shape: tuple[int, ...], shift: Array, scale: Array) -> Array:  # fmt: skip
        """The same for images (n_rows, channels·height·width), moved and partly covered as `augmentation` says."""
        made = self.kernels and self.kernels.prepare_moved(X, rows, moves, cutout, row_shape, shift, scale)
        if made is not None:
            return made
        gathered = self.gather(X, rows)
        index = self.array(augmentation.pixels(moves, row_shape))
        moved = self.xp.take(gathered.reshape(-1), index, axis=0).reshape(gathered.shape)  # (batch, n_in)
        x = self.prepare(moved, shift, scale)
        return x * self.array(augmentation.uncovered(moves, cutout, row_shape), x.dtype) if cutout else x

    def prepare(self, x: Array, shift: Array, scale: Array) -> Array:
        """Rows as gathered, in any dtype, to (x - shift)·scale, computed in shift's dtype, in the working one."""
        prepared = (self.xp.astype(x, shift.dtype, copy=False) - shift) * scale  # (batch, n_in)
        return prepared if prepared.dtype == self.dtype else self.xp.astype(prepared, self.dtype)

    def parameters(self, values: Mapping[str, NDArray[Any]]) -> Parameters:
        """Master copies on the device."""
        return {name: self.array(value, self.master) for name, value in values.items()}

    def working(self, parameters: Parameters, roles: Mapping[str, Parameter]) -> Parameters:
        """Parameters as the layers use them: weights and biases in `dtype`, norms and statistics as they are."""
        if self.dtype == self.master:
            return parameters
        return {
            name: self.xp.astype(value, self.dtype) if roles[name].role in ("weight", "bias") else value
            for name, value in parameters.items()
        }

    def context(
        self, *, training: bool, seed: int | tuple[int, ...] = 0, step: int = 0, part: Part | None = None
    ) -> Context:
        """The context of a pass; dropout masks come from stream "dropout" of `seed` at `step`.

        A tuple of seeds is one for each of P stacked networks; the masks then have a leading axis P. A `part` of a
        batch has its rows of the batch's masks.
        """
        begin = part.begin if part else 0

        def mask(path: str, rows: int, n: int, rate: float, dtype: Any) -> Array:
            threshold, scale = thresholds(rate)
            if self.kernels and dtype == self.dtype and begin == 0:
                made = self.kernels.mask(seed, path, step, (rows, n), threshold, scale)
                if made is not None:
                    return made
            seeds = seed if isinstance(seed, tuple) else (seed,)
            keep = np.stack([_kept(one, path, step, (rows, n), threshold, begin * n) for one in seeds])  # (P, rows, n)
            return self.array(keep if isinstance(seed, tuple) else keep[0], dtype) * scale

        return Context(self.xp, training, mask=mask if training else None, derive=self.derive, input_gradient=False,
                       kernels=self.kernels if training else None, part=part)  # fmt: skip

    def __repr__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.name} on {self.device} in {self.precision}, {threads} ({self.reason})"


_LEVELS = 2**16


_BLOCK = 16
"""Draws of 16 bits in what Philox makes at one value of its counter."""


def thresholds(rate: float) -> tuple[int, float]:
    """The draw of 16 bits from which an entry is kept, and what it is then multiplied by, 1 over its probability."""
    threshold = min(round(rate * _LEVELS), _LEVELS - 1)
    return threshold, _LEVELS / (_LEVELS - threshold)


def _kept(seed: int, path: str, step: int, shape: tuple[int, int], threshold: int, begin: int) -> NDArray[np.bool_]:
    """Bernoulli draws from 16 random bits each, from draw `begin` on; the rate is rounded to 1/65536, the scale too."""
    n = shape[0] * shape[1]
    block, skipped = divmod(begin, _BLOCK)
    words = bits(seed, f"dropout/{path}", step, block).random_raw(-(-(skipped + n) // 4))
    return (words.view(np.uint16)[skipped : skipped + n] >= threshold).reshape(shape)  # (rows, n)
