"""A model as an ONNX file: a plain graph from raw rows to predictions, held against the model before it is written."""

import json
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.backends import Compute
from chainrule.data import Preparation
from chainrule.errors import ConfigError
from chainrule.exporting.built_in import (
    N_ROWS,
    Checked,
    as_given,
    check_built_in,
    difference,
    float32_rounding,
    judged,
    need,
    probe_rows,
)
from chainrule.exporting.onnx_graph import IR, OPSET, chain, outputs, prepared
from chainrule.exporting.onnx_nodes import Graph
from chainrule.runs.model import Model

TOLERANCE = 1e-5
BATCHES = (1, 2, 7, N_ROWS)
_LARGEST = 2**31 - 2**20  # protobuf's limit, less the graph itself
_FAR = 1000.0


def to_onnx(model: Model) -> bytes:
    """The model as an ONNX file: opset 18, IR 8, input "input" (batch, n_in), preprocessing inside.

    A model that takes words has their codes in the input: the place of the word among its column's "categories" in the
    metadata, -1 for a word that is not there; NaN is a gap.
    Outputs: "logits" and "probabilities", or "output" in the targets' own units. Names and classes are in the metadata.
    Raises a ConfigError for layers of a user's own and for more than 2 GB.
    """
    check_built_in(model, "ONNX")
    need("onnx", "onnx", "export to ONNX")
    import onnx
    from onnx import TensorProto, helper

    if 4 * model.network.n_parameters > _LARGEST:
        raise ConfigError(
            f"the network's {model.network.n_parameters:,} parameters pass the 2 GB of an ONNX file; export to torch "
            "or numpy instead"
        )
    dtype = input_dtype(model)
    graph = Graph()
    x = prepared(graph, model.preprocessing, "input", dtype)
    z = chain(graph, model.network.layers, model.parameters, x)
    names = outputs(graph, model.loss, model.target, z, model.network.n_members)
    kind = TensorProto.FLOAT if dtype == np.float32 else TensorProto.DOUBLE
    n_in, n_out = model.preprocessing.n_in, model.network.n_out
    made = helper.make_graph(
        graph.nodes,
        "chainrule",
        [helper.make_tensor_value_info("input", kind, ["batch", n_in])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n_out]) for name in names],
        list(graph.constants.values()),
    )
    file = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR,
                             producer_name="chainrule", producer_version=version("chainrule"))  # fmt: skip
    helper.set_model_props(file, _properties(model))
    onnx.checker.check_model(file, full_check=True)
    return bytes(file.SerializeToString())


def input_dtype(model: Model) -> Any:
    """float32; or float64, where a column lies over 1000 deviations from 0, such as a time in seconds since 1970.

    float32 would round such a number by more than 6e-5 of its deviation.
    """
    far = np.abs(model.preprocessing.shift) * model.preprocessing.scale > _FAR
    return np.float64 if far.any() else np.float32


def _properties(model: Model) -> dict[str, str]:
    """What the graph itself cannot say, as texts; lists are JSON."""
    classes = model.task != "regression"
    listed: dict[str, Any] = {
        "classes" if classes else "targets": model.target_names,
        "features": model.feature_names,
        "row_shape": model.row_shape or (model.preprocessing.n_in,),
    }
    if isinstance(model.preprocessing, Preparation):
        listed["categories"] = model.preprocessing.categories
    return {
        "producer": f"chainrule {version('chainrule')}",
        "task": model.task,
        "loss": model.loss.kind,
        "preprocessing": "inside: give raw rows",
        "weights_sha256": model.digest,
    } | {name: json.dumps(value, ensure_ascii=False) for name, value in listed.items()}


def check(model: Model, content: bytes) -> Checked:
    """How far onnxruntime is from the model; a ChainruleError where that is too far. See `difference` for the units."""
    if find_spec("onnxruntime") is None:
        return Checked(None, 0, "not compared: onnxruntime is not installed; pip install 'chainrule[onnx]'")
    worst, rows = 0.0, probe_rows(model, N_ROWS)
    expected = references(model, rows)
    for n in BATCHES:
        for name, found in run(content, rows[:n]).items():
            worst = max(worst, difference(found, expected[name][:n], model))
    return judged("the ONNX file", worst, TOLERANCE, float32_rounding(model, rows))


def references(model: Model, X: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """The outputs of the ONNX file, by the model itself in float64."""
    compute, rows = Compute(backend="numpy", precision="float64"), as_given(model, X)
    if model.task == "regression":
        return {"output": model.scores(rows, compute)}
    return {"logits": model.logits(rows, compute), "probabilities": model.scores(rows, compute)}


def run(content: bytes, X: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    """The outputs of an ONNX file for rows X, by onnxruntime on one thread of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    dtype = np.float64 if session.get_inputs()[0].type == "tensor(double)" else np.float32
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"input": X.astype(dtype)}), strict=True))
