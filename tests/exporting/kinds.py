"""Kinds of network, with arrays as training may leave them, and rows to hold them against each other."""

from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.data.preprocessing import Affine, identity
from chainrule.losses import Loss

CLASSES = ("cat", "dog", 'Gänse, "wild" <b>')


def made(layers: Any, *, n_in: int = 20, loss: Loss | None = None, preprocessing: Affine | None = None,
         target: Affine | None = None, dtype: Any = np.float32, **about: Any) -> cr.Model:  # fmt: skip
    loss = loss or cr.SoftmaxCrossEntropy()
    names = CLASSES if loss.task != "regression" else ("price", "age", "size")
    network = cr.Network(layers).sized(n_in, len(names))
    draw = np.random.default_rng(0)
    parameters = {}
    for name, value in network.initial(1).items():
        value = value + draw.normal(0, 0.1, value.shape)
        parameters[name] = (np.abs(value) if name.endswith("variance") else value).astype(dtype)
    scale = Affine(draw.normal(3, 2, n_in), draw.uniform(0.2, 3, n_in))
    return cr.Model(network, parameters, loss, loss.task, preprocessing or scale, target or identity(len(names)), names,
                    **about)  # fmt: skip


def hidden(activation: cr.Layer) -> tuple[cr.Layer, ...]:
    return (cr.Linear(30), activation, cr.Linear(16), activation, cr.Linear())


def members(*between: cr.Layer) -> tuple[cr.Layer, ...]:
    return (cr.MemberLinear(12, 4, spread=True), *between, cr.MemberLinear(8, 4), *between, cr.MemberLinear(None, 4))


def deep() -> cr.Model:
    block = cr.Residual((cr.LayerNorm(), cr.Linear(24), cr.SiLU(), cr.Dropout(0.2), cr.Linear(24)))
    outer = cr.Residual((cr.BatchNorm(), cr.Residual((cr.Linear(24), cr.Tanh()))))
    return made((cr.Linear(24), block, block, outer, cr.LayerNorm(epsilon=1e-3), cr.Linear()))


def images() -> cr.Model:
    pixels = Affine(np.full(192, 120.7), np.full(192, 1 / 61.3))
    return made((cr.Linear(50), cr.ReLU(), cr.Linear()), n_in=192, preprocessing=pixels, row_shape=(3, 8, 8))


def years() -> cr.Model:
    """float32 holds the column 0 to a thirtieth of a second; its mean in float32 would be off by more."""
    shift = np.array([2010.3371, 40.0])
    return made(
        hidden(cr.ReLU()), n_in=2, preprocessing=Affine(shift, np.array([1 / 5.1, 0.1])), feature_names=("a", "b")
    )


def regression() -> cr.Model:
    target = Affine(np.array([300_000.0, 40.0, 1e-3]), 1 / np.array([90_000.0, 12.0, 1e-4]))
    return made(hidden(cr.ReLU()), loss=cr.SquaredError(), target=target)


def poisson() -> cr.Model:
    model = made(hidden(cr.Tanh()), loss=cr.Poisson())
    model.parameters["4.b"][2] = 55.0  # beyond the knee
    return model


KINDS: dict[str, Callable[[], cr.Model]] = {
    "linear": lambda: made((cr.Linear(),)),
    "relu without bias": lambda: made((cr.Linear(30, bias=False), cr.ReLU(), cr.Linear(bias=False))),
    "leaky relu": lambda: made(hidden(cr.LeakyReLU(0.2))),
    "tanh": lambda: made(hidden(cr.Tanh())),
    "sigmoid, multilabel": lambda: made(hidden(cr.Sigmoid()), loss=cr.SigmoidCrossEntropy()),
    "gelu": lambda: made(hidden(cr.GELU())),
    "gelu by tanh": lambda: made(hidden(cr.GELU("tanh"))),
    "silu": lambda: made(hidden(cr.SiLU())),
    "selu": lambda: made(hidden(cr.SELU())),
    "mish": lambda: made(hidden(cr.Mish())),
    "batch norm and dropout": lambda: made(
        (cr.Linear(30), cr.BatchNorm(0.2, 1e-3), cr.ReLU(), cr.Dropout(0.4), cr.Linear(9), cr.BatchNorm(), cr.Linear())
    ),
    "layer norm": lambda: made((cr.LayerNorm(), cr.Linear(30), cr.LayerNorm(1e-6), cr.GELU(), cr.Linear())),
    "residual blocks": deep,
    "images": images,
    "far from 0": years,
    "regression": regression,
    "huber": lambda: made(hidden(cr.ReLU()), loss=cr.Huber()),
    "poisson": poisson,
    "members": lambda: made(members(cr.ReLU(), cr.BatchNorm())),
    "members, multilabel": lambda: made(members(cr.Tanh()), loss=cr.SigmoidCrossEntropy()),
    "members, regression": lambda: made(
        members(cr.GELU()), loss=cr.SquaredError(), target=Affine(np.array([300.0, 40.0, 1e-3]), np.array([0.1, 1.0, 9.0]))
    ),
    "members, poisson": lambda: made(members(cr.Tanh()), loss=cr.Poisson()),
    "members of embedded features": lambda: made(
        (cr.SmoothClip(2.0), cr.PeriodicEmbedding(5, 3, std=0.5), *members(cr.ReLU()))
    ),
    "embedded features": lambda: made((cr.SmoothClip(), cr.PeriodicEmbedding(4, 2), *hidden(cr.ReLU()))),
    "float64": lambda: made(hidden(cr.GELU()), dtype=np.float64, preprocessing=identity(20)),
}  # fmt: skip


def rows(model: cr.Model, n: int) -> np.ndarray:
    """Rows as the training's may have been, in float32."""
    z = np.random.default_rng(n).normal(size=(n, model.network.widths[0]))
    return model.preprocessing.back(z).astype(np.float32)


class Square(cr.Layer):
    def forward(self, parameters, x, context):
        return x * x, lambda dy: (2 * x * dy, {})


def own() -> cr.Model:
    return made((cr.Linear(5), Square(), cr.Residual((Square(),)), cr.Linear()))
