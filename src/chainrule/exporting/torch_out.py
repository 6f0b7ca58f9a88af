"""A model as an nn.Sequential, and as the files that build it again without this package."""

import inspect
import runpy
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.backends import Compute
from chainrule.backprop import Layer
from chainrule.data.preprocessing import Affine
from chainrule.exporting.built_in import (
    N_ROWS,
    Arrays,
    Checked,
    check_built_in,
    check_plain,
    difference,
    float32_rounding,
    is_identity,
    judged,
    need,
    own_arrays,
    probe_rows,
)
from chainrule.layers import (
    GELU,
    SELU,
    BatchNorm,
    Dropout,
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
)
from chainrule.runs.model import Model

if TYPE_CHECKING:
    from torch import nn

Made = tuple[str, tuple[Any, ...], dict[str, Any]]
"""A module of torch.nn by its name, its arguments and its options."""

SIMPLE: dict[type[Layer], str] = {
    ReLU: "ReLU", Tanh: "Tanh", Sigmoid: "Sigmoid", SiLU: "SiLU", SELU: "SELU", Mish: "Mish",
}  # fmt: skip
NAMES = {"W": "weight", "b": "bias", "gamma": "weight", "beta": "bias", "running_mean": "running_mean",
         "running_variance": "running_var"}  # fmt: skip


def to_torch(model: Model, *, preparation: bool = True, dtype: Any = None) -> "nn.Sequential":
    """The model as an nn.Sequential in training mode, with the same outputs in both modes but for dropout's masks.

    It gives logits (log rates for the Poisson loss), or numbers in the targets' own units. preparation: whether its
    first module scales raw rows as the model does, and its last one takes numbers back to their own units; without
    them it takes and gives what the network itself does. dtype: None for that of the parameters.
    Raises a ConfigError for layers of a user's own, and where PyTorch is not installed.

    >>> from chainrule import mlp, read, train, Training
    >>> run = train(mlp([8], dropout=0.1), read("digits"), training=Training(epochs=1))
    >>> to_torch(run.model, preparation=False)
    Sequential(
      (0): Linear(in_features=64, out_features=8, bias=True)
      (1): ReLU()
      (2): Dropout(p=0.1, inplace=False)
      (3): Linear(in_features=8, out_features=10, bias=True)
    )
    """
    check_built_in(model, "PyTorch")
    check_plain(model, "PyTorch")
    need("torch", "torch", "to_torch")
    import torch

    numpy_dtype = parameter_dtype(model) if dtype is None else np.dtype(str(dtype).removeprefix("torch."))
    with torch.device("meta"):  # so that no weights are drawn from torch's global state
        module = _sequential(_steps(model, preparation))
    module = module.to(getattr(torch, str(numpy_dtype))).to_empty(device="cpu")
    arrays = state(model, preparation, numpy_dtype)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return module


def parameter_dtype(model: Model) -> np.dtype[Any]:
    """float64 where every array is, else float32."""
    return np.result_type(np.float32, *(array.dtype for array in model.parameters.values()))


Step = tuple[Layer | int | str, int]
"""A layer and the width it is given; or an affine map of so many columns; or the link of k members' mean."""

LINKS = {"softmax_cross_entropy": "softmax", "sigmoid_cross_entropy": "sigmoid", "poisson": "log"}


def _steps(model: Model, preparation: bool) -> list[Step]:
    network = model.network
    layers: list[Step] = list(zip(network.layers, network.widths, strict=False))
    before, after = affines(model, preparation)
    if network.n_members > 1:
        layers.append((LINKS.get(model.loss.kind, "mean"), network.n_members))
    return [*([(network.widths[0], 0)] if before else []), *layers, *([(network.n_out, 0)] if after else [])]


def affines(model: Model, preparation: bool) -> tuple[Affine | None, Affine | None]:
    """The scaling of rows and the way back to the targets' units, as x ↦ (x - shift)·scale, where they do anything."""
    rows, target = model.preprocessing.on_device, model.target
    back = Affine(-target.shift * target.scale, 1 / target.scale)  # y/scale + shift = (y + shift·scale)/scale
    return (None if is_identity(rows) or not preparation else rows,
            None if is_identity(target) or not preparation else back)  # fmt: skip


def _sequential(steps: Sequence[Step]) -> "nn.Sequential":
    from torch import nn

    from chainrule.exporting import torch_layers

    modules: list[nn.Module] = []
    for layer, n_in in steps:
        if isinstance(layer, int):
            modules.append(torch_layers.Affine(layer))
        elif isinstance(layer, str):
            modules.append(torch_layers.MeanOfMembers(n_in, layer))
        elif isinstance(layer, OWN):
            name, arguments = _own(layer, n_in)
            modules.append(getattr(torch_layers, name)(*arguments))
        elif isinstance(layer, Residual):
            modules.append(torch_layers.Residual(*_sequential(list(_body(layer, n_in)))))
        else:
            name, arguments, options = _made(layer, n_in)
            modules.append(getattr(nn, name)(*arguments, **options))
    return nn.Sequential(*modules)


OWN = (MemberLinear, PeriodicEmbedding, SmoothClip)
"""Layers that PyTorch has no module for, and `torch_layers` has."""


def _own(layer: Layer, n_in: int) -> tuple[str, tuple[Any, ...]]:
    match layer:
        case MemberLinear():
            return "MemberLinear", (*layer.parameters(n_in)["W"].shape, layer.members)
        case PeriodicEmbedding():
            return "PeriodicEmbedding", (n_in, layer.frequencies, layer.width)
        case SmoothClip():
            return "SmoothClip", (layer.limit,)
    raise TypeError(layer)


def _body(layer: Residual, n_in: int) -> Iterator[Step]:
    for inner in layer.body:
        yield inner, n_in
        n_in = inner.n_out(n_in)


def _made(layer: Layer, n_in: int) -> Made:
    match layer:
        case Linear():
            return "Linear", (n_in, layer.width), {} if layer.bias else {"bias": False}
        case LeakyReLU():
            return "LeakyReLU", (layer.slope,), {}
        case GELU():
            return "GELU", (layer.approximate,), {}
        case Dropout():
            return "Dropout", (layer.rate,), {}
        case BatchNorm():
            return "BatchNorm1d", (n_in,), {"eps": layer.epsilon, "momentum": layer.momentum}
        case LayerNorm():
            return "LayerNorm", (n_in,), {"eps": layer.epsilon}
    return SIMPLE[type(layer)], (), {}


def state(model: Model, preparation: bool, dtype: np.dtype[Any]) -> dict[str, NDArray[Any]]:
    """The module's arrays by the names that its state_dict has."""
    before, after = affines(model, preparation)
    start = 1 if before else 0
    found = dict(_state(model.network.layers, model.parameters, "", start, dtype))
    last = len(_steps(model, preparation)) - 1
    for place, affine in ((0, before), (last, after)):
        if affine is not None:
            shift = affine.shift.astype(dtype)
            held = {"shift": shift, "rest": affine.shift - shift, "scale": affine.scale}
            found |= {f"{place}.{name}": value.astype(dtype) for name, value in held.items()}
    return found


def _state(
    layers: Sequence[Layer], arrays: Arrays, above: str, start: int, dtype: np.dtype[Any]
) -> Iterator[tuple[str, NDArray[Any]]]:
    for i, layer in enumerate(layers):
        own, path = own_arrays(arrays, i), f"{above}{start + i}"
        if isinstance(layer, Residual):
            body = {name.removeprefix("body."): value for name, value in own.items()}
            yield from _state(layer.body, body, f"{path}.body.", 0, dtype)
            continue
        if isinstance(layer, OWN):
            yield from ((f"{path}.{name}", np.array(value.astype(dtype), order="C")) for name, value in own.items())
            continue
        for name, value in own.items():  # W is (n_in, n_out) here, (n_out, n_in) there
            yield f"{path}.{NAMES[name]}", np.array((value.T if name == "W" else value).astype(dtype), order="C")
        if isinstance(layer, BatchNorm):
            yield f"{path}.num_batches_tracked", np.array(0)


TOLERANCE = 1e-5
WEIGHTS, SCRIPT = "model.safetensors", "model.py"

_SCRIPT = Template('''\
"""A trained network for PyTorch, written by chainrule $version. Needs torch and safetensors.

    from model import load

    module = load()         # in evaluation mode
    module(rows)            # raw rows (batch, $n_in) to $outputs (batch, $n_out)
"""

${standard}from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

NAMES = $names
$classes

def build() -> nn.Sequential:
    """The module before it has its weights."""
    return nn.Sequential(
$modules
    )$double


def load() -> nn.Sequential:
    """The trained module, in evaluation mode."""
    module = build()
    module.load_state_dict(load_file(Path(__file__).with_name("$weights")))
    return module.eval()
''')


_CLASSES = ("Affine", "Residual", "MemberLinear", "PeriodicEmbedding", "SmoothClip", "MeanOfMembers")


def script(model: Model) -> str:
    """The text of `model.py`, which builds the module without this package."""
    from chainrule.exporting import torch_layers

    check_built_in(model, "PyTorch")
    check_plain(model, "PyTorch")
    steps = _steps(model, True)
    modules = "\n".join(_text(step, " " * 8) for step in steps)
    used = [getattr(torch_layers, cls) for cls in _CLASSES if f"{cls}(" in modules]
    regression = model.task == "regression"
    return _SCRIPT.substitute(
        version=version("chainrule"),
        n_in=model.network.widths[0],
        n_out=model.network.n_out,
        outputs="log rates" if model.loss.kind == "poisson" else "numbers" if regression else "logits",
        names=ascii(list(model.target_names)),
        standard="import math\n" if "MeanOfMembers(" in modules or "PeriodicEmbedding(" in modules else "",
        classes="".join(f"\n\n{inspect.getsource(cls)}" for cls in used),
        modules=modules,
        double=".double()" if parameter_dtype(model) == np.float64 else "",
        weights=WEIGHTS,
    )


def _text(step: Step, indent: str) -> str:
    layer, n_in = step
    if isinstance(layer, int):
        return f"{indent}Affine({layer}),"
    if isinstance(layer, str):
        return f"{indent}MeanOfMembers({n_in}, {layer!r}),"
    if isinstance(layer, OWN):
        name, arguments = _own(layer, n_in)
        return f"{indent}{name}({', '.join(map(repr, arguments))}),"
    if isinstance(layer, Residual):
        inner = "\n".join(_text(one, indent + " " * 4) for one in _body(layer, n_in))
        return f"{indent}Residual(\n{inner}\n{indent}),"
    name, arguments, options = _made(layer, n_in)
    written = ", ".join([*map(repr, arguments), *(f"{key}={value!r}" for key, value in options.items())])
    return f"{indent}nn.{name}({written}),"


def check(model: Model, text: str, arrays: bytes) -> Checked:
    """How far the module of `model.py` is from the model; see `difference` for the units.

    Raises a ConfigError without PyTorch, and a ChainruleError where it is too far.
    """
    need("torch", "torch", "export to PyTorch")
    import torch

    X = probe_rows(model, N_ROWS)
    with TemporaryDirectory() as folder:
        Path(folder, WEIGHTS).write_bytes(arrays)
        Path(folder, SCRIPT).write_text(text, encoding="utf-8")
        module = runpy.run_path(str(Path(folder, SCRIPT)))["load"]()
    with torch.no_grad():
        found = module(torch.from_numpy(X).to(getattr(torch, str(parameter_dtype(model))))).numpy()
    return judged(SCRIPT, difference(found, expected(model, X), model), TOLERANCE, float32_rounding(model, X))


def expected(model: Model, X: NDArray[Any]) -> NDArray[np.float64]:
    """What the module should give for raw rows X, by the model itself in float64."""
    z = model.logits(X, Compute(backend="numpy", precision="float64"))
    return model.target.back(z) if model.task == "regression" else z
