"""An nn.Sequential as a model: what has an equal here is taken, anything else is refused by name."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chainrule.backprop import Layer
from chainrule.data.dataset import Dataset
from chainrule.data.preprocessing import Affine, identity
from chainrule.errors import ConfigError
from chainrule.exporting.built_in import need
from chainrule.exporting.torch_out import NAMES, SIMPLE
from chainrule.layers import GELU, BatchNorm, Dropout, LayerNorm, LeakyReLU, Linear, Residual, Sigmoid
from chainrule.losses import AnyLoss, default_loss
from chainrule.network import Network
from chainrule.runs.model import Model
from chainrule.spec import expect

if TYPE_CHECKING:
    from torch import nn

TAKEN = (
    "Linear, ReLU, LeakyReLU, Tanh, Sigmoid, GELU, SiLU, SELU, Mish, Dropout, BatchNorm1d, LayerNorm, Flatten, and "
    "Sequential of these"
)
_ADVICE = {
    "Softmax": "leave it out: the loss has it",
    "LogSoftmax": "leave it out: the loss has it",
    "Identity": "leave it out: it does nothing",
    "PReLU": "use LeakyReLU",
    "ELU": "use SELU",
    "LazyLinear": "run it once, so that it has its width",
    "BatchNorm2d": "flatten first, then use BatchNorm1d",
    "BatchNorm1d": "give it affine=True, track_running_stats=True and a momentum",
    "LayerNorm": "let it normalise one axis, with elementwise_affine=True and a bias",
    "Flatten": "let it flatten from axis 1 to the last",
    "Dropout": "give it p below 1",
}


def from_torch(
    module: "nn.Module",
    data: Dataset | None = None,
    *,
    loss: AnyLoss | None = None,
    target_names: Sequence[str] | None = None,
    shift: ArrayLike = 0.0,
    scale: ArrayLike = 1.0,
) -> Model:
    """The model that an nn.Sequential of layers known here stands for, with the same outputs in both modes.

    data: gives task, names and shape of the rows; without it the task is the loss's, or classification, and the
    outputs are called `target_names`, or "0", "1", ... loss: None for that of the task.
    shift, scale: how the module was fed, (rows - shift)·scale; numbers, or one a column. A first module that `to_torch`
    made says so itself. The module's mode and which of its arrays are frozen do not matter: all are trained here.
    Raises a ConfigError that names what cannot be taken, and says what to do.

    >>> from torch import nn
    >>> from_torch(nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)))
    Model(Network(64 | linear 16 | relu | linear 10; 1,210 parameters), classification of 10)
    """
    need("torch", "torch", "from_torch")
    from torch import nn

    from chainrule.exporting import torch_layers

    expect("module", module, isinstance(module, nn.Module), "an nn.Module, such as nn.Sequential(nn.Linear(64, 10))")
    _check_own_arrays(module)
    modules = list(_flat(module, ""))
    first = modules.pop(0)[1] if modules and type(modules[0][1]) is torch_layers.Affine else None
    last = modules.pop()[1] if modules and type(modules[-1][1]) is torch_layers.Affine else None
    layers, arrays = _chain(modules)
    widths = [len(value) for name, value in arrays.items() if name.endswith((".W", ".gamma"))]
    if not widths:
        raise ConfigError(f"the module has no layer with a width; from_torch takes {TAKEN}")
    task = loss.task if loss is not None else "classification" if data is None else data.task
    if task != "regression" and isinstance(layers[-1], Sigmoid):
        raise ConfigError(f"{modules[-1][0]} is applied by the loss as well; leave the last Sigmoid out")
    network = Network(layers, widths[0])
    names = target_names or (data.target_names if data else [str(i) for i in range(network.n_out)])
    if len(names) != network.n_out or (data is not None and data.n_features != widths[0]):
        given = f"{data.n_features if data else widths[0]} features and {len(names)} outputs"
        raise ConfigError(f"the module is of width {widths[0]} to {network.n_out}; the data have {given}")
    return Model(
        network,
        _in_one_dtype(arrays),
        loss or default_loss(task),
        task,
        _columns(shift, scale, widths[0]) if first is None else _affine(first),
        identity(network.n_out) if last is None else _backwards(_affine(last)),
        tuple(names),
        data.feature_names if data else (),
        data.row_shape if data else (),
    )


def _check_own_arrays(module: "nn.Module") -> None:
    """Raise a ConfigError where two modules share an array: here each would get its own, and training part them."""
    seen: dict[int, str] = {}
    for name, array in module.named_parameters(remove_duplicate=False):
        if id(array) in seen:
            raise ConfigError(
                f"{name} is the same array as {seen[id(array)]}, which no layer here can be; copy it first"
            )
        seen[id(array)] = name


def _flat(module: "nn.Module", path: str) -> Iterator[tuple[str, "nn.Module"]]:
    """The modules in order, sequences opened, each with a name for messages."""
    from torch import nn

    if module._forward_hooks or module._forward_pre_hooks:
        named = f"module {path}" if path else "the module"
        raise ConfigError(f"{named} has forward hooks, which cannot be taken; remove them first")
    if type(module) is not nn.Sequential:
        yield f"module {path} ({type(module).__name__})" if path else type(module).__name__, module
        return
    for name, inner in module._modules.items():  # named_children leaves out what stands there twice
        yield from _flat(inner, f"{path}.{name}" if path else name)


def _chain(modules: Sequence[tuple[str, "nn.Module"]]) -> tuple[tuple[Layer, ...], dict[str, NDArray[Any]]]:
    """The layers, and their arrays by name; a Flatten is none, as rows are flat here."""
    layers: list[Layer] = []
    arrays: dict[str, NDArray[Any]] = {}
    for path, module in modules:
        layer, own = _layer(path, module)
        if layer is not None:
            arrays |= {f"{len(layers)}.{name}": value for name, value in own.items()}
            layers.append(layer)
    return tuple(layers), arrays


def _layer(path: str, module: Any) -> tuple[Layer | None, dict[str, NDArray[Any]]]:
    """The layer that a module is, and its arrays by our names."""
    from chainrule.exporting import torch_layers

    if type(module) is torch_layers.Residual:
        body, arrays = _chain(list(_flat(module.body, path)))
        return Residual(body), {f"body.{name}": value for name, value in arrays.items()}
    kind = type(module).__name__ if type(module).__module__.startswith("torch.nn.modules.") else ""
    if kind in _SIMPLE:
        return _SIMPLE[kind](), {}
    match kind:
        case "Linear":
            bias = module.bias is not None
            return Linear(module.out_features, bias=bias), _arrays(path, module, ("W", "b") if bias else ("W",))
        case "LeakyReLU":
            return LeakyReLU(float(module.negative_slope)), {}
        case "GELU":
            return GELU(module.approximate), {}
        case "Dropout" if module.p < 1:
            return Dropout(float(module.p)), {}
        case "Flatten" if (module.start_dim, module.end_dim) == (1, -1):
            return None, {}
        case "BatchNorm1d" if module.running_mean is not None and module.momentum and module.bias is not None:
            names = ("gamma", "beta", "running_mean", "running_variance")
            return BatchNorm(float(module.momentum), float(module.eps)), _arrays(path, module, names)
        case "LayerNorm" if len(module.normalized_shape) == 1 and module.bias is not None:
            return LayerNorm(float(module.eps)), _arrays(path, module, ("gamma", "beta"))
    what = f"with these options, {module}" if kind in _WITH_OPTIONS else "here"
    advice = _ADVICE.get(type(module).__name__, "write it in terms of those, or as an own Layer here")
    raise ConfigError(f"{path} has no equal {what}: {advice}. from_torch takes {TAKEN}")


_SIMPLE = {name: layer for layer, name in SIMPLE.items()}
_WITH_OPTIONS = ("Dropout", "Flatten", "BatchNorm1d", "LayerNorm")


def _arrays(path: str, module: Any, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    found = {name: _numpy(getattr(module, NAMES[name])) for name in names}
    for name, value in found.items():
        if not np.isfinite(value).all():
            raise ConfigError(f"{path}: its {NAMES[name]} holds numbers that are not finite; train it again")
    return {name: value.T if name == "W" else value for name, value in found.items()}


def _numpy(tensor: Any) -> NDArray[Any]:
    """A copy on the host, in float32 at least."""
    wide = tensor.detach() if tensor.dtype.itemsize > 4 else tensor.detach().float()
    return np.array(wide.cpu().numpy())


def _in_one_dtype(arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    dtype = np.result_type(*arrays.values())
    return {name: np.ascontiguousarray(value, dtype) for name, value in arrays.items()}


def _columns(shift: ArrayLike, scale: ArrayLike, n: int) -> Affine:
    """One number for all columns, or one a column."""
    found = [np.asarray(values, np.float64) for values in (shift, scale)]
    if any(values.shape not in ((), (n,)) for values in found) or not np.all(found[1] > 0):
        raise ConfigError(
            f"shift and scale have shapes {found[0].shape} and {found[1].shape}; expected numbers or arrays ({n},), "
            "every scale above 0"
        )
    return Affine(np.broadcast_to(found[0], n).copy(), np.broadcast_to(found[1], n).copy())


def _affine(module: Any) -> Affine:
    shift, rest, scale = (_numpy(getattr(module, name)).astype(np.float64) for name in ("shift", "rest", "scale"))
    return Affine(shift + rest, scale)


def _backwards(back: Affine) -> Affine:
    """The map whose way back is `back`."""
    return Affine(-back.shift * back.scale, 1 / back.scale)
