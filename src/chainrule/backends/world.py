"""The processes of one training, which launchers such as torchrun start with their places in the environment.

Each has a rank, from 0 on. What one of them asks of the others all must ask, in the same order.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any

from chainrule.arrays import Array
from chainrule.backprop import Parameters, Part

NAMED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""Variables of the environment by which torchrun tells a process its place."""


class World:
    """A training of one process, which is all there is. rank: this process's. size: how many there are."""

    rank = 0
    size = 1

    def own(self, n: int) -> slice:
        """This rank's of n rows: neighbours, as many as the other ranks have or one more."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def part(self, n: int) -> Part | None:
        """What this rank has of a batch of n rows, or None where it has all of them."""
        return Part(self.own(n).start, n, self.sum) if self.size > 1 else None

    def sum(self, array: Array) -> Array:
        """Over all ranks, the same bits on each; the array itself is overwritten."""
        return array

    def told(self, make: Callable[[], bytes]) -> bytes:
        """What rank 0 makes; the others make nothing."""
        return make()

    def exchange(self, value: Any) -> list[Any]:
        """The values of all ranks, in their order; plain ones, as JSON has them."""
        return [value]

    def largest(self, numbers: list[float]) -> list[float]:
        """At each place the largest over all ranks."""
        return numbers

    def device(self, asked: str) -> str:
        """The device that this rank computes on."""
        return asked

    def close(self) -> None:
        """Nothing is asked any more."""


ALONE = World()
"""The world of a training that one process does by itself."""


def size(environment: Mapping[str, str] = os.environ) -> int:
    """How many processes the launcher started; 1 where there was none."""
    named = all(environment.get(name) for name in NAMED)
    return int(environment["WORLD_SIZE"]) if named else 1


@contextmanager
def joined() -> Iterator[World]:
    """The world that the environment names, met by all its processes; raises a LostError where some do not come."""
    if size() == 1:
        yield ALONE
        return
    from chainrule.backends.torch_world import TorchWorld

    world = TorchWorld()
    try:
        yield world
    finally:
        world.close()  # gloo aborts a process that ends without


def summed(loss: Array, gradients: Parameters, part: Part, xp: Any, dtype: Any) -> tuple[Array, Parameters]:
    """Loss and gradients over all ranks, summed in `dtype` in one message."""
    arrays = [loss, *gradients.values()]
    flat = part.sum(xp.concat([xp.reshape(xp.astype(array, dtype), (-1,)) for array in arrays]))
    found, begin = [], 0
    for array in arrays:
        end = begin + prod(array.shape)
        found.append(xp.astype(xp.reshape(flat[begin:end], tuple(array.shape)), array.dtype, copy=False))
        begin = end
    return found[0], dict(zip(gradients, found[1:], strict=True))
