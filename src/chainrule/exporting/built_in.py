"""What the exporters share: which layers they know, a layer's own arrays, packages that may be missing."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.backends import Compute
from chainrule.data import Affine, Preparation, Table
from chainrule.errors import ChainruleError, ConfigError
from chainrule.network import own_layers
from chainrule.runs.model import Model
from chainrule.spec import expect, is_own

N_ROWS = 64
"""On so many rows what was made is held against the model."""

MODEL = "a Model, such as run.model"
"""What a message asks for in the place of what is none."""

Arrays = Mapping[str, NDArray[Any]]


def check_built_in(model: Model, form: str) -> None:
    """Raise a ConfigError for what is no model, or that names the layers, or the loss, which no exporter knows."""
    expect("model", model, isinstance(model, Model), MODEL)
    own = sorted({type(layer).__name__ for layer in own_layers(model.network.layers)})
    if own:
        raise ConfigError(
            f"layers {', '.join(own)} are your own classes, which {form} has no words for; export a network of "
            "built-in layers, or bring the equation of yours over by hand"
        )
    if is_own(model.loss):
        raise ConfigError(
            f"loss {type(model.loss).__name__} is your own class, whose link {form} has no words for; export "
            "dataclasses.replace(model, loss=...) with the built-in loss that has the same link, such as SquaredError()"
        )


def own_arrays(arrays: Arrays, i: int) -> dict[str, NDArray[Any]]:
    """The arrays of layer i, by their own names."""
    return {name.removeprefix(f"{i}."): value for name, value in arrays.items() if name.startswith(f"{i}.")}


def need(package: str, extra: str, purpose: str) -> None:
    """Raise a ConfigError where `package` is not installed."""
    if find_spec(package) is None:
        raise ConfigError(f"{purpose} needs {package}, which is not installed; pip install 'chainrule[{extra}]'")


def is_identity(affine: Any) -> bool:
    """Whether x ↦ (x - shift)·scale changes nothing."""
    return not affine.shift.any() and bool((affine.scale == 1).all())


def probe_rows(model: Model, n: int) -> NDArray[np.float32]:
    """Rows (n, n_in) as the training's may have been: normal around its means, by its deviations, in float32.

    Of a table: numbers around the medians, codes of all words and of new ones, and gaps everywhere.
    """
    from chainrule.seeds import stream

    draw, table = stream(0, "export/rows"), model.preprocessing
    z = draw.normal(size=(n, table.n_in))
    if isinstance(table, Affine):
        return table.back(z).astype(np.float32)  # type: ignore[no-any-return]
    numbers = list(table.numbers)
    z[:, numbers] = table.shift + z[:, numbers] / np.where(table.scale > 0, table.scale, 1.0)
    for i, words in enumerate(table.categories):
        if words is not None:
            z[:, i] = draw.integers(-1, len(words), n)
    z[draw.random(z.shape) < 0.1] = np.nan
    return z.astype(np.float32)


def as_given(model: Model, X: NDArray[Any]) -> NDArray[Any] | Table:
    """Rows with codes as the model itself takes them."""
    if isinstance(model.preprocessing, Affine):
        return X
    return Table(X.astype(np.float64), model.preprocessing.categories, model.feature_names)


def check_plain(model: Model, form: str) -> None:
    """Raise a ConfigError for a model with the preparation of a table, where `form` has no words for it."""
    if isinstance(model.preprocessing, Preparation):
        raise ConfigError(
            f"the model prepares a table (robust scaling, gaps, words), which {form} has no form for; export to ONNX "
            "or NumPy instead, which have it inside"
        )


def difference(found: NDArray[Any], expected: NDArray[np.float64], model: Model) -> float:
    """The largest |found - expected|, in units of max(1, |expected|), and of the target's deviation for regression."""
    unit = np.maximum(1.0, np.abs(expected))
    if model.task == "regression":
        unit = np.maximum(unit, 1 / model.target.scale)
    return float(np.abs((found - expected) / unit).max(initial=0.0))


class Checked(NamedTuple):
    """largest_difference: from the model on n_rows rows; None where none was compared. note: why, or how much."""

    largest_difference: float | None
    n_rows: int
    note: str = ""


def judged(what: str, worst: float, tolerance: float, rounding: float = 0.0) -> Checked:
    """The comparison, where `worst` is within the tolerance or within four times what float32 does to the network.

    Raises a ChainruleError where it is not, so that nothing is written.
    """
    most = max(tolerance, 4 * rounding)
    if not worst <= most:
        raise ChainruleError(
            f"{what} differs from the model by {worst:.2g}, more than {most:.2g}, so it was not written; please report "
            "this, with the network"
        )
    far = f"more than {tolerance:g}: float32 alone moves this network's outputs by {rounding:.2g}"
    return Checked(worst, N_ROWS, "" if worst <= tolerance else far)


def float32_rounding(model: Model, X: NDArray[Any]) -> float:
    """The difference between the model's own outputs for rows X in float32 and in float64."""
    outputs = model.scores if model.task == "regression" else model.logits
    rows = as_given(model, X)
    coarse, fine = (outputs(rows, Compute(backend="numpy", precision=one)) for one in ("float32", "float64"))
    return difference(coarse, fine, model)
