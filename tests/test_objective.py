"""The objective: the loss, the penalty λ Σ‖W‖² over weights alone, and stacks of networks equal to each alone."""

from typing import Any

import numpy as np
import pytest
import torch

from chainrule import layers as L
from chainrule.losses import SoftmaxCrossEntropy
from chainrule.network import Network
from chainrule.objective import penalty_value, with_penalty
from gradients import BOTH, NUMPY, Problem, generic, relative_error

NETWORK = Network(
    (
        L.Linear(4),
        L.BatchNorm(),
        L.ReLU(),
        L.Dropout(0.3),
        L.Residual([L.LayerNorm(), L.Linear(4), L.Tanh()]),
        L.Linear(3),
    ),
    5,
)
WEIGHTS = ("0.W", "4.body.1.W", "5.W")


def problem(first: int = 0, leading: tuple[int, ...] = (), **options: Any) -> Problem:
    rng = np.random.default_rng(0)
    arrays = generic(NETWORK, first, leading) | {"x": rng.normal(size=(8, 5))}
    return Problem(NETWORK, SoftmaxCrossEntropy(), arrays, rng.integers(0, 3, 8), **options)


def test_the_weight_matrices_are_what_is_penalised() -> None:
    assert NETWORK.weights == WEIGHTS


def test_the_penalty_is_lambda_times_the_sum_of_squares_without_a_half() -> None:
    W, b = np.array([[1.0, 2.0], [3.0, -4.0]]), np.array([100.0, 100.0])
    assert penalty_value({"0.W": W, "0.b": b}, ["0.W"], 0.5, np) == 0.5 * 30
    gradients = with_penalty({"0.W": np.ones((2, 2)), "0.b": np.ones(2)}, {"0.W": W, "0.b": b}, ["0.W"], 0.5)
    np.testing.assert_array_equal(gradients["0.W"], 1 + W)
    np.testing.assert_array_equal(gradients["0.b"], np.ones(2))


@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
def test_the_penalty_adds_2_lambda_w_to_the_weights_and_nothing_else(on: Any) -> None:
    loss, plain, _ = problem().result(on)
    penalised_loss, penalised, _ = problem(penalty=0.3).result(on)
    assert penalised_loss == loss  # the batch's loss is reported without the penalty
    for name, g in plain.items():
        expected = g + 0.6 * problem().arrays[name] if name in WEIGHTS else g
        np.testing.assert_allclose(penalised[name], expected, rtol=1e-13, atol=1e-15)


def test_a_penalty_is_twice_that_of_pytorchs_weight_decay() -> None:
    """`weight_decay` w adds w·W to the gradient, λ adds 2λ·W."""
    W = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([W], lr=1.0, weight_decay=0.2)
    W.grad = torch.zeros_like(W)
    optimizer.step()
    ours = 1 - with_penalty({"0.W": np.zeros((2, 2))}, {"0.W": np.ones((2, 2))}, ["0.W"], 0.1)["0.W"]
    np.testing.assert_allclose(ours, W.detach())


@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("weighted", [False, True])
def test_stacked_networks_equal_separate_ones(on: Any, training: bool, weighted: bool) -> None:
    """With a seed and a penalty of its own for each, shared rows, dropout and batch norm."""
    seeds, penalties = (3, 14, 15), np.array([0.0, 0.1, 0.5])
    weight = np.random.default_rng(1).uniform(0.5, 2, 8) if weighted else None
    together = problem(0, (3,), seed=seeds, penalty=penalties, training=training, weight=weight)
    loss, gradients, statistics = together.result(on)
    dx = np.zeros((8, 5))
    for i in range(3):
        alone = problem(i, seed=seeds[i], penalty=float(penalties[i]), training=training, weight=weight)
        loss_alone, gradients_alone, statistics_alone = alone.result(on)
        assert loss[i] == pytest.approx(loss_alone, rel=1e-13)
        dx += gradients_alone.pop("x")
        ours = {name: gradients[name][i] for name in gradients_alone} | {n: statistics[n][i] for n in statistics_alone}
        assert relative_error(ours, gradients_alone | statistics_alone) < 1e-12
    np.testing.assert_allclose(gradients["x"], dx, rtol=1e-12, atol=1e-14)  # the rows are shared, so is their gradient
    assert set(statistics) == ({"1.running_mean", "1.running_variance"} if training else set())


@pytest.mark.parametrize("penalty", [0.1, np.float64(0.1), np.float32(0.1)], ids=lambda p: type(p).__name__)
def test_a_penalty_of_any_number_type_keeps_float32_gradients(penalty: Any) -> None:
    W = np.ones((3, 2), np.float32)
    gradients = with_penalty({"0.W": W}, {"0.W": W}, ["0.W"], penalty)
    np.testing.assert_allclose(gradients["0.W"], 1.2 * W, rtol=1e-6)
    assert gradients["0.W"].dtype == np.float32


def test_the_proof_would_notice_a_halved_penalty() -> None:
    halved = problem(penalty=0.2).gradients(NUMPY)
    assert relative_error(halved, problem(penalty=0.4).by_autograd()) > 1e-3
