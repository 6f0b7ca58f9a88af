"""The torch backend: float64, float32 or bfloat16, on the CPU or on CUDA, through the same code."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar

import array_api_compat.torch as array_api
import numpy as np
import torch
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.backends.backend import EVALUATION_BLOCK, Backend, Precision
from chainrule.backprop import Context, Layer, Parameters

T = TypeVar("T")


class Namespace:
    """The array API on torch, but numbers beside arrays are made on the device.

    array_api_compat sends them from the host, for which CUDA waits, and which no recorded step may do.
    """

    def __init__(self) -> None:
        self.__dict__ |= {name: value for name, value in vars(array_api).items() if not hasattr(type(self), name)}

    def maximum(self, x1: Any, x2: Any) -> Array:
        """Elementwise; what is not a number stays so."""
        return torch.maximum(*_on_device(x1, x2))

    def minimum(self, x1: Any, x2: Any) -> Array:
        """Elementwise; what is not a number stays so."""
        return torch.minimum(*_on_device(x1, x2))

    def where(self, condition: Array, x1: Any, x2: Any) -> Array:
        """x1 where the condition holds, else x2."""
        return torch.where(condition, *_on_device(x1, x2))

    def clip(self, x: Array, least: float, most: float) -> Array:
        """x, moved into [least, most]."""
        return torch.clamp(x, least, most)


def _on_device(x1: Any, x2: Any) -> tuple[Array, Array]:
    if not isinstance(x1, torch.Tensor):
        x1 = torch.full((), x1, dtype=x2.dtype, device=x2.device)
    if not isinstance(x2, torch.Tensor):
        x2 = torch.full((), x2, dtype=x1.dtype, device=x1.device)
    return x1, x2


xp = Namespace()


class TorchBackend(Backend):
    """Autograd is off: the layers' own pullbacks train, unless a user's layer has none."""

    name = "torch"
    xp = xp

    def __init__(self, device: str, precision: Precision, threads: int, reason: str) -> None:
        self.device = device
        self.precision = precision
        self.threads = threads
        self.reason = reason
        self.dtype = getattr(torch, precision)
        self.master = torch.float64 if precision == "float64" else torch.float32
        self.derive = pullback_by_autograd

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Threads set, autograd off."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            with torch.no_grad(), np.errstate(all="ignore"):
                yield
        finally:
            torch.set_num_threads(before)

    def array(self, values: NDArray[Any], dtype: Any = None) -> Array:
        """A tensor on the device; on the CPU it shares memory where the dtype allows."""
        return torch.from_numpy(_native(values)).to(device=self.device, dtype=dtype)

    def send(self, values: NDArray[Any]) -> Array:
        """By way of memory that the device reads by itself, where it is CUDA."""
        host = torch.from_numpy(_native(values))
        return host.pin_memory().to(self.device, non_blocking=True) if self.device.startswith("cuda") else host

    @property
    def evaluation_block(self) -> int:
        """On CUDA larger, as each pass costs its launches."""
        return 8 * EVALUATION_BLOCK if self.device.startswith("cuda") else EVALUATION_BLOCK

    def numpy(self, array: Array) -> NDArray[Any]:
        """A copy on the host."""
        array = array.detach()
        widened = array.float() if array.dtype == torch.bfloat16 else array
        return np.array(widened.cpu().numpy())

    def copy(self, array: Array) -> Array:
        """By torch."""
        return array.detach().clone(memory_format=torch.contiguous_format)

    def address(self, array: Array) -> int:
        """Of the first entry."""
        return int(array.data_ptr())

    def contiguous(self, array: Array) -> bool:
        """By torch's strides."""
        return bool(array.is_contiguous())

    @property
    def kernel_threads(self) -> int:
        """Torch's own, whose runtime the kernels share."""
        return self.threads

    def gather(self, array: Array, rows: Any) -> Array:
        """The rows, by index_select."""
        if not isinstance(rows, torch.Tensor):
            rows = torch.from_numpy(rows).to(self.device, non_blocking=True)
        return self.kernels.pick(array, rows) if array.ndim == 1 and self.records else array.index_select(0, rows)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Uninitialised, on the device."""
        return torch.empty(shape, dtype=dtype, device=self.device)

    def compile(self) -> None:
        """On CUDA the kernels are Triton's, which comes with torch; the first use builds and keeps them."""
        if not self.device.startswith("cuda"):
            super().compile()
        elif self.precision != "float64" and find_spec("triton"):
            from chainrule.kernels.gpu import GpuKernels

            self.kernels = GpuKernels(self)

    @property
    def device_name(self) -> str:
        """The device as a reader knows it: a GPU with its model."""
        cuda = self.device.startswith("cuda")
        return f"{self.device}, {torch.cuda.get_device_name(self.device)}" if cuda else self.device

    @property
    def records(self) -> bool:
        """Whether whole steps are recorded and replayed: on CUDA, where its kernels read the step from the device."""
        return self.kernels is not None and self.device.startswith("cuda")

    def record(self, work: Callable[[], T]) -> tuple[Callable[[], None], T]:
        """What replays the device's part of `work`, and the result of `work`, whose arrays each replay renews.

        The call itself does nothing on the device. Everything that `work` needs must have been built before.
        """
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device), torch.cuda.graph(graph, capture_error_mode="thread_local"):
            result = work()
        return graph.replay, result

    def wait(self) -> None:
        """Until CUDA has finished; the CPU always has."""
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """The values as torch takes them."""
    native = np.asarray(values, dtype=values.dtype.newbyteorder("="), order="C")
    return native if native.flags.writeable else native.copy()


def pullback_by_autograd(layer: Layer, parameters: Parameters, x: Array, context: Context) -> Any:
    """y and a pullback that torch derives from the layer's forward, for layers that bring none."""
    context = context._replace(kernels=None)  # autograd does not see what they compute
    if torch.is_grad_enabled():  # autograd already watches the whole pass: `check` asks it for the gradient itself
        return layer.forward(parameters, x, context), None
    with torch.enable_grad():
        roles = layer.parameters(x.shape[-1])  # running statistics have no gradient
        held = {name: p.detach().requires_grad_() for name, p in parameters.items() if roles[name].role != "running"}
        x_held = x.detach().requires_grad_()
        y = layer.forward(parameters | held, x_held, context)

    def pullback(dy: Array) -> tuple[Array, Parameters]:
        inputs = [x_held, *held.values()]
        dx, *gradients = torch.autograd.grad(y, inputs, dy.to(y.dtype), allow_unused=True, retain_graph=True)
        zeros = (torch.zeros_like(value) for value in held.values())
        found = (z if g is None else g for g, z in zip(gradients, zeros, strict=True))
        return torch.zeros_like(x) if dx is None else dx, dict(zip(held, found, strict=True))

    return y.detach().to(x.dtype), pullback
