"""What is trained: three networks on random data of the right shape, and the order of the batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

N_CLASSES = 10


@dataclass(frozen=True)
class Case:
    """A network, its data and its rule. penalty: λ of λ Σ‖W‖². decay: AdamW's. threads: None takes those asked for."""

    name: str
    n_in: int
    hidden: tuple[int, ...]
    batch: int
    rows: int
    rule: Literal["sgd", "adam", "adamw"]
    dtype: Literal["uint8", "float32"] = "uint8"
    lr: float = 1e-3
    penalty: float = 0.0
    decay: float = 0.0
    norm: bool = False
    dropout: float = 0.0
    threads: int | None = None

    @property
    def widths(self) -> tuple[int, ...]:
        return (self.n_in, *self.hidden, N_CLASSES)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(n_in, n_out) of each linear layer."""
        return list(zip(self.widths, self.widths[1:], strict=False))

    @property
    def n_parameters(self) -> int:
        linear = sum(n_in * n_out + n_out for n_in, n_out in self.pairs)
        return linear + 2 * self.norm * sum(self.hidden)

    def __str__(self) -> str:
        block = "batch norm, ReLU" if self.norm else "ReLU"
        parts = [
            "-".join(map(str, self.widths)),
            block + (f", dropout {self.dropout}" if self.dropout else ""),
            f"batch {self.batch}",
            {"sgd": "plain SGD", "adam": "Adam", "adamw": "AdamW"}[self.rule]
            + (f", λ {self.penalty:g}" if self.penalty else ""),
            f"{self.rows:,} rows of {self.dtype}",
        ]
        return f"{self.name}: " + "; ".join(parts)


CASES = {
    "A": Case("A", 3072, (350,), 200, 50_000, "sgd", penalty=1e-4),
    "B": Case("B", 3072, (2000, 700), 256, 50_000, "adamw", decay=0.01, norm=True, dropout=0.4),
    "C": Case("C", 64, (100,), 32, 1_797, "adam", dtype="float32", threads=1),
}


@dataclass(frozen=True, eq=False)
class Data:
    """X (rows, n_in) as kept, y (rows,), and the preprocessing (x - shift)·scale in float32, (n_in,) each."""

    X: NDArray[Any]
    y: NDArray[np.int64]
    shift: NDArray[np.float32]
    scale: NDArray[np.float32]

    def prepared(self, n: int) -> NDArray[np.float32]:
        """The first n rows, preprocessed once: what is given to those who take float32."""
        return (self.X[:n].astype(np.float32) - self.shift) * self.scale


def noise(case: Case) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """X and y."""
    rng = np.random.default_rng(0)
    shape = (case.rows, case.n_in)
    X = rng.integers(0, 256, shape, np.uint8) if case.dtype == "uint8" else rng.normal(size=shape).astype(np.float32)
    return X, rng.integers(0, N_CLASSES, case.rows)


def batches(case: Case, *, drop_last: bool = False) -> Iterator[NDArray[np.int64]]:
    """Rows of one batch after the other, each epoch in a new order, its last batch smaller or dropped; for ever."""
    rng = np.random.default_rng(1)
    end = case.rows - case.rows % case.batch if drop_last else case.rows
    while True:
        order = rng.permutation(case.rows)
        for begin in range(0, end, case.batch):
            yield order[begin : min(begin + case.batch, end)]
