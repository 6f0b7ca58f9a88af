"""Every built-in layer and loss, and a network that has one of each kind, checked at small widths."""

import numpy as np

import chainrule.layers as L  # noqa: N812
from chainrule.losses import Huber, Poisson, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from chainrule.network import Network
from chainrule.seeds import stream
from chainrule.verify.check import check_layer, check_loss, check_network
from chainrule.verify.comparisons import Comparison

_N, _K, _ROWS = 6, 4, 7

LAYERS = (
    L.Linear(4), L.Linear(4, bias=False), L.ReLU(), L.LeakyReLU(), L.Tanh(), L.Sigmoid(), L.GELU(), L.GELU("tanh"),
    L.SiLU(), L.SELU(), L.Mish(), L.Dropout(0.4), L.BatchNorm(), L.LayerNorm(),
    L.MemberLinear(4, 3, spread=True), L.MemberLinear(4, 3), L.PeriodicEmbedding(5, 3), L.SmoothClip(),
    L.Residual((L.LayerNorm(), L.Linear(12), L.GELU(), L.Linear(_N))), L.Embedding((3, 300), width=2),
)  # fmt: skip


def check_builtin(n_entries: int = 8) -> list[Comparison]:
    """The comparisons of all of them."""
    rng = stream(0, "check/builtin")
    comparisons = []
    for layer in LAYERS:
        for training in (True, False):
            comparisons += check_layer(layer, _N, training=training, n_entries=n_entries)
    labels, weight = rng.integers(0, _K, _ROWS), rng.uniform(0.5, 2.0, _ROWS)
    binary, numbers = rng.integers(0, 2, (_ROWS, _K)), rng.poisson(2.0, (_ROWS, _K)).astype(float)
    shares = rng.dirichlet(np.ones(_K), _ROWS)
    for loss, target in (
        (SoftmaxCrossEntropy(), labels),
        (SoftmaxCrossEntropy(label_smoothing=0.1), shares),
        (SigmoidCrossEntropy(), binary),
        (SquaredError(), numbers),
        (Huber(), numbers),
        (Poisson(), numbers),
    ):
        for w in (None, weight):
            comparisons += check_loss(loss, _K, target, w, n_entries=n_entries)
    body = L.Residual((L.Linear(8), L.BatchNorm(), L.SiLU()))
    network = Network((L.Linear(8), L.BatchNorm(), L.ReLU(), L.Dropout(0.3), body, L.LayerNorm(), L.Linear(_K)), _N)
    x = rng.normal(size=(_ROWS, _N))
    for training in (True, False):
        comparisons += check_network(network, SoftmaxCrossEntropy(), x, labels, weight, penalty=0.1, training=training,
                                  n_entries=n_entries)  # fmt: skip
    return comparisons
