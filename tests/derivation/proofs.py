"""The numeric side of each step: what chainrule's `verify` is asked, and which gradient of the answer the step is about."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import chainrule as cr
from chainrule.seeds import stream
from chainrule.verify import Comparison

ROWS, N_IN, CLASSES = 7, 5, 4


class Proof(NamedTuple):
    """comparisons: by central differences among others. parameter: whose gradient the step derives."""

    comparisons: Callable[[], list[Comparison]]
    parameter: str


@cache
def network() -> list[Comparison]:
    """Two layers with loss and penalty."""
    rng = stream(0, "derivation")
    layers = (cr.Linear(6), cr.ReLU(), cr.Linear(CLASSES))
    x, target = rng.normal(size=(ROWS, N_IN)), rng.integers(0, CLASSES, ROWS)
    return cr.check_network(cr.Network(layers, N_IN), cr.SoftmaxCrossEntropy(), x, target, penalty=0.1)


@cache
def layer(built: cr.Layer, training: bool = True) -> list[Comparison]:
    """A layer alone."""
    return cr.check_layer(built, N_IN, training=training)


@cache
def cross_entropy() -> list[Comparison]:
    """The softmax cross-entropy of classes."""
    return cr.check_loss(cr.SoftmaxCrossEntropy(), CLASSES, stream(0, "derivation").integers(0, CLASSES, ROWS))


PROOFS: dict[str, Proof] = {
    "forward": Proof(network, "x"),
    "objective": Proof(network, "0.W"),
    "softmax-shift": Proof(cross_entropy, "logits"),
    "log-softmax": Proof(cross_entropy, "logits"),
    "softmax-gradient": Proof(cross_entropy, "logits"),
    "second-weights": Proof(lambda: layer(cr.Linear(3)), "W"),
    "penalty": Proof(network, "2.W"),
    "second-biases": Proof(network, "2.b"),
    "hidden-activations": Proof(lambda: layer(cr.Linear(3)), "x"),
    "hidden-mask": Proof(lambda: layer(cr.ReLU()), "x"),
    "first-weights": Proof(network, "0.W"),
    "chain-rule": Proof(network, "x"),
    "columns": Proof(network, "0.W"),
}
