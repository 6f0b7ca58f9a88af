"""Which backend, device and precision a run uses, and why: by hand, or by hardware and size of the step."""

import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from chainrule.backends.backend import Backend, Precision
from chainrule.errors import ConfigError
from chainrule.spec import spec

_DEVICE = r"^(auto|cpu|cuda(:\d+)?)$"


def _device(text: str) -> str:
    if not re.match(_DEVICE, text):
        raise ValueError(f"should be 'auto', 'cpu', 'cuda' or one of several such as 'cuda:1', got {text!r}")
    return text


@spec
class Compute:
    """Where and how to compute; "auto" decides by hardware, size and layers, and prints its reason.

    threads: of the linear algebra library; None takes $OMP_NUM_THREADS, or every core this process may run on.
    compiled: whether the memory-bound parts of a step, or all of it, run as C. "auto" has it built by the machine's
    compiler when a run is long enough to pay for the two seconds, and keeps it; "always" does however short the run is,
    which pays for studies of many short ones.
    """

    backend: Literal["auto", "numpy", "torch"] = "auto"
    device: Annotated[str, AfterValidator(_device), Field(json_schema_extra={"pattern": _DEVICE})] = "auto"
    precision: Literal["auto", Precision] = "auto"
    threads: Annotated[int, Field(gt=0)] | None = None
    compiled: Literal["auto", "always", "never"] = "auto"


COMPUTE = 'a Compute, such as Compute("numpy")'
"""What a message asks for in the place of what is none."""

SMALL_STEP = 6e7
"""Operations of one training step below which NumPy was the fastest: `benchmarks/backends.py`, docs/decisions.md."""


FEW = 2
"""Threads up to which programs were measured to be faster than torch in float32; their elementwise work has one."""

BUILDING = 2.0
"""Seconds that building the compiled kernels takes."""


def choose(
    compute: Compute,
    flops_per_step: float,
    steps: float = 0,
    parameters: int = 0,
    *,
    plain: bool = False,
    derived: Sequence[str] = (),
) -> Backend:
    """The backend for `steps` training steps of `flops_per_step` operations of a network of so many parameters.

    plain: whether its steps can be written as programs. derived: names of its layers without a pullback,
    which torch has to derive.
    """
    threads = compute.threads or available_threads()
    name, why = _library(compute, flops_per_step, derived)
    if name == "numpy":
        backend = _numpy(compute, threads, why)
    else:
        from chainrule.backends import hardware

        backend = hardware.torch_backend(compute.device, compute.precision, threads, why)
    programs = plain and _pays(compute, steps, _saved("program", parameters))
    if programs and _no_bfloat16(compute, backend) and threads <= FEW:
        made = _numpy(compute, threads, f"{backend.reason}: programs")
        made.compile()
        if made.programs:
            return made
    kind = backend.device.partition(":")[0]
    if (programs and name == "numpy") or _pays(compute, steps, _saved(kind, parameters)):
        backend.compile()
        if compute.compiled == "always" and backend.kernels is None:
            needed = "Triton" if kind == "cuda" else "Linux, a C compiler ($CC, cc or gcc)"
            raise ConfigError(
                f"compute.compiled 'always' with precision {backend.precision!r}: there are no kernels; they need "
                f"{needed} and precision 'float32' or 'bfloat16'; use 'auto', which does without"
            )
    return backend


def _pays(compute: Compute, steps: float, saved: float) -> bool:
    """Whether a run has the kernels. They may change a last bit, so what is built already must not decide."""
    return steps > 0 and compute.compiled != "never" and (compute.compiled == "always" or steps * saved > BUILDING)


def _no_bfloat16(compute: Compute, backend: Backend) -> bool:
    """Whether nothing but the size of the step speaks for torch: on a CPU without fast bfloat16."""
    found = backend.name, backend.device, backend.precision
    return (compute.backend, compute.precision) == ("auto", "auto") and found == ("torch", "cpu", "float32")


def _saved(kind: str, parameters: int) -> float:
    """Seconds of a step that compiled kernels save at least: docs/performance.md."""
    return 1e-3 if kind == "cuda" else (8e-5 if kind == "program" else 2e-5) + 1e-9 * parameters


def available_threads() -> int:
    """$OMP_NUM_THREADS, as every linear algebra library reads it, or the cores that this process may run on."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _library(compute: Compute, flops: float, derived: Sequence[str]) -> tuple[str, str]:
    has_torch = find_spec("torch") is not None
    if compute.backend == "numpy":
        return "numpy", "asked for"
    if compute.backend == "torch" or compute.device.startswith("cuda") or compute.precision == "bfloat16":
        if not has_torch:
            asked = "backend 'torch'" if compute.backend == "torch" else "CUDA or bfloat16"
            raise ConfigError(
                f"{asked} needs PyTorch, which is not installed; pip install 'chainrule[torch]', or use backend 'numpy'"
            )
        return "torch", "asked for"
    if not has_torch:
        return "numpy", "PyTorch is not installed"
    if derived:
        return "torch", f"without a pullback: {', '.join(dict.fromkeys(derived))}"
    if flops < SMALL_STEP:
        return "numpy", f"a small step, {flops / 1e6:.1f} MFLOP, where call overhead rules"
    return "torch", f"a step of {flops / 1e6:,.0f} MFLOP"


def _numpy(compute: Compute, threads: int, why: str) -> Backend:
    from chainrule.backends.numpy_backend import NumpyBackend

    if compute.device.startswith("cuda"):
        raise ConfigError(f"device {compute.device!r} with backend 'numpy': NumPy computes on the CPU; use 'torch'")
    if compute.precision == "bfloat16":
        raise ConfigError("precision 'bfloat16' with backend 'numpy': NumPy has no bfloat16; use 'torch' or 'float32'")
    return NumpyBackend("float32" if compute.precision == "auto" else compute.precision, threads, why)
