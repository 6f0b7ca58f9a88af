"""Which rows make the batch of a step: a function of the seed and the step, with nothing to remember."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from chainrule.seeds import stream


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches of the training rows `of` (n,), each named by its row numbers in the data set.

    Without replacement each epoch visits every row once, in its own order; the last batch is smaller, and where it
    would be a single row it joins the one before. With replacement every batch is an independent draw and an epoch is
    n // size of them (the report's sampling).
    """

    of: NDArray[np.int64]
    size: int
    seed: int
    replacement: bool = False

    @cached_property
    def per_epoch(self) -> int:
        """Steps of one epoch."""
        full, rest = divmod(len(self.of), self.size)
        return max(full if self.replacement else full + (rest > 1), 1)

    def rows(self, step: int) -> NDArray[np.int64]:
        """Rows of the batch of `step`."""
        if self.replacement:
            return self.of[stream(self.seed, "shuffle", step).integers(len(self.of), size=self.size)]
        epoch, begin, end = self.place(step)
        return self.order(epoch)[begin:end]

    def place(self, step: int) -> tuple[int, int, int]:
        """The epoch of `step`, and where its batch begins and ends in the epoch's order."""
        epoch, place = divmod(step, self.per_epoch)
        begin = place * self.size
        return epoch, begin, len(self.of) if place == self.per_epoch - 1 else begin + self.size

    def n_rows(self, step: int) -> int:
        """Rows of the batch of `step`."""
        if self.replacement:
            return self.size
        _, begin, end = self.place(step)
        return end - begin

    def share(self, step: int) -> float:
        """Rows of the batch of `step` over the size of a full one."""
        return self.n_rows(step) / self.size

    @cached_property
    def order(self) -> Callable[[int], NDArray[np.int64]]:
        """All rows in the order in which an epoch visits them, (n,); that of the current one is kept."""

        def order(epoch: int) -> NDArray[np.int64]:
            return self.of[stream(self.seed, "shuffle", epoch).permutation(len(self.of))]

        return lru_cache(maxsize=2)(order)
