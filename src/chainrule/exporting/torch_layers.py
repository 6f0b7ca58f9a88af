"""What PyTorch has no module for. The source of these classes also goes into an exported `model.py`."""

import math

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


class MemberLinear(nn.Module):
    """y = ((x · r) W) · s + b for each of k members, whose columns stand side by side; x may be rows for all."""

    def __init__(self, n_in: int, n_out: int, k: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.zeros(n_in, n_out))
        self.r = nn.Parameter(torch.ones(k, n_in))
        self.s = nn.Parameter(torch.ones(k, n_out))
        self.b = nn.Parameter(torch.zeros(k, n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows (batch, n_in) or (batch, k n_in) to rows (batch, k n_out)."""
        x = x.unflatten(1, (-1, self.W.shape[0])) * self.r
        return (x @ self.W * self.s + self.b).flatten(1)


class PeriodicEmbedding(nn.Module):
    """Each feature as (x, cos(2π x ν + φ) W + b), d numbers in the place of one."""

    def __init__(self, n: int, m: int, d: int) -> None:
        super().__init__()
        self.nu = nn.Parameter(torch.zeros(n, m))
        self.phi = nn.Parameter(torch.zeros(n, m))
        self.W = nn.Parameter(torch.zeros(n, m, d - 1))
        self.b = nn.Parameter(torch.zeros(n, d - 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows (batch, n) to rows (batch, n d)."""
        waves = torch.cos(2 * math.pi * x.unsqueeze(2) * self.nu + self.phi)
        e = torch.einsum("bnm,nmd->bnd", waves, self.W) + self.b
        return torch.cat([x.unsqueeze(2), e], 2).flatten(1)


class SmoothClip(nn.Module):
    """y = x / √(1 + (x / c)²)."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows (batch, n) to rows (batch, n)."""
        return x / torch.sqrt(1 + (x / self.limit) ** 2)


class MeanOfMembers(nn.Module):
    """Logits, or log rates, of the mean of what k members predict; for numbers, the mean itself."""

    def __init__(self, k: int, link: str) -> None:
        super().__init__()
        self.k, self.link = k, link

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows (batch, k n) to rows (batch, n)."""
        x = x.unflatten(1, (self.k, -1))
        if self.link == "softmax":
            return x.log_softmax(-1).logsumexp(1) - math.log(self.k)
        if self.link == "sigmoid":
            return nn.functional.logsigmoid(x).logsumexp(1) - nn.functional.logsigmoid(-x).logsumexp(1)
        if self.link == "log":
            return x.logsumexp(1) - math.log(self.k)
        return x.mean(1)
