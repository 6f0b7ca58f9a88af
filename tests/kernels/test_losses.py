"""Losses in C, weighted or not, are those of the equations in float64."""

import numpy as np
import pytest

import chainrule as cr
from compiled import WAYS, compiled


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("shape", "scale"), [((1, 2), 1), ((32, 10), 5), ((3, 7, 5), 50), ((300, 401), 1e4)])
def test_cross_entropy(way, smoothing, weighted, shape, scale):
    made, rng = compiled(*way), np.random.default_rng(4)
    z = made.array(rng.normal(size=shape) * scale, made.dtype)
    classes = made.array(rng.integers(0, shape[-1], shape[:-1]))
    loss = cr.SoftmaxCrossEntropy(smoothing)
    weight = rng.uniform(0.5, 2, shape[:-1]) if weighted else None
    value, dz = made.kernels.loss(loss, z, classes, None if weight is None else made.array(weight, made.master))
    exact, slope = loss(made.numpy(z).astype(np.float64), made.numpy(classes), weight, np)
    assert value.shape == shape[:-2]
    assert (value.dtype, dz.dtype) == (made.xp.float32, made.dtype)
    np.testing.assert_allclose(made.numpy(value), exact, rtol=3e-6, atol=1e-7)
    bound = 0.005 if way[1] == "bfloat16" else 3e-6
    np.testing.assert_allclose(made.numpy(dz), slope, rtol=bound, atol=bound / shape[-2] / 50)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("loss", [cr.SquaredError(), cr.Huber(0.7), cr.Poisson(), cr.SigmoidCrossEntropy()], ids=repr)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("shape", "scale"), [((1, 1), 1), ((32, 3), 5), ((3, 7, 5), 50), ((30, 401), 1e4)])
def test_losses_of_numbers(way, loss, weighted, shape, scale):
    made, rng = compiled(*way), np.random.default_rng(4)
    z = made.array(rng.normal(size=shape) * scale, made.dtype)
    target = rng.normal(size=shape) * scale
    target = {"poisson": np.abs(target), "sigmoid_cross_entropy": (target > 0) * 0.9}.get(loss.kind, target)
    target = made.array(target, made.master)
    weight = rng.uniform(0.5, 2, shape[:-1]) if weighted else None
    value, dz = made.kernels.loss(loss, z, target, None if weight is None else made.array(weight, made.master))
    exact, slope = loss(made.numpy(z).astype(np.float64), made.numpy(target).astype(np.float64), weight, np)
    assert value.shape == shape[:-2]
    assert (value.dtype, dz.dtype) == (made.xp.float32, made.dtype)
    np.testing.assert_allclose(made.numpy(value), exact, rtol=2e-5)
    bound = 0.005 if way[1] == "bfloat16" else 3e-6
    np.testing.assert_allclose(made.numpy(dz), slope, rtol=bound, atol=bound * min(scale, 50) / shape[-2])


@pytest.mark.parametrize("loss", [cr.SquaredError(), cr.Huber(), cr.Poisson(), cr.SigmoidCrossEntropy()], ids=repr)
def test_losses_of_what_is_not_finite_are_not_finite(loss):
    made, z = compiled("numpy", "float32", 1), np.zeros((4, 3), np.float32)
    z[1, 2] = np.nan
    value, dz = made.kernels.loss(loss, z, np.ones((4, 3), np.float32), None)
    assert np.isnan(value)
    assert np.isnan(dz).sum() == 1


@pytest.mark.parametrize("loss", [cr.SoftmaxCrossEntropy(), cr.Huber()], ids=repr)
def test_a_batch_without_weight_has_loss_0(loss):
    made, z = compiled("numpy", "float32", 1), np.ones((4, 3), np.float32)
    target = np.zeros(4, np.int64) if isinstance(loss, cr.SoftmaxCrossEntropy) else np.zeros((4, 3), np.float32)
    value, dz = made.kernels.loss(loss, z, target, np.zeros(4, np.float32))
    assert value == 0
    assert not dz.any()


def test_cross_entropy_of_what_is_not_finite_is_not_finite():
    made = compiled("numpy", "float32", 1)
    for bad in (np.nan, np.inf):
        z = np.zeros((4, 3), np.float32)
        z[1, 2] = bad
        value, dz = made.kernels.loss(cr.SoftmaxCrossEntropy(), z, np.zeros(4, np.int64), None)
        assert np.isnan(value)
        assert np.isnan(dz[1]).all()
        assert np.isfinite(dz[[0, 2, 3]]).all()


def test_what_losses_take():
    made, z = compiled("numpy", "float32", 1), np.zeros((4, 3), np.float32)
    loss, classes, one = made.kernels.loss, np.zeros(4, np.int64), np.ones(4, np.float32)

    class Own(cr.Huber):
        pass

    assert loss(cr.SoftmaxCrossEntropy(), z, classes, one) is not None
    assert loss(cr.SoftmaxCrossEntropy(), z, classes, one.astype(np.float64)) is None
    assert loss(cr.SoftmaxCrossEntropy(), z, np.ones((4, 3), np.float32) / 3, None) is None
    assert loss(Own(), z, z, None) is None
    assert loss(cr.SquaredError(), z, z, None) is not None
    assert loss(cr.SquaredError(), z, z.astype(np.float64), None) is None
    assert loss(cr.SquaredError(), z, z[:, :1], None) is None
    assert loss(cr.SquaredError(), z, np.zeros((3, 4), np.float32).T, None) is None
    assert loss(cr.SoftmaxCrossEntropy(), z.T.copy().T, classes, None) is None
