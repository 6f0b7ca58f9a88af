"""Activations in C: those of the equations, within a few units in the last place."""

import numpy as np
import pytest
from scipy.special import ndtr

import chainrule as cr
from compiled import WAYS, compiled


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("layer", [cr.ReLU(), cr.LeakyReLU(0.1)], ids=repr)
def test_relu_and_its_pullback(way, layer):
    made, rng = compiled(*way), np.random.default_rng(2)
    x = made.array(rng.normal(size=(70, 300)).round(1), made.dtype)  # zeros among them
    dy = made.array(rng.normal(size=(70, 300)), made.dtype)
    y, back = made.kernels.activation(layer, x)
    expected, pullback = layer.forward({}, x, made.context(training=False))
    np.testing.assert_array_equal(made.numpy(y), made.numpy(expected))
    np.testing.assert_array_equal(made.numpy(back(dy)), made.numpy(pullback(dy)[0]))
    turned = made.array(rng.normal(size=(300, 70)), made.dtype).mT
    np.testing.assert_array_equal(made.numpy(back(turned)), made.numpy(pullback(turned)[0]))
    assert made.kernels.activation(layer, turned) is None
    unknown = made.array(np.full((70, 300), np.nan), made.dtype)
    assert np.isnan(made.numpy(back(unknown))).all()  # where x < 0 too


SMOOTH = [cr.Tanh(), cr.Sigmoid(), cr.GELU(), cr.GELU("tanh"), cr.SiLU(), cr.SELU(), cr.Mish(), cr.SmoothClip()]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("layer", SMOOTH, ids=repr)
def test_smooth_activations_and_their_slopes_are_within_a_few_places(way, layer):
    """Against float64: of the value itself, so that small ones near 0 are right, or of what Python loses too."""
    made, rng = compiled(*way), np.random.default_rng(2)
    values = np.concatenate(
        [rng.normal(size=20_000) * 3, np.linspace(-110, 110, 20_001), 10 ** rng.uniform(-30, 0, 5000)]
    )
    x = made.array(np.concatenate([values, -values]).reshape(-1, 2), made.dtype)
    dy = made.array(rng.normal(size=x.shape), made.dtype)
    y, back = made.kernels.activation(layer, x)
    exact, pullback = layer.forward({}, made.numpy(x).astype(np.float64), cr.Context(np, training=True))
    place = 2.0**-8 if way[1] == "bfloat16" else 2.0**-23
    size = np.abs(made.numpy(x).astype(np.float64))
    lost = 2 * np.minimum(size, 8) * 2.0**-23  # 1 - Φ and the like; e^(-x²/2) of a rounded x²
    assert (np.abs(made.numpy(y) - exact) <= 4 * place * np.abs(exact) + lost).all()
    near = np.abs(made.numpy(back(dy)) - pullback(made.numpy(dy).astype(np.float64))[0])
    slack = 3 * place if isinstance(layer, cr.Tanh | cr.Sigmoid) else 2e-6  # of a rounded y
    assert (near <= np.abs(made.numpy(dy)) * (4 * place * np.abs(pullback(np.ones(x.shape))[0]) + slack)).all()


def test_the_tail_of_gelu_keeps_its_digits():
    made, x = compiled("numpy", "float32", 1), np.linspace(-13, -1, 4001, dtype=np.float32)[None]
    found = made.kernels.activation(cr.GELU(), x)[0]
    np.testing.assert_allclose(found, x * ndtr(x.astype(np.float64)), rtol=1e-5)  # NumPy's own has none left at -6


@pytest.mark.parametrize("layer", SMOOTH, ids=repr)
def test_small_values_keep_their_digits(layer):
    made = compiled("numpy", "float32", 1)
    x = np.logspace(-30, -1, 400, dtype=np.float32)
    x = np.concatenate([x, -x])[None]
    exact = layer.forward({}, x.astype(np.float64), cr.Context(np, training=True))[0]
    np.testing.assert_allclose(made.kernels.activation(layer, x)[0], exact, rtol=1e-6)


@pytest.mark.parametrize("layer", [*SMOOTH, cr.ReLU(), cr.LeakyReLU()], ids=repr)
def test_what_is_not_a_number_stays_so(layer):
    made = compiled("numpy", "float32", 1)
    y, back = made.kernels.activation(layer, np.full((3, 5), np.nan, np.float32))
    assert np.isnan(y).all()
    if not isinstance(layer, cr.ReLU | cr.LeakyReLU):
        assert np.isnan(back(np.ones((3, 5), np.float32))).all()


def test_an_activation_of_ones_own_stays_in_python():
    class Own(cr.Tanh):
        pass

    made, x = compiled("numpy", "float32", 1), np.zeros((2, 2), np.float32)
    assert made.kernels.activation(Own(), x) is None
    assert made.kernels.activation(cr.Tanh(), x.astype(np.float64)) is None
