"""Which rows make the batch of a step: a function of the seed and the step, with nothing to remember."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from chainrule.seeds import stream


@dataclass(frozen=True)
class Batches:
    """Batches of positions 0..n-1 among the training rows.

    Without replacement each epoch visits every row once, in its own order; the last batch is smaller, and where it
    would be a single row it joins the one before. With replacement every batch is an independent draw and an epoch is
    n // size of them (the report's sampling).
    """

    n: int
    size: int
    seed: int
    replacement: bool = False

    @property
    def per_epoch(self) -> int:
        """Steps of one epoch."""
        full, rest = divmod(self.n, self.size)
        return max(full if self.replacement else full + (rest > 1), 1)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Positions in the order in which `epoch` visits them, (n,)."""
        return _order(self.n, self.seed, epoch)

    def rows(self, step: int) -> NDArray[np.int64]:
        """Positions of the batch of `step`."""
        if self.replacement:
            return stream(self.seed, "shuffle", step).integers(self.n, size=self.size)
        epoch, place = divmod(step, self.per_epoch)
        order = self.order(epoch)
        end = None if place == self.per_epoch - 1 else (place + 1) * self.size
        return order[place * self.size : end]


@lru_cache(maxsize=4)
def _order(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    return stream(seed, "shuffle", epoch).permutation(n)
