"""What PyTorch has no module for. The source of these classes also goes into an exported `model.py`."""

import torch
from torch import nn


class Affine(nn.Module):
    """y = (x - shift)·scale on n columns; `rest` is what the rounding of shift left out."""

    shift: torch.Tensor
    rest: torch.Tensor
    scale: torch.Tensor

    def __init__(self, n: int) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(n))
        self.register_buffer("rest", torch.zeros(n))
        self.register_buffer("scale", torch.ones(n))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows (batch, n), or images (batch, ...) of n numbers, of any dtype; float64 is rounded after it is scaled."""
        x = x.flatten(1) if x.dtype == torch.float64 else x.flatten(1).to(self.shift.dtype)
        return ((x - self.shift - self.rest) * self.scale).to(self.shift.dtype)


class Residual(nn.Module):
    """y = x + body(x)."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows (batch, n) to rows (batch, n)."""
        return x + self.body(x)
