"""Activations against torch.nn.functional, whose formulas and gradients were written by others."""

from typing import Any

import numpy as np
import pytest
import torch.nn.functional as F

from chainrule import layers as L
from gradients import BOTH, apply, torch_value_and_slope

PAIRS = [
    (L.ReLU(), F.relu),
    (L.LeakyReLU(), F.leaky_relu),
    (L.LeakyReLU(0.0), lambda x: F.leaky_relu(x, 0.0)),
    (L.LeakyReLU(0.3), lambda x: F.leaky_relu(x, 0.3)),
    (L.Tanh(), F.tanh),
    (L.Sigmoid(), F.sigmoid),
    (L.GELU(), F.gelu),
    (L.GELU("tanh"), lambda x: F.gelu(x, approximate="tanh")),
    (L.SiLU(), F.silu),
    (L.SELU(), F.selu),
    (L.Mish(), F.mish),
]
LAYERS = [pytest.param(layer, function, id=str(layer)) for layer, function in PAIRS]
NEAR = np.concatenate([np.linspace(-8, 8, 161), [0.0, -0.0, 1e-9, -1e-9, 1e-300, -1e-300]])  # 0 itself among them
FAR = np.array([1e4, -1e4, 700.0, -700.0, 89.0, -89.0, 40.0, -40.0])


def value_and_slope(layer: L.Activation, x: np.ndarray, on: Any, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(all="raise", under="ignore"):  # underflow to 0 is what a saturated function should do
        done = apply(layer, on.array(x), {}, on)
        return on.numpy(done.y), on.numpy(done.pullback(on.array(dy))[0])


@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
@pytest.mark.parametrize(("layer", "function"), LAYERS)
def test_values_and_slopes_are_those_of_pytorch(layer: L.Activation, function: Any, on: Any) -> None:
    x = np.concatenate([NEAR, FAR]).reshape(-1, 1)
    dy = np.random.default_rng(0).normal(size=x.shape)
    y, dx = value_and_slope(layer, x, on, dy)
    expected_y, expected_dx = torch_value_and_slope(function, x, dy)
    # relative to 1 in the tails, where 1 + erf(x) and 1 + tanh(x) cancel in both; to the value beyond
    np.testing.assert_allclose(y, expected_y, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(dx, expected_dx, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("layer", "slope"), [
    (L.ReLU(), 0.0), (L.LeakyReLU(0.3), 0.3), (L.SELU(), 1.0507009873554805 * 1.6732632423543772), (L.Tanh(), 1.0),
    (L.Sigmoid(), 0.25), (L.GELU(), 0.5), (L.GELU("tanh"), 0.5), (L.SiLU(), 0.5), (L.Mish(), 0.6),
], ids=str)  # fmt: skip
def test_the_slope_at_exactly_zero(layer: L.Activation, slope: float) -> None:
    x = np.zeros((1, 1))
    for on in BOTH:
        assert value_and_slope(layer, x, on, np.ones((1, 1)))[1].item() == pytest.approx(slope, rel=1e-15)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("layer", [layer for layer, _ in PAIRS], ids=str)
def test_nothing_overflows_far_out_in_low_precision(layer: L.Activation, precision: str) -> None:
    from gradients import backend

    x = FAR.reshape(-1, 1)
    exact_y, exact_dx = value_and_slope(layer, x, BOTH[0], np.ones_like(x))
    for name in ("numpy", "torch") if precision == "float32" else ("torch",):
        on = backend(name, precision)
        with np.errstate(all="raise", under="ignore"):
            done = apply(layer, on.array(x, on.dtype), {}, on)
            y, dx = on.numpy(done.y), on.numpy(done.pullback(on.array(np.ones_like(x), on.dtype))[0])
        # the inputs themselves are rounded to 2⁻⁹ of their size in bfloat16, to 2⁻²⁴ in float32
        unit = 2.0**-8 if precision == "bfloat16" else 2.0**-23
        np.testing.assert_allclose(y, exact_y, rtol=2 * unit, atol=2 * unit)
        np.testing.assert_allclose(dx, exact_dx, rtol=2 * unit, atol=2 * unit)
