"""A model as one npz and a `predict.py` that needs nothing but NumPy: the network written out, a line a layer."""

import runpy
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from io import BytesIO
from math import pi, sqrt
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

import numpy as np

from chainrule.backends import Compute
from chainrule.backprop import Layer
from chainrule.data import Preparation
from chainrule.exporting.built_in import (
    N_ROWS,
    Arrays,
    Checked,
    as_given,
    check_built_in,
    difference,
    is_identity,
    judged,
    own_arrays,
    probe_rows,
)
from chainrule.exporting.numpy_table import EMBED, ENCODE, TABLE_NAMES, prepared_lines, table_arrays
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
)
from chainrule.layers.activations import SELU_ALPHA, SELU_SCALE
from chainrule.losses import Loss, Poisson, SigmoidCrossEntropy, SoftmaxCrossEntropy
from chainrule.runs.model import Model

WEIGHTS, SCRIPT = "model.npz", "predict.py"
TOLERANCE = 1e-6

_SCRIPT = Template('''\
"""Predictions of a trained network, written by chainrule $version. Needs NumPy alone.

    python predict.py rows.npy      # or a CSV $csv: a prediction a line
    from predict import predict, scores
"""

$imports

p = dict(np.load(Path(__file__).with_name("model.npz")))
names = p.pop("names")
$encode
p = {name: values.astype(np.float64) for name, values in p.items()}
$helpers

def scores(X):
    """$meaning, in float64."""
    x = $taken
$body
    return $link


def predict(X):
    """$prediction."""
    return $decision


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python predict.py rows.npy|rows.csv\\n")
        sys.exit(2)
    path = sys.argv[1]
    try:
        found = predict(np.load(path) if path.endswith(".npy") else $loaded)
    except OSError as error:
        sys.exit(f"error: {path}: {error.strerror if Path(path).exists() else 'there is no such file'}")
    except ($errors) as error:
        sys.exit(f"error: {path}: {str(error).rstrip('.')}$expected")
    for one in found:
        print(*np.atleast_1d(one), sep=",")
''')

_HELPERS = {
    "sigmoid": """
def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)
""",
    "standardise": """
def standardise(x, epsilon):
    x = x - x.mean(axis=1, keepdims=True)
    return x / np.sqrt((x**2).mean(axis=1, keepdims=True) + epsilon)
""",
    "softmax": """
def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
""",
    "waves": """
def waves(x, nu, phi, W, b):
    t = np.cos(2 * np.pi * x[:, :, None] * nu + phi)
    e = np.einsum("bnm,nmd->bnd", t, W) + b
    return np.concatenate([x[:, :, None], e], axis=2).reshape(len(x), -1)
""",
    "members": """
def members(x, r, W, s, b):
    x = x.reshape(len(x), -1, r.shape[1]) * r
    return (x @ W * s + b).reshape(len(x), -1)
""",
    "embed": EMBED,
    "erf": """
erf = np.vectorize(math.erf, otypes=[float])
""",
}

_FLAT = """
def flat(X):
    X = np.asarray(X, dtype=np.float64)
    shape = tuple(n for n in X.shape[1:] if n != 1)
    if len(shape) > 1 and shape != {own}:
        raise ValueError(f"rows of shape {{X.shape[1:]}}; expected {shape}, or flat ones of {n} numbers")
    return X.reshape(len(X), {n})
"""

_MEANINGS = {
    "classification": ("Probabilities of the classes", "The most probable class"),
    "multilabel": ("Probabilities of the labels", "1 for each label that is more likely than not"),
    "regression": ("The predicted numbers", "The predicted numbers"),
}
_DECISIONS = {
    "classification": "names[scores(X).argmax(axis=1)]",
    "multilabel": "(scores(X) >= 0.5).astype(int)",
    "regression": "scores(X)",
}


def arrays_file(model: Model) -> bytes:
    """The npz: every array by its name in the network, preprocessing, target, and the names of the outputs."""
    arrays = dict(model.parameters) | {"names": np.array(model.target_names, dtype=np.str_)}
    for name, affine in (("preprocessing", model.preprocessing), ("target", model.target)):
        arrays |= {f"{name}.shift": affine.shift, f"{name}.scale": affine.scale}
    if isinstance(model.preprocessing, Preparation):
        arrays |= table_arrays(model.preprocessing)
    content = BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def script(model: Model) -> str:
    """The text of `predict.py`. Raises a ConfigError for layers of a user's own."""
    check_built_in(model, "NumPy")
    body = list(_chain(model.network.layers, model.parameters, "", "x"))
    table = model.preprocessing if isinstance(model.preprocessing, Preparation) else None
    if table is not None:
        body = [*prepared_lines(table), *body]
    elif not is_identity(model.preprocessing):
        body.insert(0, 'x = (x - p["preprocessing.shift"]) * p["preprocessing.scale"]')
    link, k = _link(model.loss), model.network.n_members
    if k > 1:
        body.append(f"x = x.reshape(len(x), {k}, {model.network.n_out})")
        link = f"({link}).mean(axis=1)"
    if not is_identity(model.target):
        link = f'{link} / p["target.scale"] + p["target.shift"]'
    meaning, prediction = _MEANINGS[model.task]
    single = model.task == "regression" and model.network.n_out == 1
    text = "\n".join([*body, link])
    helpers = "".join(f"\n{code}" for name, code in _HELPERS.items() if f"{name}(" in text)
    own = tuple(n for n in model.row_shape if n != 1)
    if table is None and len(own) > 1:
        helpers = "\n" + _FLAT.format(own=own, shape=model.row_shape, n=model.preprocessing.n_in) + helpers
    imports = "import math\nimport sys" if "erf(" in text else "import sys"
    imports = imports if table is None else f"import csv\n{imports}"
    return _SCRIPT.substitute(
        _input(model, table, "flat(" in helpers),
        version=version("chainrule"),
        imports=f"{imports}\nfrom pathlib import Path\n\nimport numpy as np",
        helpers=helpers,
        meaning=f"{meaning}, (n_rows, {model.network.n_out})",
        body="\n".join(f"    {line}" for line in body),
        link=link,
        prediction=prediction,
        decision=_DECISIONS[model.task] + ("[:, 0]" if single else ""),
    )


def _input(model: Model, table: Preparation | None, shaped: bool) -> dict[str, str]:
    """How the script takes rows: as arrays of numbers, or with the words of a table."""
    n = model.preprocessing.n_in
    if table is None:
        expected = "" if shaped else f"; expected {n} numbers a row, rows counted from 0, and no header"
        return {"csv": "of numbers", "encode": "", "loaded": 'np.loadtxt(path, delimiter=",", ndmin=2)',
                "errors": "EOFError, ValueError", "expected": expected,
                "taken": "flat(X)" if shaped else f"np.asarray(X, dtype=np.float64).reshape(len(X), {n})"}  # fmt: skip
    columns = f"columns = {list(model.feature_names or map(str, range(n)))!a}\ntable = {TABLE_NAMES!r}"
    return {"csv": "with a header", "encode": f"{columns}\n{ENCODE}",
            "loaded": "read(path)", "errors": "EOFError, ValueError, csv.Error", "expected": "",
            "taken": "X if getattr(X, 'dtype', None) == float else encode(X)"}  # fmt: skip


def _link(loss: Loss) -> str:
    match loss:
        case SoftmaxCrossEntropy():
            return "softmax(x)"
        case SigmoidCrossEntropy():
            return "sigmoid(x)"
        case Poisson():
            return "np.exp(np.minimum(x, 50)) * (1 + np.maximum(x - 50, 0))"
    return "x"


def _chain(layers: Sequence[Layer], arrays: Arrays, above: str, x: str) -> Iterator[str]:
    """A line a layer, on the variable `x`."""
    for i, layer in enumerate(layers):
        own, path = own_arrays(arrays, i), f"{above}{i}"
        if isinstance(layer, Residual):
            inner = f"r{path.count('body')}"
            body = {name.removeprefix("body."): value for name, value in own.items()}
            yield f"{inner} = {x}"
            yield from _chain(layer.body, body, f"{path}.body.", inner)
            yield f"{x} = {x} + {inner}"
        elif not isinstance(layer, Dropout):
            held = {name: f'p["{path}.{name}"]' for name in own}
            yield f"{x} = {_equation(layer, held, x)}"


def _equation(layer: Layer, held: Mapping[str, str], x: str) -> str:
    """The layer's y in evaluation mode; held: how the script names its arrays."""
    match layer:
        case Embedding():
            return f"embed({x}, {held['E']}, {layer.sizes!r})"
        case Linear():
            return f"{x} @ {held['W']}" + (f" + {held['b']}" if layer.bias else "")
        case MemberLinear():
            return f"members({x}, " + ", ".join(held[name] for name in ("r", "W", "s", "b")) + ")"
        case PeriodicEmbedding():
            return f"waves({x}, " + ", ".join(held[name] for name in ("nu", "phi", "W", "b")) + ")"
        case SmoothClip():
            return f"{x} / np.sqrt(1 + ({x} / {layer.limit!r}) ** 2)"
        case LeakyReLU():
            return f"np.where({x} > 0, {x}, {layer.slope!r} * {x})"
        case GELU() if layer.approximate == "tanh":
            return f"0.5 * {x} * (1 + np.tanh({sqrt(2 / pi)!r} * ({x} + 0.044715 * {x}**3)))"
        case BatchNorm():
            scaled = f"({x} - {held['running_mean']}) / np.sqrt({held['running_variance']} + {layer.epsilon!r})"
            return f"{scaled} * {held['gamma']} + {held['beta']}"
        case LayerNorm():
            return f"standardise({x}, {layer.epsilon!r}) * {held['gamma']} + {held['beta']}"
    return _SIMPLE[type(layer)].format(x=x)


_SIMPLE: dict[type[Layer], str] = {
    ReLU: "np.maximum({x}, 0)",
    Tanh: "np.tanh({x})",
    Sigmoid: "sigmoid({x})",
    GELU: f"0.5 * {{x}} * (1 + erf({{x}} * {sqrt(0.5)!r}))",
    SiLU: "{x} * sigmoid({x})",
    SELU: f"{SELU_SCALE!r} * np.where({{x}} > 0, {{x}}, {SELU_ALPHA!r} * np.expm1(np.minimum({{x}}, 0)))",
    Mish: "{x} * np.tanh(np.logaddexp(0, {x}))",
}


def check(model: Model, text: str, arrays: bytes) -> Checked:
    """How far the script is from the model; a ChainruleError where that is too far. See `difference` for the units."""
    X = probe_rows(model, N_ROWS)
    with TemporaryDirectory() as folder:
        Path(folder, WEIGHTS).write_bytes(arrays)
        path = Path(folder, SCRIPT)
        path.write_text(text, encoding="utf-8")
        found = runpy.run_path(str(path))["scores"](X.astype(np.float64))
    expected = model.scores(as_given(model, X), Compute(backend="numpy", precision="float64"))
    return judged(SCRIPT, difference(found, expected, model), TOLERANCE)
