"""scikit-learn's fitted perceptrons as models, and models as those: the same predictions, by coefficients."""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.backprop import Layer
from chainrule.data.preprocessing import Affine, identity
from chainrule.errors import ConfigError
from chainrule.exporting.built_in import check_built_in, check_plain, own_arrays
from chainrule.layers import BatchNorm, Dropout, Linear, ReLU, Sigmoid, Tanh
from chainrule.losses import AnyLoss, Poisson, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from chainrule.network import Network, describe
from chainrule.runs.model import Model

Floats = NDArray[np.float64]
ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "tanh": Tanh, "logistic": Sigmoid}
_NAMES = {layer: name for name, layer in ACTIVATIONS.items()}
_LOSSES: dict[str, AnyLoss] = {
    "softmax": SoftmaxCrossEntropy(), "logistic": SigmoidCrossEntropy(), "identity": SquaredError(), "exp": Poisson(),
}  # fmt: skip


def from_sklearn(estimator: Any, target_names: Sequence[str] | None = None) -> Model:
    """The model of a fitted MLPClassifier or MLPRegressor, or of a pipeline of StandardScalers and one, in its dtype.

    Two classes, which are one logistic output there, are two softmax outputs here: of the logits 0 and z, so that
    the probabilities are the same. Classes are called by their texts; targets `target_names`, or "0", "1", ...
    Raises a ConfigError for other estimators.

    >>> from sklearn.neural_network import MLPRegressor
    >>> from_sklearn(MLPRegressor(hidden_layer_sizes=(5,), tol=1.0).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 4.0]))
    Model(Network(1 | linear 5 | relu | linear 1; 16 parameters), regression of 1)
    """
    scalers, mlp = _parts(estimator)
    coefficients, intercepts = list(mlp.coefs_), list(mlp.intercepts_)
    binary = mlp.out_activation_ == "logistic" and mlp.n_outputs_ == 1
    loss = SoftmaxCrossEntropy() if binary else _LOSSES[mlp.out_activation_]
    if binary:
        coefficients[-1] = np.hstack([np.zeros_like(coefficients[-1]), coefficients[-1]])
        intercepts[-1] = np.append(np.zeros_like(intercepts[-1]), intercepts[-1])
    layers: list[Layer] = []
    arrays: dict[str, NDArray[Any]] = {}
    for W, b in zip(coefficients, intercepts, strict=True):
        if layers and mlp.activation != "identity":
            layers.append(ACTIVATIONS[mlp.activation]())
        arrays |= {f"{len(layers)}.W": np.array(W), f"{len(layers)}.b": np.array(b)}
        layers.append(Linear(len(b), init="glorot"))
    network = Network(tuple(layers), len(coefficients[0]))
    classes = mlp.classes_ if loss.task == "classification" else range(network.n_out)
    names = tuple(target_names or (str(name) for name in classes))
    if len(names) != network.n_out:
        raise ConfigError(f"{type(mlp).__name__} has {network.n_out} outputs, but {len(names)} names: {names}")
    columns = getattr(estimator, "feature_names_in_", ())
    return Model(network, arrays, loss, loss.task, _scaling(scalers, network.widths[0]), identity(network.n_out), names,
                 tuple(str(name) for name in columns))  # fmt: skip


def _parts(estimator: Any) -> tuple[list[Any], Any]:
    """The scalers before it, and the perceptron."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    steps = [one for _, one in estimator.steps] if isinstance(estimator, Pipeline) else [estimator]
    steps = [one for one in steps if one not in (None, "passthrough")]
    scalers, mlp = steps[:-1], steps[-1]
    others = [one for one in scalers if not isinstance(one, StandardScaler)]
    if others or not isinstance(mlp, (MLPClassifier, MLPRegressor)):
        raise ConfigError(
            f"from_sklearn takes a fitted MLPClassifier or MLPRegressor, or a pipeline of StandardScalers and one; got "
            f"{type(others[0] if others else mlp).__name__}"
        )
    if not hasattr(mlp, "coefs_"):
        raise ConfigError(f"this {type(mlp).__name__} is not fitted; call its fit first")
    if isinstance(mlp, MLPClassifier) and len(mlp.classes_) < 2:
        raise ConfigError(f"this MLPClassifier knows the class {mlp.classes_[0]!r} alone; fit it on two at least")
    return scalers, mlp


def _scaling(scalers: Sequence[Any], n: int) -> Affine:
    """The scalers one after another as one map: ((x - s)·k - t)·l = (x - (s + t/k))·(k l)."""
    found = identity(n)
    for one in scalers:
        shift = np.zeros(n) if one.mean_ is None else one.mean_
        scale = np.ones(n) if one.scale_ is None else one.scale_
        found = Affine(found.shift + shift / found.scale, found.scale / scale)
    return found


def to_sklearn(model: Model) -> Any:
    """A fitted MLPClassifier or MLPRegressor with the model's predictions on raw rows, in float64.

    Preprocessing, batch norms and the scale of the targets are folded into the coefficients; dropout, which does
    nothing in evaluation, is left out. Classes are in the order of their names, as scikit-learn has them; two of them
    are one logistic output. Raises a ConfigError for a network that scikit-learn has no form for, and for own classes.

    >>> from chainrule import mlp, read, train, Training
    >>> run = train(mlp([8], norm="batch"), read("digits"), training=Training(epochs=1))
    >>> to_sklearn(run.model)
    MLPClassifier(hidden_layer_sizes=(8,))
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.preprocessing import LabelBinarizer

    check_built_in(model, "scikit-learn")
    check_plain(model, "scikit-learn")
    weights, biases, activation = _folded(model)
    options: dict[str, Any] = {"hidden_layer_sizes": tuple(len(b) for b in biases[:-1]), "activation": activation}
    if model.task == "regression":
        return _fitted(_regressor(MLPRegressor, model, options), model, weights, biases)
    estimator, names = MLPClassifier(**options), np.array(model.target_names)
    if model.task == "classification":
        order = np.argsort(names)
        names = names[order]
        weights[-1], biases[-1] = weights[-1][:, order], biases[-1][order]
        if len(names) == 2:  # softmax of (z₀, z₁) is σ(z₁ - z₀)
            weights[-1], biases[-1] = np.diff(weights[-1], axis=1), np.diff(biases[-1])
        targets: NDArray[Any] = names
    else:
        targets = np.eye(len(names), dtype=int) if len(names) > 1 else np.array([0, 1])
    estimator._label_binarizer = LabelBinarizer().fit(targets)
    estimator.classes_ = estimator._label_binarizer.classes_
    estimator.out_activation_ = "softmax" if model.task == "classification" and len(names) > 2 else "logistic"
    return _fitted(estimator, model, weights, biases)


def _regressor(kind: Any, model: Model, options: dict[str, Any]) -> Any:
    poisson = isinstance(model.loss, Poisson)
    if poisson and "loss" not in inspect.signature(kind).parameters:
        raise ConfigError("loss 'poisson' needs scikit-learn 1.7 or later; pip install -U scikit-learn")
    estimator = kind(**options, **({"loss": "poisson"} if poisson else {}))
    estimator.out_activation_ = "exp" if poisson else "identity"
    return estimator


def _fitted(estimator: Any, model: Model, weights: list[Floats], biases: list[Floats]) -> Any:
    """The estimator with what `fit` would have left in it; `partial_fit` and `warm_start` go on from there."""
    estimator.coefs_, estimator.intercepts_ = weights, biases
    estimator.n_layers_, estimator.n_outputs_ = len(weights) + 1, len(biases[-1])
    estimator.n_features_in_ = model.network.widths[0]
    if model.feature_names:
        estimator.feature_names_in_ = np.array(model.feature_names, dtype=object)
    estimator.n_iter_ = estimator.t_ = estimator._no_improvement_count = 0
    estimator.loss_curve_, estimator.best_loss_, estimator.loss_ = [], np.inf, np.inf
    estimator.validation_scores_ = estimator.best_validation_score_ = None
    return estimator


def _folded(model: Model) -> tuple[list[Floats], list[Floats], str]:
    """Weights and biases, everything affine folded in, and the one activation between them."""
    rows = model.preprocessing.on_device
    a, c = rows.scale, -rows.shift * rows.scale  # x ↦ a x + c, pending
    weights: list[Floats] = []
    biases: list[Floats] = []
    activations: list[str] = []

    def settle() -> None:  # what is pending after a linear layer belongs to it
        nonlocal a, c
        weights[-1], biases[-1] = weights[-1] * a, biases[-1] * a + c
        a, c = np.ones(len(a)), np.zeros(len(a))

    for i, layer in enumerate(model.network.layers):
        own = {name: value.astype(np.float64) for name, value in own_arrays(model.parameters, i).items()}
        match layer:
            case Dropout():
                continue
            case Linear():
                if len(activations) < len(weights):
                    settle()
                    activations.append("identity")
                W, b = own["W"], own.get("b", np.zeros(layer.n_out(0)))
                weights.append(a[:, None] * W)
                biases.append(c @ W + b)
                a, c = np.ones(len(b)), np.zeros(len(b))
            case BatchNorm():
                k = own["gamma"] / np.sqrt(own["running_variance"] + layer.epsilon)
                a, c = a * k, (c - own["running_mean"]) * k + own["beta"]
            case ReLU() | Tanh() | Sigmoid() if len(activations) < len(weights):
                settle()
                activations.append(_NAMES[type(layer)])
            case _:
                raise ConfigError(_refused(f"layer {i} ({describe(layer)})"))
    if len(activations) == len(weights) or len(set(activations)) > 1:
        raise ConfigError(_refused(f"the order {model.network!r}"))
    settle()
    if model.task == "regression" and not isinstance(model.loss, Poisson):
        weights[-1] = weights[-1] / model.target.scale
        biases[-1] = biases[-1] / model.target.scale + model.target.shift
    return weights, biases, activations[0] if activations else "relu"


def _refused(what: str) -> str:
    return (
        f"{what} has no form in scikit-learn, whose perceptrons are linear layers with one activation between them, "
        "relu, tanh, sigmoid or none; export to ONNX or NumPy instead"
    )
