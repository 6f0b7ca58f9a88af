"""A network as nodes of an ONNX graph, opset 18: each layer in evaluation mode, the equations of its file."""

from collections.abc import Sequence
from math import log, pi, sqrt
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
    MemberLinear,
    Mish,
    PeriodicEmbedding,
    ReLU,
    Residual,
    Sigmoid,
    SiLU,
    SmoothClip,
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
        case MemberLinear():
            return _members(graph, layer, held, x, path)
        case PeriodicEmbedding():
            return _periodic(graph, held, x, path)
        case SmoothClip():
            scaled = op("Div", x, graph.number(layer.limit), to=f"{path}.scaled")
            one = op("Add", op("Mul", scaled, scaled, to=f"{path}.square"), graph.number(1.0), to=f"{path}.plus1")
            return op("Div", x, op("Sqrt", one, to=f"{path}.root"), to=path)
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


def _members(graph: Graph, layer: MemberLinear, held: dict[str, str], x: str, path: str) -> str:
    """The members' rows as a middle axis: see `MemberLinear`."""
    op, k = graph.op, layer.members
    x = op("Reshape", x, graph.shape(0, 1 if layer.spread else k, -1), to=f"{path}.each")  # (batch, k or 1, n_in)
    v = op("MatMul", op("Mul", x, held["r"], to=f"{path}.u"), held["W"], to=f"{path}.v")  # (batch, k, n_out)
    y = op("Add", op("Mul", v, held["s"], to=f"{path}.scaled"), held["b"], to=f"{path}.y")
    return op("Reshape", y, graph.shape(0, -1), to=path)


def _periodic(graph: Graph, held: dict[str, str], x: str, path: str) -> str:
    """Waves of each feature and their weighted sums: see `PeriodicEmbedding`."""
    op = graph.op
    z = op("Reshape", x, graph.shape(0, -1, 1), to=f"{path}.each")  # (batch, n, 1)
    turns = op("Mul", op("Mul", z, held["nu"], to=f"{path}.turns"), graph.number(2 * pi), to=f"{path}.angles")
    t = op("Cos", op("Add", turns, held["phi"], to=f"{path}.a"), to=f"{path}.waves")  # (batch, n, m)
    t = op("Transpose", t, to=f"{path}.by feature", perm=[1, 0, 2])  # (n, batch, m)
    e = op("Transpose", op("MatMul", t, held["W"], to=f"{path}.sums"), to=f"{path}.by row", perm=[1, 0, 2])
    e = op("Add", e, held["b"], to=f"{path}.e")  # (batch, n, d-1)
    return op("Reshape", op("Concat", z, e, to=f"{path}.y", axis=2), graph.shape(0, -1), to=path)


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


def outputs(graph: Graph, loss: Loss, target: Affine, z: str, n_members: int = 1) -> tuple[str, ...]:
    """Names of what a user asks for: logits and probabilities, or the numbers in the targets' own units."""
    if n_members > 1:
        each = graph.op("Reshape", z, graph.shape(0, n_members, -1), to="members")  # (batch, k, n_out)
        z = _mean_prediction(graph, loss, each, n_members)
    match loss:
        case SoftmaxCrossEntropy():
            return graph.op("Identity", z, to="logits"), graph.op("Softmax", z, to="probabilities", axis=-1)
        case SigmoidCrossEntropy():
            return graph.op("Identity", z, to="logits"), graph.op("Sigmoid", z, to="probabilities")
        case Poisson() if n_members == 1:
            z = _rate(graph, z)
    if not is_identity(target):
        z = graph.op("Div", z, graph.constant("target.scale", target.scale.astype(np.float32)), to="unscaled")
        z = graph.op("Add", z, graph.constant("target.shift", target.shift.astype(np.float32)), to="in own units")
    return (graph.op("Identity", z, to="output"),)


def _mean_prediction(graph: Graph, loss: Loss, z: str, n_members: int) -> str:
    """Logits, or for the Poisson loss rates, (batch, n_out) of the mean prediction of z (batch, k, n_out)."""
    op, axis = graph.op, graph.constant("member axis", np.array([1], np.int64))

    def log_sum(logs: str, to: str) -> str:
        return op("ReduceLogSumExp", logs, axis, to=to, keepdims=0)

    match loss:
        case SoftmaxCrossEntropy():
            total = log_sum(op("LogSoftmax", z, to="log probabilities", axis=-1), "log sum")
            return op("Sub", total, graph.number(log(n_members)), to="combined")
        case SigmoidCrossEntropy():
            no = op("Neg", op("Softplus", z, to="softplus"), to="log no")
            yes = op("Neg", op("Softplus", op("Neg", z, to="turned"), to="softplus of turned"), to="log yes")
            return op("Sub", log_sum(yes, "log sum yes"), log_sum(no, "log sum no"), to="combined")
        case Poisson():
            z = _rate(graph, z)
    return op("ReduceMean", z, axis, to="combined", keepdims=0)


def _rate(graph: Graph, z: str) -> str:
    """exp(min(z, 50))·(1 + max(z - 50, 0)): see `Poisson`."""
    op, knee = graph.op, graph.number(50.0)
    rate = op("Exp", op("Min", z, knee, to="capped"), to="exponential")
    beyond = op("Relu", op("Sub", z, knee, to="beyond"), to="above the knee")
    return op("Mul", rate, op("Add", beyond, graph.number(1.0), to="tangent"), to="rate")
