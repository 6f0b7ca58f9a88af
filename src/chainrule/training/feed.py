"""The training rows of a streamed set: a window of them on the device, the next one read beside the steps."""

from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.data.streaming import Scan, Windows
from chainrule.data.streaming.windows import Key
from chainrule.training.plan import Plan


class Window(NamedTuple):
    """Rows on the device in their own dtype, what the loss is given for them, and the order they are visited in."""

    key: Key
    X: Array
    targets: Array
    order: NDArray[np.int64]


class Feed:
    """Windows of rows, each a function of (seed, epoch, window). Open it as a context: its thread ends with it.

    Two are held, the one in use and the one that follows, in arrays that are filled again and again: memory is the
    same however many rows there are.
    """

    def __init__(self, plan: Plan, scan: Scan, windows: Windows) -> None:
        self.plan, self.scan, self.windows = plan, scan, windows
        longest = max(end - begin for begin, end in map(windows.bounds, range(windows.n_windows)))
        shards, y = scan.shards, scan.held.y
        self.spare = [(np.empty((longest, shards.n_features), shards.dtype), np.empty((longest, *y.shape[1:]), y.dtype))
                      for _ in range(2)]  # fmt: skip
        self.reader = ThreadPoolExecutor(1, "reading ahead")
        self.now: Window | None = None
        self.coming: tuple[Key, Future[tuple[NDArray[Any], NDArray[Any]]]] | None = None
        self.block: tuple[int, NDArray[Any], NDArray[Any]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What is being read is waited for."""
        self.reader.shutdown(wait=True)

    def at(self, step: int) -> tuple[Window, NDArray[np.int64]]:
        """The window that holds the batch of `step`, and the batch's rows in it."""
        key, begin, end = self.windows.at(step)
        if self.now is None or self.now.key != key:
            self.now = self._turned_to(key)
        return self.now, self.now.order[begin:end]

    def _turned_to(self, key: Key) -> Window:
        """Every step on the window before is done, so the next but one is read into its arrays."""
        if self.coming is None or self.coming[0] != key:  # the first, or a run that went back
            if self.coming is not None:
                self.coming[1].result()
            self._begin(key)
        X, y = self.coming[1].result()  # type: ignore[index]
        after, backend, plan = self.windows.after(key), self.plan.backend, self.plan
        if self.windows.first_step(after) < plan.n_steps:
            self._begin(after)
        return Window(key, backend.array(X), plan.on_device(y), self.windows.order(key))

    def _begin(self, key: Key) -> None:
        self.spare.reverse()
        self.coming = key, self.reader.submit(self._filled, key, *self.spare[0])

    def _filled(self, key: Key, X: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The rows of a window, written into X and y."""
        n = 0
        for block, start, stop in self.windows.pieces(key):
            rows, targets = self._block(block)
            end = n + stop - start
            X[n:end], y[n:end] = rows[start:stop], targets[start:stop]
            n = end
        return X[:n], y[:n]

    def _block(self, i: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """The training rows of a block; the last one is kept, as a window may end in it and the next one begin."""
        if self.block is None or self.block[0] != i:
            self.block = None
            X, y = self.scan.shards.read(i)
            if self.scan.counts[i] < len(X):
                kept = self.scan.kept(i)
                X, y = X[kept], y[kept]
            self.block = i, X, y
        return self.block[1:]
