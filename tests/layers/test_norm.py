"""Batch and layer normalisation against torch.nn."""

from typing import Any

import numpy as np
import pytest
import torch

from chainrule.layers import BatchNorm, LayerNorm
from gradients import BOTH, NUMPY, TORCH, apply, backend

RUNNING = ("running_mean", "running_variance")


def norm_parameters(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    return {"gamma": rng.uniform(0.5, 2, n), "beta": rng.normal(size=n),
            "running_mean": np.zeros(n), "running_variance": np.ones(n)}  # fmt: skip


def torch_twin(layer: Any, parameters: dict[str, np.ndarray], n: int) -> torch.nn.Module:
    twin = (
        torch.nn.BatchNorm1d(n, layer.epsilon, layer.momentum, dtype=torch.float64)
        if isinstance(layer, BatchNorm)
        else torch.nn.LayerNorm(n, layer.epsilon, dtype=torch.float64)
    )
    twin.weight.data, twin.bias.data = torch.tensor(parameters["gamma"]), torch.tensor(parameters["beta"])
    return twin


@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
@pytest.mark.parametrize("layer", [BatchNorm(), BatchNorm(momentum=0.3, epsilon=0.1), BatchNorm(momentum=1.0)], ids=str)
def test_batch_norm_follows_pytorch_through_training_into_evaluation(layer: BatchNorm, on: Any) -> None:
    rng = np.random.default_rng(0)
    parameters = norm_parameters(rng, 4)
    twin = torch_twin(layer, parameters, 4)
    for step in range(6):
        training = step < 5
        twin.train(training)
        x, dy = rng.normal(3.0, 2.0, (7 + step, 4)), rng.normal(size=(7 + step, 4))
        x_theirs = torch.tensor(x, requires_grad=True)
        y_theirs = twin(x_theirs)
        twin.zero_grad()
        y_theirs.backward(torch.tensor(dy))

        held = {name: on.array(value) for name, value in parameters.items()}
        done = apply(layer, on.array(x), held, on, training=training)
        dx, gradients = done.pullback(on.array(dy))
        for ours, theirs in ((done.y, y_theirs), (dx, x_theirs.grad), (gradients["0.gamma"], twin.weight.grad),
                             (gradients["0.beta"], twin.bias.grad)):  # fmt: skip
            np.testing.assert_allclose(on.numpy(ours), theirs.detach().numpy(), rtol=1e-12, atol=1e-13)
        parameters |= {name.removeprefix("0."): on.numpy(value) for name, value in done.statistics.items()}
        np.testing.assert_allclose(parameters["running_mean"], twin.running_mean.numpy(), rtol=1e-14)
        np.testing.assert_allclose(parameters["running_variance"], twin.running_var.numpy(), rtol=1e-14)


@pytest.mark.parametrize("layer", [BatchNorm(), LayerNorm()], ids=str)
def test_evaluation_renews_no_statistics(layer: Any) -> None:
    rng = np.random.default_rng(0)
    assert apply(layer, rng.normal(size=(5, 3)), norm_parameters(rng, 3), NUMPY, training=False).statistics == {}


def test_batch_norm_of_a_single_row_gives_beta_and_finite_statistics() -> None:
    rng = np.random.default_rng(0)
    parameters = norm_parameters(rng, 3)
    with np.errstate(all="raise"):
        done = apply(BatchNorm(), rng.normal(size=(1, 3)), parameters, NUMPY)
        dx, _ = done.pullback(np.ones((1, 3)))
    np.testing.assert_array_equal(done.y, parameters["beta"][None])
    np.testing.assert_array_equal(dx, np.zeros((1, 3)))
    np.testing.assert_allclose(done.statistics["0.running_variance"], 0.9)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
def test_layer_norm_is_pytorchs_in_both_modes(on: Any, training: bool) -> None:
    rng = np.random.default_rng(1)
    layer, parameters = LayerNorm(epsilon=0.01), norm_parameters(rng, 6)
    twin = torch_twin(layer, parameters, 6)
    x, dy = rng.normal(3.0, 2.0, (5, 6)), rng.normal(size=(5, 6))
    x_theirs = torch.tensor(x, requires_grad=True)
    y_theirs = twin(x_theirs)
    y_theirs.backward(torch.tensor(dy))
    own = {name: on.array(value) for name, value in parameters.items() if name not in RUNNING}
    done = apply(layer, on.array(x), own, on, training=training)
    dx, gradients = done.pullback(on.array(dy))
    for ours, theirs in ((done.y, y_theirs), (dx, x_theirs.grad), (gradients["0.gamma"], twin.weight.grad),
                         (gradients["0.beta"], twin.bias.grad)):  # fmt: skip
        np.testing.assert_allclose(on.numpy(ours), theirs.detach().numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("layer", [BatchNorm(), LayerNorm()], ids=str)
def test_statistics_of_bfloat16_rows_far_from_zero_are_taken_wide(layer: Any) -> None:
    """Rows of 1000 ± 40, where bfloat16 has steps of 4: a mean or variance rounded to it would be lost in the y."""
    low = backend("torch", "bfloat16")
    rng = np.random.default_rng(2)
    parameters = norm_parameters(rng, 64)
    x = low.array(rng.normal(1000.0, 40.0, (32, 64)), low.dtype)
    own = {name: value for name, value in parameters.items() if isinstance(layer, BatchNorm) or name not in RUNNING}
    narrow = apply(layer, x, {name: low.array(value, torch.float32) for name, value in own.items()}, low)
    exact = apply(layer, x.double(), {name: TORCH.array(value) for name, value in own.items()}, TORCH)
    # y up to 6 is rounded to bfloat16 once, by up to 2⁻⁷; everything before is float32
    np.testing.assert_allclose(narrow.y.double(), exact.y, rtol=2**-8, atol=1e-4)
    for name, statistic in narrow.statistics.items():
        assert statistic.dtype == torch.float32
        np.testing.assert_allclose(statistic, exact.statistics[name], rtol=1e-5)


def test_float32_variance_does_not_cancel_far_from_zero() -> None:
    """The mean is taken off before squaring; E[x²] - E[x]² would have no digit left here."""
    rng = np.random.default_rng(3)
    x = rng.normal(1e4, 1.0, (64, 3)).astype(np.float32)
    parameters = norm_parameters(rng, 3)
    exact = apply(BatchNorm(), x.astype(np.float64), parameters, NUMPY)
    narrow = apply(BatchNorm(), x, {name: value.astype(np.float32) for name, value in parameters.items()}, NUMPY)
    # the mean, 1e4, is known to 2⁻²⁴ of itself, 6e-4 of the deviation
    np.testing.assert_allclose(narrow.y, exact.y, atol=3e-3)
    np.testing.assert_allclose(
        narrow.statistics["0.running_variance"], exact.statistics["0.running_variance"], rtol=1e-4
    )
