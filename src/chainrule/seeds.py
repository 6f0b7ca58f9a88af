"""One seed gives independent named streams of random numbers, each addressed by counters.

A stream is a Philox generator whose key is a hash of (seed, name) and whose counter starts at `position`. Nothing is
carried from one draw to the next, so any step of a run can be repeated without having run the steps before it.
"""

from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=4096)
def key(seed: int, name: str) -> NDArray[np.uint64]:
    """Two words, the Philox key of stream `name` of `seed`."""
    return np.frombuffer(blake2b(f"{seed}/{name}".encode(), digest_size=16).digest(), dtype="<u8").astype(np.uint64)


def bits(seed: int, name: str, position: int = 0, block: int = 0) -> np.random.Philox:
    """The bit generator of stream `name` of `seed` at `position` (an epoch, a step, a parameter's index).

    block: of four words, from which it begins.
    """
    return np.random.Philox(key=key(seed, name), counter=[block, 0, 0, position])


def stream(seed: int, name: str, position: int = 0) -> np.random.Generator:
    """Stream `name` of `seed` at `position`.

    >>> stream(7, "shuffle", 2).permutation(4).tolist() == stream(7, "shuffle", 2).permutation(4).tolist()
    True
    """
    return np.random.Generator(bits(seed, name, position))
