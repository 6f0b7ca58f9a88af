"""The proof of the gradients: every layer with every loss in every setting, and whole networks of random shape."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule import layers as L
from chainrule.losses import Huber, Loss, Poisson, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError
from chainrule.network import Network, describe
from gradients import AUTOGRAD, DIFFERENCES, NUMPY, TORCH, Problem, generic, relative_error

ROWS, N_IN, WIDTH, N_OUT = 5, 3, 4, 3

LAYERS = (
    L.Linear(WIDTH), L.Linear(WIDTH, bias=False), L.ReLU(), L.LeakyReLU(), L.LeakyReLU(0.3), L.Tanh(), L.Sigmoid(),
    L.GELU(), L.GELU("tanh"), L.SiLU(), L.SELU(), L.Mish(), L.Dropout(0.4), L.BatchNorm(), L.LayerNorm(),
    L.Residual([L.Linear(6), L.Tanh(), L.Linear(WIDTH)]),
    L.Residual([L.BatchNorm(), L.SiLU(), L.Dropout(0.3), L.Residual([L.LayerNorm(), L.Linear(WIDTH)])]),
)  # fmt: skip

LOSSES = {
    "softmax, class indices": (SoftmaxCrossEntropy(), "labels"),
    "softmax, class indices, smoothed": (SoftmaxCrossEntropy(label_smoothing=0.1), "labels"),
    "softmax, probabilities": (SoftmaxCrossEntropy(), "shares"),
    "softmax, probabilities, smoothed": (SoftmaxCrossEntropy(label_smoothing=0.2), "shares"),
    "sigmoid": (SigmoidCrossEntropy(), "binary"),
    "squared error": (SquaredError(), "numbers"),
    "huber": (Huber(), "numbers"),
    "huber 0.3": (Huber(0.3), "numbers"),
    "poisson": (Poisson(), "counts"),
}

LEADING = ((), (3,), (2, 2))


def target_of(kind: str, rng: np.random.Generator, rows: int, n_out: int) -> np.ndarray:
    match kind:
        case "labels":
            return rng.integers(0, n_out, rows)
        case "shares":
            return rng.dirichlet(np.ones(n_out), rows)
        case "binary":
            return rng.integers(0, 2, (rows, n_out))
        case "counts":
            return rng.poisson(2.0, (rows, n_out)).astype(float)
    return rng.normal(size=(rows, n_out))


def settings_of(layer: L.Linear, loss: Loss, kind: str) -> list[Problem]:
    """The layer between two linear ones, under the loss, with each of penalty, weights, mode and leading axes."""
    network = Network((L.Linear(WIDTH), layer, L.Linear(N_OUT)), N_IN)
    problems = []
    for leading, penalised, weighted, training in product(LEADING, (False, True), (False, True), (True, False)):
        rng = np.random.default_rng([len(leading), penalised, weighted, training])
        arrays = generic(network, 1, leading) | {"x": rng.normal(size=(ROWS, N_IN))}
        problems.append(Problem(
            network, loss, arrays, target_of(kind, rng, ROWS, N_OUT),
            weight=rng.uniform(0.5, 2.0, ROWS) if weighted else None,
            penalty=rng.uniform(0.01, 0.3, leading) if penalised and leading else 0.1 * penalised,
            training=training, seed=(5, 6, 7) if leading == (3,) else 5,
        ))  # fmt: skip
    return problems


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("layer", LAYERS, ids=describe)
def test_every_layer_and_loss_has_the_gradient_of_its_objective(layer: L.Linear, name: str) -> None:
    loss, kind = LOSSES[name]
    for problem in settings_of(layer, loss, kind):
        assert relative_error(problem.gradients(), problem.by_autograd()) < AUTOGRAD, problem
        error, smooth = problem.slope_along_a_line(np.random.default_rng(2))
        assert error < DIFFERENCES or not smooth, problem
        assert smooth or "relu" in describe(layer) or "huber" in name or "selu" in describe(layer)


@st.composite
def layer_lists(draw: st.DrawFn, width: int, depth: int = 0, most: int = 5) -> tuple[list[L.Linear], int]:
    """Layers from rows of `width`, and the width they end with."""
    found = []
    for _ in range(draw(st.integers(0 if depth == 0 else 1, most))):
        kind = draw(st.sampled_from(["linear", "activation", "dropout", "batch", "layer", "residual"]))
        match kind:
            case "linear":
                width = draw(st.integers(1, 6))
                init = draw(st.sampled_from(["he", "glorot", "lecun", "orthogonal", L.Init("normal", std=0.5)]))
                found.append(L.Linear(width, init=init, bias=draw(st.booleans())))
            case "activation":
                found.append(draw(st.sampled_from(
                    [L.ReLU(), L.LeakyReLU(0.2), L.Tanh(), L.Sigmoid(), L.GELU(), L.GELU("tanh"), L.SiLU(), L.SELU(),
                     L.Mish()]
                )))  # fmt: skip
            case "dropout":
                found.append(L.Dropout(draw(st.sampled_from([0.0, 0.2, 0.5]))))
            case "batch":
                found.append(L.BatchNorm(draw(st.sampled_from([0.1, 1.0])), draw(st.sampled_from([1e-5, 0.1]))))
            # a norm over fewer than three features is ±1 or 0, with ε deciding the gradient
            case "layer" if width >= 3:
                found.append(L.LayerNorm(draw(st.sampled_from([1e-5, 0.1]))))
            case "residual" if depth < 2:
                body, ends = draw(layer_lists(width, depth + 1, 3))
                found.append(L.Residual([*body, L.Linear(width)] if ends != width or not body else body))
    return found, width


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    n_in = draw(st.integers(1, 5))
    body, _ = draw(layer_lists(n_in))
    loss, kind = LOSSES[draw(st.sampled_from(sorted(LOSSES)))]
    n_out = draw(st.integers(2 if kind in ("labels", "shares") else 1, 4))  # softmax over one output is constant
    network = Network((*body, L.Linear(n_out)), n_in)
    # batch norm of two or three rows lets rounding through: its gradient there is a small rest of large terms
    rows, leading = draw(st.integers(4, 8)), draw(st.sampled_from([(), (2,)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return Problem(
        network, loss,
        generic(network, draw(st.integers(0, 1000)), leading) | {"x": rng.normal(size=(rows, n_in))},
        target_of(kind, rng, rows, n_out),
        weight=rng.uniform(0.1, 3.0, rows) if draw(st.booleans()) else None,
        penalty=draw(st.sampled_from([0.0, 0.01, 1.0])),
        training=draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(problems())
def test_networks_of_random_shape_have_the_gradient_of_their_objective(problem: Problem) -> None:
    # A norm after terms that nearly cancel magnifies rounding, in ours and in the witness alike. How much, one sees from
    # the last bit of every number: nearly always far less than 1e-12, once in some thousand networks more.
    ours = problem.gradients()
    rng = np.random.default_rng(1)
    nudged = {name: a * (1 + 2.0**-52 * rng.choice([-1, 1], a.shape)) for name, a in problem.arrays.items()}
    bound = max(AUTOGRAD, 10 * relative_error(problem._replace(arrays=nudged).gradients(), ours))
    assert bound < 1e-8
    assert relative_error(ours, problem.by_autograd()) < bound
    assert relative_error(ours, problem.gradients(TORCH)) < bound
    error, smooth = problem.slope_along_a_line(np.random.default_rng(0))
    assert error < DIFFERENCES or not smooth


def test_an_unasked_gradient_of_the_rows_is_not_computed_and_changes_no_other() -> None:
    network = Network((L.Dropout(0.2), L.Linear(4), L.Tanh(), L.Linear(3)), 3)
    rng = np.random.default_rng(0)
    parameters, x, dy = generic(network), rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    from chainrule.backprop import forward

    context = NUMPY.context(training=True, seed=1)
    dx, without = forward(network.layers, parameters, x, context).pullback(dy)
    _, with_it = forward(network.layers, parameters, x, context._replace(input_gradient=True)).pullback(dy)
    assert dx is None
    assert relative_error(without, with_it) == 0
