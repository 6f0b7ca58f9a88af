"""Norms and sums over rows in C compute what the Python does that they stand in for."""

from functools import partial

import numpy as np
import pytest

import chainrule as cr
from compiled import WAYS, compiled


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("shape", [(300, 401), (33, 128), (5, 1), (3, 40, 130)])
def test_layer_norm_and_its_pullback(way, shape):
    made, rng = compiled(*way), np.random.default_rng(3)
    layer, n = cr.LayerNorm(), (*shape[:-2], shape[-1])
    held = {name: made.array(rng.normal(size=n), made.master) for name in ("gamma", "beta")}
    x, dy = (made.array(rng.normal(2, 3, shape), made.dtype) for _ in range(2))
    context = made.context(training=True)
    assert made.kernels.layer_norm(x, held["gamma"], held["beta"], 1e-5) is not None
    found, expected = (layer.forward(held, x, one) for one in (context, context._replace(kernels=None)))
    tolerance = 0.03 if way[1] == "bfloat16" else 2e-5
    same = partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance)
    same(made.numpy(found[0]), made.numpy(expected[0]))
    for (dx, one), (other_dx, other) in [[one[1](dy) for one in (found, expected)]]:
        same(made.numpy(dx), made.numpy(other_dx))
        for name in held:
            np.testing.assert_allclose(made.numpy(one[name]), made.numpy(other[name]), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("shape", [(300, 401), (33, 128), (1, 5000), (3, 40, 130)])
def test_batch_norm_and_its_pullback(way, shape):
    made, rng = compiled(*way), np.random.default_rng(3)
    layer, n = cr.BatchNorm(), (*shape[:-2], shape[-1])
    held = {"gamma": rng.normal(size=n), "beta": rng.normal(size=n), "running_mean": rng.normal(size=n),
            "running_variance": rng.uniform(1, 2, n)}  # fmt: skip
    held = {name: made.array(value, made.master) for name, value in held.items()}
    x, dy = (made.array(rng.normal(2, 3, shape), made.dtype) for _ in range(2))
    context = made.context(training=True)
    found = layer.forward(held, x, context)
    expected = layer.forward(held, x, context._replace(kernels=None))
    tolerance = 0.03 if way[1] == "bfloat16" else 2e-4  # bfloat16: a last place of what is up to ten
    same = partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance)
    same(made.numpy(found[0]), made.numpy(expected[0]))
    for one, other in zip((found[2], found[1](dy)[1]), (expected[2], expected[1](dy)[1]), strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            np.testing.assert_allclose(made.numpy(value), made.numpy(other[name]), rtol=1e-3, atol=1e-3, err_msg=name)
    same(made.numpy(found[1](dy)[0]), made.numpy(expected[1](dy)[0]))


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (300, 401), (3, 40, 130)])
def test_sums_over_rows(way, shape):
    made = compiled(*way)
    x = made.array(np.random.default_rng(6).normal(size=shape), made.dtype)
    found = made.kernels.sum_rows(x)
    assert found.dtype == made.xp.float32
    np.testing.assert_allclose(made.numpy(found), made.numpy(x).sum(axis=-2), rtol=1e-4, atol=1e-4)
    assert made.kernels.sum_rows(x.mT) is None or shape == (1, 1)
