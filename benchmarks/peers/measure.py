"""Time of one step, by the same clock for all, and rounds in which all take their turn."""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter, sleep
from typing import Any

PAUSE = 0.1
"""Seconds between two contestants. NumPy's threads and PyTorch's go on spinning for some milliseconds after their last
product, OpenBLAS's for some tens; within this pause both have gone to sleep."""


@dataclass(frozen=True)
class Contestant:
    """run: does steps for so many seconds and says how many milliseconds one took, by name."""

    name: str
    run: Callable[[float], dict[str, float]]


class Skipped(Exception):  # noqa: N818
    """Why a contestant does not take part."""


def stepping(
    name: str,
    step: Callable[[], Any],
    scope: Callable[[], AbstractContextManager[Any]] = nullcontext,
    wait: Callable[[Any], Any] = lambda _: None,
) -> Contestant:
    """A contestant that can be asked for one step at a time. wait: until what a step returned is there."""

    def run(seconds: float) -> dict[str, float]:
        with scope():
            begin, n = perf_counter(), 0
            while n < 2 or perf_counter() - begin < seconds / 10:  # warm-up
                last, n = step(), n + 1
            wait(last)
            begin, n = perf_counter(), 0
            while n < 3 or perf_counter() - begin < seconds:
                last, n = step(), n + 1
            wait(last)
            return {name: 1e3 * (perf_counter() - begin) / n}

    return Contestant(name, run)


def calling(name: str, call: Callable[[], int], scope: Callable[[], AbstractContextManager[Any]],
            wait: Callable[[], Any]) -> Contestant:  # fmt: skip
    """A contestant that does several steps in a call, and says how many. wait: until they are done."""

    def run(seconds: float) -> dict[str, float]:
        with scope():
            begin = perf_counter()
            while perf_counter() - begin < seconds / 10:  # warm-up
                call()
            wait()
            begin, n = perf_counter(), call()
            while perf_counter() - begin < seconds:
                n += call()
            wait()
            return {name: 1e3 * (perf_counter() - begin) / n}

    return Contestant(name, run)


def fitting(name: str, fit: Callable[[int], Any], steps_per_epoch: int) -> Contestant:
    """A contestant that can only be asked for whole epochs: the time of a fit over its steps."""
    epochs = 2

    def run(seconds: float) -> dict[str, float]:
        nonlocal epochs
        while True:
            begin = perf_counter()
            fit(epochs)
            took = perf_counter() - begin
            if took >= 0.8 * seconds:
                return {name: 1e3 * took / (epochs * steps_per_epoch)}
            epochs = max(2 * epochs, int(1.2 * epochs * seconds / took))

    return Contestant(name, run)


def rounds(contestants: Sequence[Contestant], n: int, seconds: float) -> dict[str, list[float]]:
    """Milliseconds a step, by name and round. Each round begins with another contestant."""
    times: dict[str, list[float]] = {}
    for k in range(n):
        first = k % len(contestants)
        for contestant in (*contestants[first:], *contestants[:first]):
            sleep(PAUSE)
            for name, ms in contestant.run(seconds).items():
                times.setdefault(name, []).append(ms)
        if sys.stderr.isatty():
            print(f"  round {k + 1} of {n}", end="\r" if k + 1 < n else "\n", file=sys.stderr, flush=True)
    return times
