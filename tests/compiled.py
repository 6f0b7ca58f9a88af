"""Backends with compiled kernels, for the tests of what is in C."""

import pytest

from chainrule.backends import Backend, Compute, choose
from chainrule.kernels import library

WAYS = [("numpy", "float32", 1), ("torch", "float32", 1), ("torch", "float32", 2), ("torch", "bfloat16", 2)]


def compiled(backend: str, precision: str, threads: int) -> Backend:
    """Skips the test where nothing can be compiled."""
    if library(threaded=False) is None:
        pytest.skip("no C compiler here")
    made = choose(Compute(backend=backend, precision=precision, threads=threads, device="cpu"), 0.0, 1e9)
    assert made.kernels is not None
    return made
