"""The numeric side of each step: what chainrule's `verify` is asked, and which gradient of the answer the step is about."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

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
def loss(kind: str, weighted: bool = False) -> list[Comparison]:
    """A loss alone."""
    rng = stream(0, "derivation/loss")
    labels, shares = rng.integers(0, CLASSES, ROWS), rng.dirichlet(np.ones(CLASSES), ROWS)
    counts = rng.poisson(2.0, (ROWS, CLASSES)).astype(float)
    built, target = {
        "classes": (cr.SoftmaxCrossEntropy(), labels),
        "smoothed": (cr.SoftmaxCrossEntropy(label_smoothing=0.1), shares),
        "sigmoid": (cr.SigmoidCrossEntropy(), shares),
        "squared": (cr.SquaredError(), counts),
        "huber": (cr.Huber(), counts),
        "poisson": (cr.Poisson(), counts),
    }[kind]
    return cr.check_loss(built, CLASSES, target, rng.uniform(0.5, 2.0, ROWS) if weighted else None)


def of_layer(built: cr.Layer, parameter: str = "x", training: bool = True) -> Proof:
    return Proof(lambda: layer(built, training), parameter)


def of_loss(kind: str, weighted: bool = False) -> Proof:
    return Proof(lambda: loss(kind, weighted), "logits")


PROOFS: dict[str, Proof] = {
    "forward": Proof(network, "x"),
    "objective": Proof(network, "0.W"),
    "softmax-shift": of_loss("classes"),
    "log-softmax": of_loss("classes"),
    "softmax-gradient": of_loss("classes"),
    "second-weights": of_layer(cr.Linear(3), "W"),
    "penalty": Proof(network, "2.W"),
    "second-biases": Proof(network, "2.b"),
    "hidden-activations": of_layer(cr.Linear(3)),
    "hidden-mask": of_layer(cr.ReLU()),
    "first-weights": Proof(network, "0.W"),
    "chain-rule": Proof(network, "x"),
    "columns": Proof(network, "0.W"),
    "relu": of_layer(cr.ReLU()),
    "leaky-relu": of_layer(cr.LeakyReLU()),
    "tanh": of_layer(cr.Tanh()),
    "sigmoid": of_layer(cr.Sigmoid()),
    "gelu": of_layer(cr.GELU()),
    "gelu-tanh": of_layer(cr.GELU("tanh")),
    "silu": of_layer(cr.SiLU()),
    "selu": of_layer(cr.SELU()),
    "mish": of_layer(cr.Mish()),
    "smooth-clip": of_layer(cr.SmoothClip()),
    "batch-norm": of_layer(cr.BatchNorm()),
    "scale-and-shift": of_layer(cr.BatchNorm(), "gamma"),
    "standardisation": of_layer(cr.BatchNorm()),
    "running-statistics": of_layer(cr.BatchNorm(), training=False),
    "batch-norm-evaluation": of_layer(cr.BatchNorm(), training=False),
    "layer-norm": of_layer(cr.LayerNorm()),
    "dropout": of_layer(cr.Dropout(0.4)),
    "embedding": of_layer(cr.Embedding((3, 5), width=2), "E"),
    "residual": of_layer(cr.Residual((cr.Linear(N_IN), cr.Tanh()))),
    "periodic-embedding": of_layer(cr.PeriodicEmbedding(5, 3), "nu"),
    "members": of_layer(cr.MemberLinear(3, 2, spread=True), "W"),
    "label-smoothing": of_loss("smoothed"),
    "sample-weights": of_loss("classes", weighted=True),
    "sigmoid-cross-entropy": of_loss("sigmoid"),
    "squared-error": of_loss("squared"),
    "huber": of_loss("huber"),
    "poisson": of_loss("poisson"),
}
