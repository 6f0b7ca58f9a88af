"""The preparation of a table, and the embedding of its codes, as nodes of an ONNX graph."""

from typing import Any

import numpy as np

from chainrule.data.preparation import CLIP, DIGIT, FAR, GAP, Preparation
from chainrule.exporting.built_in import Arrays
from chainrule.exporting.onnx_nodes import Graph
from chainrule.layers import Embedding


def prepared_table(graph: Graph, table: Preparation, x: str, dtype: Any) -> str:
    """The network's input of x (batch, n_columns): numbers and codes, NaN a gap. See `Preparation`."""
    parts = [_numbers(graph, table, x, dtype)] if table.numbers else []
    if table.indicators:
        held = _columns(graph, x, table.indicators, "indicators")
        parts.append(_as_float(graph, graph.op("IsNaN", held, to="indicators.gap"), "indicators"))
    if table.one_hot:
        columns, codes = zip(*table.one_hot, strict=True)
        held = _filled(graph, _columns(graph, x, columns, "one-hot"), np.full(len(columns), GAP, dtype), "one-hot")
        equal = graph.op("Equal", held, graph.constant("one-hot.codes", np.array(codes, dtype)), to="one-hot.equal")
        parts.append(_as_float(graph, equal, "one-hot"))
    if table.embedded:
        parts.append(_digits(graph, table, x, dtype))
    return graph.op("Concat", *parts, to="prepared", axis=1) if len(parts) > 1 else parts[0]


def _numbers(graph: Graph, table: Preparation, x: str, dtype: Any) -> str:
    op, held = graph.op, _columns(graph, x, table.numbers, "numbers")
    gap = op("IsNaN", held, to="numbers.gap")
    shift, scale = table.shift.astype(dtype), table.scale.astype(dtype)
    rest = (table.shift - shift).astype(dtype)
    z = op("Sub", held, graph.constant("preprocessing.shift", shift), to="numbers.shifted")
    if np.abs(rest * table.scale).max() > 1e-7:
        z = op("Sub", z, graph.constant("preprocessing.rest", rest), to="numbers.shifted exactly")
    z = op("Mul", z, graph.constant("preprocessing.scale", scale), to="numbers.scaled")
    z = op("Clip", z, graph.number(-FAR, dtype), graph.number(FAR, dtype), to="numbers.bounded")
    z = _as_float(graph, op("Where", gap, graph.number(0.0, dtype), z, to="numbers.filled"), "numbers.float")
    third = op("Div", z, graph.number(CLIP), to="numbers.third")
    square = op("Add", op("Mul", third, third, to="numbers.square"), graph.number(1.0), to="numbers.square plus 1")
    return op("Div", z, op("Sqrt", square, to="numbers.root"), to="numbers")


def _digits(graph: Graph, table: Preparation, x: str, dtype: Any) -> str:
    op, n = graph.op, len(table.embedded)
    sizes = zip(table.embedded, table.sizes, strict=True)
    at_gap = [size - 1 if column in table.gaps else -1 for column, size in sizes]  # the code is one more
    held = _filled(graph, _columns(graph, x, table.embedded, "codes"), np.array(at_gap, dtype), "codes")
    code = op("Add", _as_float(graph, held, "codes.float"), graph.number(1.0), to="codes.from 1")
    high = op("Floor", op("Div", code, graph.number(float(DIGIT)), to="codes.ratio"), to="codes.high")
    low = op("Sub", code, op("Mul", high, graph.number(float(DIGIT)), to="codes.high part"), to="codes.low")
    axis = graph.constant("axis -1", np.array([-1]))
    pairs = op("Concat", op("Unsqueeze", high, axis, to="codes.high column"),
               op("Unsqueeze", low, axis, to="codes.low column"), to="codes.pairs", axis=-1)  # fmt: skip
    return op("Reshape", pairs, graph.constant("codes.shape", np.array([-1, 2 * n])), to="codes")


def _columns(graph: Graph, x: str, columns: Any, name: str) -> str:
    return graph.op("Gather", x, graph.constant(f"{name}.columns", np.array(columns)), to=f"{name}.held", axis=1)


def _filled(graph: Graph, x: str, value: Any, name: str) -> str:
    gap = graph.op("IsNaN", x, to=f"{name}.gap")
    return graph.op("Where", gap, graph.constant(f"{name}.at a gap", value), x, to=f"{name}.filled")


def _as_float(graph: Graph, x: str, name: str) -> str:
    from onnx import TensorProto

    return graph.cast(x, TensorProto.FLOAT, name)


def embedding(graph: Graph, layer: Embedding, own: Arrays, x: str, path: str) -> str:
    """y of an `Embedding`: E has a row of zeros before the others, to which codes without a category lead."""
    op, k = graph.op, len(layer.sizes)
    sizes = np.array(layer.sizes, np.int64)
    E = np.concatenate([np.zeros((1, layer.width)), own["E"]]).astype(np.float32)
    end, axis = graph.constant(f"{path}.end", np.array([-2 * k])), graph.constant(f"{path}.axis", np.array([1]))
    plain = op("Slice", x, graph.constant(f"{path}.start", np.array([0])), end, axis, to=f"{path}.plain")
    digits = op("Slice", x, end, graph.constant(f"{path}.all", np.array([2**31 - 1])), axis, to=f"{path}.digits")
    high, low = (
        op("Gather", digits, graph.constant(f"{path}.{name}", np.arange(start, 2 * k, 2)), to=f"{path}.{name} digit",
           axis=1)
        for name, start in (("high", 0), ("low", 1))
    )  # fmt: skip
    code = op("Add", op("Mul", high, graph.number(float(DIGIT)), to=f"{path}.high part"), low, to=f"{path}.code")
    code = graph.cast(op("Round", code, to=f"{path}.whole"), 7, f"{path}.int64")
    largest, zero = graph.constant(f"{path}.sizes", sizes), graph.constant(f"{path}.zero", np.array(0))
    known = op("And", op("Greater", code, zero, to=f"{path}.from 1"),
               op("LessOrEqual", code, largest, to=f"{path}.to size"), to=f"{path}.known")  # fmt: skip
    first = graph.constant(f"{path}.first", np.cumsum(sizes) - sizes)
    row = op("Where", known, op("Add", code, first, to=f"{path}.place"), zero, to=f"{path}.row")
    picked = op("Gather", graph.constant(f"{path}.E", E), row, to=f"{path}.picked", axis=0)
    picked = op("Reshape", picked, graph.constant(f"{path}.shape", np.array([-1, k * layer.width])), to=f"{path}.flat")
    return op("Concat", plain, picked, to=path, axis=1)
