"""What the hardware can do, asked of torch: CUDA, and bfloat16 matrix products on the CPU."""

from typing import Literal

import torch

from chainrule.backends.backend import Backend, Precision
from chainrule.backends.torch_backend import TorchBackend
from chainrule.errors import ConfigError


def torch_backend(device: str, precision: Literal["auto"] | Precision, threads: int, why: str) -> Backend:
    """Torch on `device` in `precision`, either found by itself where it is "auto"."""
    cuda = torch.cuda.is_available()
    if device.startswith("cuda") and not cuda:
        raise ConfigError(
            f"device {device!r}: PyTorch {torch.__version__} sees no CUDA device here; use 'cpu' or 'auto'"
        )
    if device == "auto":
        device = "cuda" if cuda else "cpu"
    if precision == "auto":
        precision, found = _best_precision(device)
        why = f"{why}; {found}"
    return TorchBackend(device, precision, threads, why)


def _best_precision(device: str) -> tuple[Precision, str]:
    if device.startswith("cuda"):
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16", "the GPU multiplies bfloat16 natively"
        return "float32", "the GPU has no native bfloat16"
    if torch.cpu._is_amx_tile_supported():
        return "bfloat16", "the CPU has AMX"
    if torch.cpu._is_avx512_bf16_supported():
        return "bfloat16", "the CPU has AVX-512 bfloat16"
    return "float32", "the CPU has no fast bfloat16"
