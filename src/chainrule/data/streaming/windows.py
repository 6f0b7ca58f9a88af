"""The shuffle of a streamed set: blocks in random order, their rows mixed within windows.

A function of the seed and the step.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.data.batches import Cut
from chainrule.seeds import stream

FEW_BLOCKS = 16
"""Fewer in a window leave classes that lie together in the files visibly together in a batch: docs/streaming.md."""


class Piece(NamedTuple):
    """Training rows `start` to `stop` of a block, counted among its training rows."""

    block: int
    start: int
    stop: int


class Key(NamedTuple):
    """A window of an epoch."""

    epoch: int
    window: int


@dataclass(frozen=True, eq=False)
class Windows(Cut):
    """Batches of rows that are read in blocks of `counts` training rows, (n_blocks,).

    Each epoch visits every row once: it puts the blocks into a random order, cuts the rows in that order into windows
    of `window` rows, a multiple of `size`, and permutes each window. So a batch is drawn from the blocks of one window.
    """

    counts: NDArray[np.int64]
    size: int
    seed: int
    window: int

    replacement: ClassVar[bool] = False  # type: ignore[misc]

    @property
    def n_rows(self) -> int:
        """Of all blocks."""
        return int(self.counts.sum())

    @property
    def n_windows(self) -> int:
        """Of an epoch; a last window of one row joins the one before, as its batch does."""
        return max(1, ceil((self.n_rows - 1) / self.window))

    @property
    def described(self) -> str:
        """What the shuffle is, for its reader."""
        n, mixed = len(self.counts), max(1, round(len(self.counts) / self.n_windows))
        text = (
            f"streamed: {self.n_rows:,} training rows in {n:,} blocks, shuffled in {self.n_windows:,} windows of "
            f"{min(self.window, self.n_rows):,} rows from about {mixed:,} blocks each"
        )
        few = self.n_windows > 1 and mixed < FEW_BLOCKS
        return f"{text}; so few mix badly: write smaller row groups, or raise data.stream.window_mb" if few else text

    def bounds(self, window: int) -> tuple[int, int]:
        """Where a window begins and ends in the epoch's order of rows."""
        begin = window * self.window
        return begin, self.n_rows if window == self.n_windows - 1 else begin + self.window

    def at(self, step: int) -> tuple[Key, int, int]:
        """The window that the batch of `step` is in, and where it begins and ends in the window's order."""
        epoch, begin, end = self.place(step)
        window = min(begin // self.window, self.n_windows - 1)
        first = self.bounds(window)[0]
        return Key(epoch, window), begin - first, end - first

    def after(self, key: Key) -> Key:
        """The window that follows."""
        return Key(key.epoch, key.window + 1) if key.window + 1 < self.n_windows else Key(key.epoch + 1, 0)

    def first_step(self, key: Key) -> int:
        """The step whose batch is a window's first."""
        return key.epoch * self.per_epoch + key.window * (self.window // self.size)

    def pieces(self, key: Key) -> Iterator[Piece]:
        """What a window is made of, in the epoch's order of blocks."""
        blocks = stream(self.seed, "shuffle", key.epoch).permutation(len(self.counts))
        ends = np.cumsum(self.counts[blocks])
        begin, end = self.bounds(key.window)
        for i in range(int(np.searchsorted(ends, begin, side="right")), len(blocks)):
            first = int(ends[i] - self.counts[blocks[i]])
            if first >= end:
                return
            yield Piece(int(blocks[i]), max(begin - first, 0), min(end, int(ends[i])) - first)

    def order(self, key: Key) -> NDArray[np.int64]:
        """The rows of a window in the order in which they are visited, counted as `pieces` has them."""
        begin, end = self.bounds(key.window)
        return stream(self.seed, f"shuffle/{key.epoch}", key.window).permutation(end - begin)


def windowed(counts: NDArray[np.int64], size: int, seed: int, most: int) -> Windows:
    """Batches of `size` from windows of about `most` rows, all of about the same length."""
    n_windows = max(1, ceil(int(counts.sum()) / max(most, size)))
    window = ceil(int(counts.sum()) / n_windows / size) * size
    return Windows(counts, size, seed, window)
