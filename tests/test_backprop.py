"""The chain rule over a list of layers, and layers that users bring."""

import re
from typing import Any

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule import layers as L
from chainrule import optim
from chainrule.backends import Compute, choose
from chainrule.backprop import Context, Layer, Parameter, forward, parameters_of
from chainrule.errors import ConfigError
from chainrule.losses import SquaredError
from chainrule.network import Network
from chainrule.objective import objective
from chainrule.verify import check_layer, check_network, passed, table
from gradients import BOTH, NUMPY, TORCH, apply, backend, generic


class Square(Layer):
    """y = a x², with its pullback."""

    def parameters(self, n_in: int) -> dict[str, Parameter]:
        return {"a": Parameter((n_in,), "norm", 1.0)}

    def forward(self, parameters: Any, x: Any, context: Context) -> Any:
        a = parameters["a"]

        def pullback(dy: Any) -> Any:
            return dy * 2 * a * x, {"a": context.xp.sum(dy * x * x, axis=-2)}

        return a * x * x, pullback


class BareSquare(Square):
    """The same without a pullback."""

    def forward(self, parameters: Any, x: Any, context: Context) -> Any:
        return parameters["a"] * x * x


def test_two_linear_layers_by_hand() -> None:
    """J = Σ x W V, so dV = (x W)ᵀ 1 and dW = xᵀ 1 Vᵀ."""
    rng = np.random.default_rng(0)
    x, W, V = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=(4, 5))
    layers = [L.Linear(4, bias=False), L.Linear(5, bias=False)]
    y, pullback, statistics = forward(layers, {"0.W": W, "1.W": V}, x, Context(np, training=True))
    dx, gradients = pullback(np.ones((2, 5)))
    np.testing.assert_allclose(y, x @ W @ V)
    np.testing.assert_allclose(gradients["1.W"], (x @ W).T @ np.ones((2, 5)))
    np.testing.assert_allclose(gradients["0.W"], x.T @ np.ones((2, 5)) @ V.T)
    np.testing.assert_allclose(dx, np.ones((2, 5)) @ V.T @ W.T)
    assert statistics == {}


def test_arrays_are_named_by_position_and_way() -> None:
    layers = [L.Linear(3), L.Residual([L.BatchNorm(), L.Linear(3, bias=False)])]
    assert list(parameters_of(layers, 2)) == [
        "0.W", "0.b", "1.body.0.gamma", "1.body.0.beta", "1.body.0.running_mean", "1.body.0.running_variance",
        "1.body.1.W",
    ]  # fmt: skip


def test_more_than_ten_layers_keep_their_own_arrays() -> None:
    network = Network([L.Linear(2) for _ in range(12)], 2)
    parameters = network.initial(0)
    y = x = np.ones((1, 2))
    for i in range(12):
        y = y @ parameters[f"{i}.W"] + parameters[f"{i}.b"]
    shuffled = dict(sorted(parameters.items()))  # "10.W" before "2.W": the order of a dictionary must not matter
    np.testing.assert_allclose(forward(network.layers, shuffled, x, NUMPY.context(training=True)).y, y)


@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
def test_an_own_layer_with_a_pullback_runs_on_both_backends(on: Any) -> None:
    rng = np.random.default_rng(0)
    x, a = rng.normal(size=(3, 2)), rng.normal(size=2)
    done = apply(Square(), on.array(x), {"a": on.array(a)}, on)
    np.testing.assert_allclose(on.numpy(done.y), a * x * x)
    dx, gradients = done.pullback(on.array(np.ones((3, 2))))
    np.testing.assert_allclose(on.numpy(dx), 2 * a * x)
    np.testing.assert_allclose(on.numpy(gradients["0.a"]), (x * x).sum(0))


def test_an_own_layer_with_a_pullback_is_proved_like_any_other() -> None:
    findings = check_layer(Square(), 3)
    assert passed(findings)
    assert {f.against for f in findings} == {"central differences", "autograd", "numpy against torch"}


@pytest.mark.parametrize(("layers", "path"), [
    ((L.Linear(2), BareSquare()), "1"), ((L.Linear(2), L.Residual([L.Tanh(), BareSquare()])), "1.body.1"),
])  # fmt: skip
def test_numpy_refuses_a_layer_without_a_pullback_and_says_what_to_do(layers: Any, path: str) -> None:
    network = Network(layers, 2)
    message = (
        f"Layer {path} (BareSquare) returns no pullback, and this backend cannot derive one. "
        "Return (y, pullback) from its forward, or train with backend 'torch'."
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        forward(network.layers, network.initial(0), np.ones((3, 2)), NUMPY.context(training=True))


def test_torch_derives_a_missing_pullback_equal_to_the_written_one() -> None:
    rng = np.random.default_rng(0)
    x, a, dy = (TORCH.array(rng.normal(size=shape)) for shape in ((4, 3), (3,), (4, 3)))
    with TORCH.scope():
        written, derived = (apply(layer, x, {"a": a}, TORCH) for layer in (Square(), BareSquare()))
        assert not derived.y.requires_grad
        for _ in range(2):
            dx, gradients = derived.pullback(dy)
            np.testing.assert_allclose(dx, written.pullback(dy)[0], rtol=1e-14)
            np.testing.assert_allclose(gradients["0.a"], written.pullback(dy)[1]["0.a"], rtol=1e-14)
    assert not x.requires_grad
    assert not a.requires_grad


class Constant(Layer):
    """y does not depend on x, nor on the parameter."""

    def parameters(self, n_in: int) -> dict[str, Parameter]:
        return {"unused": Parameter((n_in,), "bias", 0.0), "c": Parameter((n_in,), "bias", 0.0)}

    def forward(self, parameters: Any, x: Any, context: Context) -> Any:
        return parameters["c"] + context.xp.zeros_like(x)


@pytest.mark.parametrize("times", [1.0, 5.0])
def test_a_derived_layer_may_use_built_in_ones_where_there_are_kernels(times):
    backend = choose(Compute("torch", "cpu", "float32", threads=1, compiled="always"), 0.0, 1.0)

    assert backend.kernels is not None

    class Bent(Layer):
        def forward(self, parameters, x, context):
            inner = L.Tanh().forward({}, times * x, context)[0]
            return inner if times == 1 else x + inner

    x, dy = torch.linspace(-1, 1, 6).reshape(2, 3), torch.ones(2, 3)
    context = backend.context(training=True)._replace(input_gradient=True)
    with backend.scope():
        _, pullback, _ = forward([Bent()], {}, x, context)
        dx, _ = pullback(dy)
    slope = times * (1 - torch.tanh(times * x) ** 2) + (times != 1)
    torch.testing.assert_close(dx, slope)


def test_what_a_derived_layer_does_not_use_has_gradient_zero() -> None:
    x, c = TORCH.array(np.ones((4, 3))), TORCH.array(np.ones(3))
    with TORCH.scope():
        dx, gradients = apply(Constant(), x, {"unused": c, "c": c}, TORCH).pullback(TORCH.array(np.ones((4, 3))))
    np.testing.assert_array_equal(dx, np.zeros((4, 3)))
    np.testing.assert_array_equal(gradients["0.unused"], np.zeros(3))
    np.testing.assert_array_equal(gradients["0.c"], np.full(3, 4.0))


@pytest.mark.parametrize("precision", ["float64", "float32", "bfloat16"])
def test_torch_trains_through_a_layer_without_a_pullback(precision: Any) -> None:
    on = backend("torch", precision)
    network = Network((L.Linear(8), BareSquare(), L.Linear(1)), 2)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(64, 2))
    x, target = on.array(rows, on.dtype), on.array(rows[:, :1] * rows[:, 1:], on.master)
    parameters, rule = on.parameters(network.initial(0)), optim.Adam(lr=0.02)
    losses = []
    with on.scope():
        slots = optim.init(rule, parameters, on.xp)
        for t in range(100):
            working = on.working(parameters, network.parameters)
            found = objective(network.layers, working, SquaredError(), x, target, None, on.context(training=True))
            assert found.gradients.keys() == parameters.keys()
            parameters, slots = optim.update(rule, parameters, found.gradients, slots, 0.02, t, network.weights, on.xp)
            losses.append(float(found.loss))
    assert losses[-1] < 0.05 * losses[0]  # xy = ((x+y)² - (x-y)²)/4 can be learned exactly


class Mixed(Layer):
    """y = x, with a parameter of the role "weight" of any shape."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def parameters(self, n_in):
        return {"s": Parameter(self.shape, "weight", "he")}

    def forward(self, parameters, x, context):
        return x


@pytest.mark.parametrize("shape", [(), (4,), (2, 4, 4)])
def test_a_weight_that_is_no_matrix_is_refused_by_check_and_training(shape):
    message = (
        f"Mixed: its parameter 's' has the role 'weight' and the shape {shape}; expected a matrix (n_in, n_out), which is "
        "penalised and decayed. Give it the role 'bias', or 'norm', which stays in float32 at least"
    )
    network = Network((L.Linear(4), L.Residual((Mixed(*shape),)), L.Linear()))
    with pytest.raises(ConfigError) as caught:
        check_layer(Mixed(*shape), 4)
    assert str(caught.value) == message
    with pytest.raises(ConfigError) as caught:
        cr.train(network, cr.read("digits"))
    assert str(caught.value) == message


class Centred(Layer):
    """y = a (x - m), with running statistics m and without a pullback."""

    def parameters(self, n_in):
        return {"a": Parameter((n_in,), "norm", 1.0), "m": Parameter((n_in,), "running", 0.0)}

    def forward(self, parameters, x, context):
        return parameters["a"][..., None, :] * (x - parameters["m"][..., None, :])


@pytest.mark.parametrize("seeds", [None, 2])
def test_running_statistics_have_no_derived_gradient_and_pass_training_unchanged(seeds):
    network = Network((L.Linear(8), Centred(), L.Residual((Centred(),)), L.Linear()))
    options = {"seeds": seeds} if seeds else {}
    run = cr.train(
        network, cr.read("digits"), training=cr.Training(epochs=1), compute=Compute("torch", "cpu"), **options
    )
    for one in run if seeds else [run]:
        assert not one.model.parameters["1.m"].any()
        assert not one.model.parameters["2.body.0.m"].any()
        assert not (one.model.parameters["1.a"] == 1).any()


def test_check_says_which_layers_were_derived() -> None:
    network = Network((L.Linear(3), L.Residual([L.Tanh(), BareSquare()]), L.Linear(2)), 2)
    rng = np.random.default_rng(0)
    findings = check_network(network, SquaredError(), rng.normal(size=(5, 2)), rng.normal(size=(5, 2)))
    assert passed(findings)
    assert "(pullback of BareSquare is autograd's own)" in table(findings)
    # central differences stay an independent witness
    assert sum(f.against == "central differences" and f.verdict == "pass" for f in findings) == 6
    assert not any("BareSquare" in f.note for f in findings if f.against == "central differences")


def test_own_layers_take_part_in_stacks() -> None:
    rng = np.random.default_rng(0)
    network = Network((L.Linear(3), BareSquare()), 2)
    parameters = {name: TORCH.array(value) for name, value in generic(network, 0, (2,)).items()}
    parameters["1.a"] = parameters["1.a"][:, None, :]  # a layer of one's own decides how it broadcasts
    x, dy = TORCH.array(rng.normal(size=(4, 2))), TORCH.array(rng.normal(size=(2, 4, 3)))
    with TORCH.scope():
        together = forward(network.layers, parameters, x, TORCH.context(training=True)).pullback(dy)[1]
        for i in range(2):
            own = {name: value[i] for name, value in parameters.items()}
            alone = forward(network.layers, own, x, TORCH.context(training=True)).pullback(dy[i])[1]
            for name, gradient in alone.items():
                np.testing.assert_allclose(together[name][i], gradient, rtol=1e-13)
