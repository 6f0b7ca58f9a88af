"""Layers of a user's own that bring no pullback, which only torch can train: each is tried on two rows."""

from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from chainrule.backends.choice import Compute, choose
from chainrule.backprop import Layer
from chainrule.layers import Residual
from chainrule.network.network import initial_values, kind_of
from chainrule.seeds import stream
from chainrule.spec import is_own


def derived(layers: Sequence[Layer], n_in: int) -> tuple[str, ...]:
    """Names of the layers, in residual blocks too, whose forward brings no pullback; only a user's own can be such."""
    names: tuple[str, ...] = ()
    for layer in layers:
        if isinstance(layer, Residual):
            names += derived(layer.body, n_in)
        elif is_own(layer) and not _brings_one(layer, n_in):
            names += (kind_of(layer),)
        n_in = layer.n_out(n_in)
    return names


def _brings_one(layer: Layer, n_in: int) -> bool:
    """Tried on NumPy, and on torch where that fails; what neither can run is left to `audit`, which names it."""
    for name in ("numpy", "torch") if find_spec("torch") else ("numpy",):
        with suppress(Exception):
            return isinstance(_try(layer, n_in, name), tuple)
    return True


def _try(layer: Layer, n_in: int, name: Any) -> Any:
    backend = choose(Compute(name, "cpu", "float64"), 0.0)
    with backend.scope():
        parameters = backend.parameters(initial_values(layer.parameters(n_in), 0))
        x = backend.array(layer.example(stream(0, "derived"), 2, n_in), backend.dtype)
        return layer.forward(parameters, x, backend.context(training=True))
