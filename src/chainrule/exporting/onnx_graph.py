"""A network as nodes of an ONNX graph, opset 18: each layer in evaluation mode, the equations of its file."""

from collections.abc import Sequence
from math import pi, sqrt
from typing import Any

import numpy as np

from chainrule.backprop import Layer
from chainrule.data import Preparation, Preprocessing
from chainrule.data.preprocessing import Affine
from chainrule.exporting.built_in import Arrays, is_identity, own_arrays
from chainrule.exporting.onnx_nodes import Graph
from chainrule.exporting.onnx_table import embedding, prepared_table
from chainrule.layers import (
    GELU,
    SELU,
    BatchNorm,
    Dropout,
    Embedding,
    LayerNorm,
    LeakyReLU,
    Linear,
    Mish,
    ReLU,
    Residual,
    Sigmoid,
    SiLU,
    Tanh,
)  # fmt: skip
from chainrule.losses import Loss, Poisson, SigmoidCrossEntropy, SoftmaxCrossEntropy

OPSET = 18
IR = 8
_SIMPLE: dict[type[Layer], str] = {ReLU: "Relu", Tanh: "Tanh", Sigmoid: "Sigmoid", SELU: "Selu", Mish: "Mish"}


def prepared(graph: Graph, affine: Preprocessing, x: str, dtype: Any) -> str:
    """(x - shift)·scale in float32. In float32 the shift is two numbers, so that its rounding costs nothing."""
    from onnx import TensorProto

    if isinstance(affine, Preparation):
        return prepared_table(graph, affine, x, dtype)
    if not is_identity(affine):
        shift, scale = affine.shift.astype(dtype), affine.scale.astype(dtype)
        rest = (affine.shift - shift).astype(dtype)
        x = graph.op("Sub", x, graph.constant("preprocessing.shift", shift), to="shifted")
        if np.abs(rest * affine.scale).max() > 1e-7:
            x = graph.op("Sub", x, graph.constant("preprocessing.rest", rest), to="shifted exactly")
        x = graph.op("Mul", x, graph.constant("preprocessing.scale", scale), to="prepared")
    return x if dtype == np.float32 else graph.cast(x, TensorProto.FLOAT, "prepared in float32")


def chain(graph: Graph, layers: Sequence[Layer], arrays: Arrays, x: str, above: str = "") -> str:
    """The layers in order; what comes out of layer 3 is called "3"."""
    for i, layer in enumerate(layers):
        x = _layer(graph, layer, own_arrays(arrays, i), x, f"{above}{i}")
    return x


def _layer(graph: Graph, layer: Layer, own: Arrays, x: str, path: str) -> str:
    if isinstance(layer, Embedding):
        return embedding(graph, layer, own, x, path)
    held = {name: graph.constant(f"{path}.{name}", value.astype(np.float32)) for name, value in own.items()
            if "." not in name}  # fmt: skip
    op = graph.op
    match layer:
        case Dropout():
            return x
        case Linear():
            return op("Gemm", x, *held.values(), to=path) if layer.bias else op("MatMul", x, held["W"], to=path)
        case LeakyReLU():
            return op("LeakyRelu", x, to=path, alpha=layer.slope)
        case SiLU():
            return op("Mul", x, op("Sigmoid", x, to=f"{path}.sigmoid"), to=path)
        case GELU():
            return op("Mul", x, _normal_cdf(graph, layer.approximate, x, path), to=path)
        case BatchNorm():
            order = ("gamma", "beta", "running_mean", "running_variance")
            return op("BatchNormalization", x, *(held[k] for k in order), to=path, epsilon=layer.epsilon)
        case LayerNorm():
            return op("LayerNormalization", x, held["gamma"], held["beta"], to=path, epsilon=layer.epsilon)
        case Residual():
            body = {name.removeprefix("body."): value for name, value in own.items()}
            return op("Add", x, chain(graph, layer.body, body, x, f"{path}.body."), to=path)
    return op(_SIMPLE[type(layer)], x, to=path)


def _normal_cdf(graph: Graph, approximate: str, x: str, path: str) -> str:
    """Φ(x), by erf or by tanh: see `GELU`."""
    op, number = graph.op, graph.number
    if approximate == "none":
        inner = op("Erf", op("Mul", x, number(sqrt(0.5)), to=f"{path}.scaled"), to=f"{path}.erf")
    else:
        cubed = op("Mul", op("Mul", x, x, to=f"{path}.x2"), op("Mul", x, number(0.044715), to=f"{path}.cx"),
                   to=f"{path}.cx3")  # fmt: skip
        u = op("Mul", op("Add", x, cubed, to=f"{path}.sum"), number(sqrt(2 / pi)), to=f"{path}.u")
        inner = op("Tanh", u, to=f"{path}.tanh")
    return op("Mul", op("Add", inner, number(1.0), to=f"{path}.plus1"), number(0.5), to=f"{path}.cdf")


def outputs(graph: Graph, loss: Loss, target: Affine, z: str) -> tuple[str, ...]:
    """Names of what a user asks for: logits and probabilities, or the numbers in the targets' own units."""
    match loss:
        case SoftmaxCrossEntropy():
            return graph.op("Identity", z, to="logits"), graph.op("Softmax", z, to="probabilities", axis=-1)
        case SigmoidCrossEntropy():
            return graph.op("Identity", z, to="logits"), graph.op("Sigmoid", z, to="probabilities")
        case Poisson():
            z = _rate(graph, z)
    if not is_identity(target):
        z = graph.op("Div", z, graph.constant("target.scale", target.scale.astype(np.float32)), to="unscaled")
        z = graph.op("Add", z, graph.constant("target.shift", target.shift.astype(np.float32)), to="in own units")
    return (graph.op("Identity", z, to="output"),)


def _rate(graph: Graph, z: str) -> str:
    """exp(min(z, 50))·(1 + max(z - 50, 0)): see `Poisson`."""
    op, knee = graph.op, graph.number(50.0)
    rate = op("Exp", op("Min", z, knee, to="capped"), to="exponential")
    beyond = op("Relu", op("Sub", z, knee, to="beyond"), to="above the knee")
    return op("Mul", rate, op("Add", beyond, graph.number(1.0), to="tangent"), to="rate")
