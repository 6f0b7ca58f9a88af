"""Moments and extremes of columns over rows that come a block at a time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NUMBERS = 2**17
"""Numbers widened at a time: in float64 they stay in the processor's cache."""


@dataclass(frozen=True, eq=False)
class Columns:
    """Of n rows: mean, sum of squared distances from it, minimum and maximum of each column, (n_columns,)."""

    n: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def variance(self) -> NDArray[np.float64]:
        """Biased, as `preprocessing.fit` has it."""
        return self.squares / self.n

    @property
    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and variance."""
        return self.mean, self.variance

    @property
    def extremes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Minimum and maximum."""
        return self.low, self.high

    def merged(self, other: "Columns") -> "Columns":
        """Of the rows of both. With δ the difference of the means: M = M₁ + M₂ + δ² n₁n₂/n, Σ likewise.

        Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance". Each part is centred on its own
        mean first, so that large means lose nothing, also where a column drifts through the files.
        """
        n = self.n + other.n
        distance = other.mean - self.mean
        return Columns(
            n,
            self.mean + distance * (other.n / n),
            self.squares + other.squares + distance**2 * (self.n * other.n / n),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
        )


def columns_of(X: NDArray[Any], before: Columns | None = None) -> Columns | None:
    """Of the rows of X (n, n_columns) and those before."""
    step = max(1, _NUMBERS // X.shape[1])
    for start in range(0, len(X), step):
        part = X[start : start + step]
        wide = part.astype(np.float64)
        mean = wide.mean(axis=0)
        wide -= mean
        here = Columns(len(part), mean, np.einsum("ij,ij->j", wide, wide),
                       part.min(axis=0).astype(np.float64), part.max(axis=0).astype(np.float64))  # fmt: skip
        before = here if before is None else before.merged(here)
    return before
