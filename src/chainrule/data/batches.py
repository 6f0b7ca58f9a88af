"""Which rows make the batch of a step: a function of the seed and the step, with nothing to remember."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from chainrule.seeds import stream


class Cut(ABC):
    """An epoch's rows cut into batches of `size`, one after the other.

    The last batch is smaller, and where it would be a single row it joins the one before. With replacement every batch
    is full.
    """

    size: int
    replacement: bool

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """Training rows: those of one epoch."""

    @cached_property
    def per_epoch(self) -> int:
        """Steps of one epoch."""
        full, rest = divmod(self.n_rows, self.size)
        return max(full if self.replacement else full + (rest > 1), 1)

    def place(self, step: int) -> tuple[int, int, int]:
        """The epoch of `step`, and where its batch begins and ends in the epoch's order."""
        epoch, place = divmod(step, self.per_epoch)
        begin = place * self.size
        return epoch, begin, self.n_rows if place == self.per_epoch - 1 else begin + self.size

    def size_of(self, step: int) -> int:
        """Rows of the batch of `step`."""
        if self.replacement:
            return self.size
        _, begin, end = self.place(step)
        return end - begin

    def share(self, step: int) -> float:
        """Rows of the batch of `step` over the size of a full one."""
        return self.size_of(step) / self.size

    def shares(self, begin: int, end: int) -> float:
        """The sum of the shares of the steps from `begin` to before `end`."""
        last = end // self.per_epoch - begin // self.per_epoch  # batches that end an epoch
        return end - begin + last * (self.share(self.per_epoch - 1) - 1)


@dataclass(frozen=True, eq=False)
class Batches(Cut):
    """Batches of the training rows `of` (n,), each named by its row numbers in the data set.

    Without replacement each epoch visits every row once, in its own order. With replacement every batch is an
    independent draw and an epoch is n // size of them (the report's sampling).
    """

    of: NDArray[np.int64]
    size: int
    seed: int
    replacement: bool = False

    @property
    def n_rows(self) -> int:
        """Rows of `of`."""
        return len(self.of)

    def rows(self, step: int) -> NDArray[np.int64]:
        """Rows of the batch of `step`."""
        if self.replacement:
            return self.of[stream(self.seed, "shuffle", step).integers(len(self.of), size=self.size)]
        epoch, begin, end = self.place(step)
        return self.order(epoch)[begin:end]

    @cached_property
    def order(self) -> Callable[[int], NDArray[np.int64]]:
        """All rows in the order in which an epoch visits them, (n,); that of the current one is kept."""

        def order(epoch: int) -> NDArray[np.int64]:
            return self.of[stream(self.seed, "shuffle", epoch).permutation(len(self.of))]

        return lru_cache(maxsize=3)(order)  # the next one may be asked for before this one's last batch
