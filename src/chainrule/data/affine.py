"""The affine preprocessing, x ↦ (x - shift)·scale."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset
from chainrule.data.tables import Table


@dataclass(frozen=True, eq=False)
class Affine:
    """x ↦ (x - shift)·scale, shift and scale (n,). constant: the columns whose training rows were all equal.

    Equal are numbers that differ by rounding alone, or by so little that the scale would overflow. Whole numbers up to
    2^64 do not differ by rounding: they are equal where float64 does not tell them apart. A constant column is shifted
    to 0 and left unscaled; beyond 1e12 it is scaled so that what the shift leaves, by rounding, is below 1.
    """

    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    constant: tuple[int, ...] = ()

    def __call__(self, x: Any) -> Any:
        """Apply to x (..., n)."""
        return (x - self.shift) * self.scale

    @property
    def n_in(self) -> int:
        """Columns that it takes, and gives."""
        return len(self.shift)

    @property
    def n_out(self) -> int:
        """The same."""
        return len(self.shift)

    @property
    def embedded(self) -> tuple[int, ...]:
        """Columns that are given as codes: none."""
        return ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of embedded columns: none."""
        return ()

    @property
    def on_device(self) -> "Affine":
        """What is done batch by batch: all of it."""
        return self

    def on_host(self, rows: Dataset | Table, dtype: Any) -> NDArray[Any]:  # noqa: ARG002
        """What is done once, before the rows go to the device: nothing, so that bytes travel as bytes."""
        return rows.X

    def back(self, x: Any) -> Any:
        """Undo: x/scale + shift."""
        return x / self.scale + self.shift


def counted(x: NDArray[Any]) -> bool:
    """Whether x are whole numbers of a size that integers have; beyond 2^64 every number is whole by rounding."""
    return bool(((x == np.floor(x)) & (np.abs(x) <= 2.0**64)).all())


def identity(n: int) -> Affine:
    """x ↦ x on n columns."""
    return Affine(np.zeros(n), np.ones(n))
