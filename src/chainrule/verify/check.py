"""Prove gradients: a layer, a loss or a whole network, against central differences, autograd and the other backend."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.backends import Backend, Compute, choose, derived
from chainrule.backprop import Layer, Parameter, forward, parameters_of
from chainrule.losses import Loss
from chainrule.network import Network, describe, kind_of
from chainrule.network.audit import audit, audit_loss
from chainrule.network.network import initial_values
from chainrule.objective import mean_loss, objective, penalty_value
from chainrule.seeds import stream
from chainrule.spec import expect, expect_count
from chainrule.verify.comparisons import BOUNDS, Comparison
from chainrule.verify.differences import Difference, central_differences
from chainrule.verify.given import expect_inputs, expect_targets, expect_weights

Arrays = dict[str, NDArray[np.float64]]


class Subject(NamedTuple):
    """Something with a gradient: a function of named arrays.

    value(arrays, backend): J, an array of the backend. gradients(arrays, backend): ∂J/∂array by our pullbacks.
    derived: names of layers without a pullback of their own, which only torch can run.
    """

    name: str
    arrays: Arrays
    value: Callable[[Mapping[str, Any], Backend], Any]
    gradients: Callable[[Mapping[str, Any], Backend], Mapping[str, Any]]
    derived: str = ""


def prove(subject: Subject, *, n_entries: int = 12, seed: int = 0) -> list[Comparison]:
    """One comparison for each array and witness. Without torch, autograd and the other backend are not run."""
    has_torch = find_spec("torch") is not None
    ours = _backend("torch" if subject.derived else "numpy")
    gradients = _gradients(subject, ours)
    largest = max((float(np.max(np.abs(g))) for g in gradients.values()), default=0.0)
    scales = {name: max(float(np.max(np.abs(g))), 1e-3 * largest, 1e-300) for name, g in gradients.items()}
    comparisons = []
    witnesses = _other_witnesses(subject) if has_torch else {"autograd": {}, "numpy against torch": {}}
    for name, gradient in gradients.items():
        comparisons.append(_by_differences(subject, name, gradient, scales[name], ours, n_entries, seed))
        for against, theirs in witnesses.items():
            if name in theirs:
                comparisons.append(
                    _by_witness(subject, name, against, gradient, theirs[name], scales[name], ours, n_entries, seed)
                )
            else:
                comparisons.append(Comparison(subject.name, name, against, 0, 0, 0.0, "(PyTorch is not installed)"))
    return comparisons


def _backend(name: str) -> Backend:
    return choose(Compute(backend=name, precision="float64", device="cpu"), 0.0)  # type: ignore[arg-type]


def _gradients(subject: Subject, backend: Backend) -> Arrays:
    with backend.scope():
        held = {name: backend.array(value, backend.dtype) for name, value in subject.arrays.items()}
        return {name: backend.numpy(g) for name, g in subject.gradients(held, backend).items()}


def _by_differences(
    subject: Subject, name: str, gradient: NDArray[Any], scale: float, backend: Backend, n_entries: int, seed: int
) -> Comparison:
    entries, estimates, settled = _differences(subject, name, scale, backend, n_entries, seed)
    errors = np.abs(gradient.reshape(-1)[entries] - estimates)[settled] / scale
    error = float(errors.max()) if errors.size else float("nan")
    return Comparison(subject.name, name, "central differences", int(settled.sum()), int((~settled).sum()), error)


def _by_witness(
    subject: Subject, name: str, against: str, gradient: NDArray[Any], theirs: NDArray[Any], scale: float,
    backend: Backend, n_entries: int, seed: int,
) -> Comparison:  # fmt: skip
    """All entries at once, but for those where autograd stands alone, which lie at kinks."""
    errors = np.abs(gradient - theirs).reshape(-1) / scale
    apart = np.flatnonzero(~(errors <= BOUNDS[against]))
    if against == "autograd" and apart.size:
        asked = _differences(subject, name, scale, backend, n_entries, seed, apart)
        if _autograd_alone(asked, gradient, theirs, scale):
            errors = np.delete(errors, apart)
    error = float(errors.max()) if errors.size else float("nan")
    note = f"(pullback of {subject.derived} is autograd's own)" if subject.derived else ""
    return Comparison(subject.name, name, against, errors.size, gradient.size - errors.size, error, note)


def _autograd_alone(asked: Difference, gradient: NDArray[Any], theirs: NDArray[Any], scale: float) -> bool:
    """Whether each entry asked lies at a kink, or differences side with ours.

    Where a function is written with max, abs or where, autograd takes a slope of its own at a tie: ½ for max(x, 0) at
    x = 0, and for σ written with |x|, which has no kink, 0 instead of ¼.
    """
    bound = BOUNDS["central differences"] * scale
    ours_fits, theirs_fits = (
        np.abs(g.reshape(-1)[asked.entries] - asked.estimates) <= bound for g in (gradient, theirs)
    )
    return bool(np.all(~asked.settled | (ours_fits & ~theirs_fits)))


def _differences(
    subject: Subject, name: str, scale: float, backend: Backend, n_entries: int, seed: int,
    among: NDArray[np.int64] | None = None,
) -> Difference:  # fmt: skip
    arrays = {key: np.array(value) for key, value in subject.arrays.items()}

    def f() -> float:
        held = {key: backend.array(value, backend.dtype) for key, value in arrays.items()}
        return float(subject.value(held, backend))

    with backend.scope():
        rng = stream(seed, f"check/{subject.name}/{name}")
        return central_differences(f, arrays[name], scale, n_entries, rng, among)


def _other_witnesses(subject: Subject) -> dict[str, Arrays]:
    import torch

    backend = _backend("torch")
    held = {name: backend.array(value).clone().requires_grad_() for name, value in subject.arrays.items()}
    value = subject.value(held, backend)
    by_autograd = torch.autograd.grad(value, list(held.values()), allow_unused=True, materialize_grads=True)
    witnesses = {"autograd": {name: g.numpy() for name, g in zip(held, by_autograd, strict=True)}}
    return witnesses if subject.derived else witnesses | {"numpy against torch": _gradients(subject, backend)}


def check_layer(layer: Layer, n_in: int, *, name: str = "", rows: int = 5, training: bool = True,
                n_entries: int = 12, seed: int = 0) -> list[Comparison]:  # fmt: skip
    """A layer alone: J = Σ c ⊙ y for random x (rows, n_in) and a random c.

    n_entries: of each array that central differences are taken at; autograd and the other backend are compared in all.
    Raises a ConfigError for a layer that does not take n_in columns.

    >>> from chainrule import Tanh
    >>> found = check_layer(Tanh(), n_in=3)
    >>> {one.against for one in found} >= {"central differences", "autograd"}, max(one.error for one in found) < 1e-7
    (True, True)
    """
    expect_count("n_in", n_in)
    expect_count("rows", rows)
    expect_count("n_entries", n_entries)
    Network((layer,), n_in)
    _audit((layer,), n_in, np.asarray(layer.example(stream(seed, "check/audit"), 2, n_in)))
    roles = layer.parameters(n_in)
    rng = stream(seed, "check/layer")
    arrays = generic_values(roles, seed)
    running = {key: arrays.pop(key) for key in list(arrays) if roles[key].role == "running"}
    arrays["x"] = np.asarray(layer.example(rng, rows, n_in))
    c = rng.normal(size=(rows, layer.n_out(n_in)))

    def run(held: Mapping[str, Any], backend: Backend) -> Any:
        own = {f"0.{key}": value for key, value in held.items() if key != "x"}
        own |= {f"0.{key}": backend.array(value) for key, value in running.items()}
        context = backend.context(training=training, seed=seed)._replace(input_gradient=True)
        return forward([layer], own, held["x"], context)

    def value(held: Mapping[str, Any], backend: Backend) -> Any:
        return backend.xp.sum(run(held, backend).y * backend.array(c))

    def gradients(held: Mapping[str, Any], backend: Backend) -> Mapping[str, Any]:
        dx, own = run(held, backend).pullback(backend.array(c))
        return {key.removeprefix("0."): g for key, g in own.items()} | {"x": dx}

    title = name or f"{describe(layer)}, {'training' if training else 'evaluation'}"
    return prove(
        Subject(title, arrays, value, gradients, ", ".join(derived([layer], n_in))), n_entries=n_entries, seed=seed
    )


def check_loss(loss: Loss, n_out: int, target: NDArray[Any], weight: NDArray[Any] | None = None, *,
               n_entries: int = 12, seed: int = 0) -> list[Comparison]:  # fmt: skip
    """A loss alone: dlogits for random logits (batch, n_out). target: as the loss takes it. weight: (batch,).

    >>> from chainrule import SquaredError
    >>> max(one.error for one in check_loss(SquaredError(), 2, np.zeros((4, 2)))) < 1e-7
    True
    """
    _check_loss(loss)
    expect_count("n_out", n_out)
    expect_count("n_entries", n_entries)
    n = expect_targets(loss, target, n_out)
    weight = expect_weights(weight, n)
    logits = 2 * stream(seed, "check/loss").normal(size=(n, n_out))
    _audit_loss(loss, logits, target)

    def run(held: Mapping[str, Any], backend: Backend) -> Any:
        w = None if weight is None else backend.array(weight, backend.dtype)
        return loss(held["logits"], backend.array(target), w, backend.xp)

    subject = Subject(
        f"loss {kind_of(loss)}{'' if weight is None else ', weighted'}",
        {"logits": logits},
        lambda held, backend: run(held, backend)[0],
        lambda held, backend: {"logits": run(held, backend)[1]},
    )
    return prove(subject, n_entries=n_entries, seed=seed)


def check_network(network: Network, loss: Loss, x: NDArray[Any], target: NDArray[Any],
                  weight: NDArray[Any] | None = None, *, penalty: float = 0.0, training: bool = True,
                  n_entries: int = 12, seed: int = 0) -> list[Comparison]:  # fmt: skip
    """A whole network with its loss and penalty on the rows x (batch, n_in).

    Weights are those that training would start from; biases, norms and running statistics, which start at the same
    number each, are drawn at random, so that the point is a generic one. Dropout masks are those of step 0.
    target: as the loss takes it. weight: of the rows, (batch,). penalty: λ. Raises a ConfigError for layers that do not
    fit.

    >>> from chainrule import SoftmaxCrossEntropy, mlp
    >>> network = mlp([4]).sized(3, 2)
    >>> found = check_network(network, SoftmaxCrossEntropy(), np.ones((5, 3)), np.array([0, 1, 0, 1, 1]))
    >>> sorted({one.parameter for one in found})
    ['0.W', '0.b', '2.W', '2.b', 'x']
    """
    expect("network", network, isinstance(network, Network), "a Network, such as mlp([4]).sized(3, 2)")
    _check_loss(loss)
    expect_count("n_entries", n_entries)
    rows = expect_inputs(x, network.widths[0])
    expect_targets(loss, target, network.n_out, len(rows))
    weight = expect_weights(weight, len(rows))
    _audit_loss(loss, 2 * stream(seed, "check/loss").normal(size=(len(rows), network.n_out)), target)
    _audit(network.layers, network.widths[0], rows[:2])
    arrays = generic_values(network.parameters, seed)
    running = {key: arrays.pop(key) for key in list(arrays) if network.parameters[key].role == "running"}
    arrays["x"] = rows

    def given(held: Mapping[str, Any], backend: Backend) -> Any:
        parameters = {key: value for key, value in held.items() if key != "x"}
        parameters |= {key: backend.array(value) for key, value in running.items()}
        context = backend.context(training=training, seed=seed)._replace(input_gradient=True)
        w = None if weight is None else backend.array(weight, backend.dtype)
        return parameters, backend.array(target), w, context

    def value(held: Mapping[str, Any], backend: Backend) -> Any:
        parameters, t, w, context = given(held, backend)
        logits = forward(network.layers, parameters, held["x"], context).y
        mean = mean_loss(loss, logits, t, w, context, network.n_members)[0]
        return mean + penalty_value(parameters, network.weights, penalty, backend.xp)

    def gradients(held: Mapping[str, Any], backend: Backend) -> Mapping[str, Any]:
        parameters, t, w, context = given(held, backend)
        result = objective(network.layers, parameters, loss, held["x"], t, w, context, network.weights, penalty)
        return {name: result.gradients[name] for name in network.trainable} | {"x": result.dx}

    title = f"network, {'training' if training else 'evaluation'}"
    return prove(
        Subject(title, arrays, value, gradients, ", ".join(derived(network.layers, network.widths[0]))),
        n_entries=n_entries,
        seed=seed,
    )


def _check_loss(loss: object) -> None:
    """Anything may be a loss that is called as one is, but not the name or the class of one."""
    expect("loss", loss, callable(loss) and not isinstance(loss, type), "a loss, such as Huber()")


def generic_values(parameters: Mapping[str, Parameter], seed: int) -> Arrays:
    """Weights as initialised; all else is drawn around its start, so that it keeps its sign: variances from ½ to 2."""
    values = initial_values(parameters, seed)
    for name, parameter in parameters.items():
        if parameter.role != "weight":
            rng = stream(seed, f"check/{name}")
            start = values[name]
            width = np.where(start == 1.0, 0.7, 0.1)  # a rate of 0.9 stays below 1
            drawn = start * np.exp(rng.uniform(-width, width))
            values[name] = np.where(start == 0.0, 0.1 * rng.normal(size=parameter.shape), drawn)
    return values


def _audit(layers: Sequence[Layer], n_in: int, x: NDArray[Any]) -> None:
    backend = _backend("torch" if find_spec("torch") else "numpy")
    with backend.scope():
        parameters = backend.parameters(generic_values(parameters_of(layers, n_in), 0))
        audit(layers, parameters, backend.array(x, backend.dtype), backend.context(training=True))


def _audit_loss(loss: Loss, logits: NDArray[np.float64], target: NDArray[Any]) -> None:
    backend = _backend("torch" if find_spec("torch") else "numpy")
    with backend.scope():
        audit_loss(loss, backend.array(logits), backend.array(target), backend.xp)
