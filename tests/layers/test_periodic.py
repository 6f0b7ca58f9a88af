"""The smooth clip and the periodic embedding: their equations, and what they start from."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from gradients import NUMPY, apply


@given(st.floats(-1e6, 1e6), st.floats(0.1, 100))
def test_the_clip_is_odd_within_its_limit_and_never_larger_than_x(x, limit):
    y, pullback = cr.SmoothClip(limit).forward({}, np.array([[x, -x]]), NUMPY.context(training=True))
    assert y[0, 1] == -y[0, 0]
    assert abs(y[0, 0]) <= min(abs(x), limit * (1 + 1e-12))
    assert 0 <= pullback(np.ones((1, 2)))[0][0, 0] <= 1


def test_the_clip_leaves_what_is_near_0_and_holds_what_is_far():
    y = apply(cr.SmoothClip(3.0), np.array([[0.01, 3.0, 1e9]]), {}, NUMPY).y
    np.testing.assert_allclose(y, [[0.01, 3 / 2**0.5, 3.0]], rtol=1e-5)


def test_the_embedding_is_each_feature_and_its_waves_as_torch_computes_them():
    layer, n, rng = cr.PeriodicEmbedding(5, 3), 4, np.random.default_rng(0)
    held = {name: rng.normal(size=p.shape) for name, p in layer.parameters(n).items()}
    x, dy = rng.normal(size=(7, n)), rng.normal(size=(7, 3 * n))
    theirs = {name: torch.tensor(value, requires_grad=True) for name, value in ({"x": x} | held).items()}
    waves = torch.cos(2 * torch.pi * theirs["x"][:, :, None] * theirs["nu"] + theirs["phi"])
    e = torch.einsum("bnm,nmd->bnd", waves, theirs["W"]) + theirs["b"]
    expected = torch.cat([theirs["x"][:, :, None], e], 2).flatten(1)
    expected.backward(torch.tensor(dy))
    done = apply(layer, x, held, NUMPY)
    np.testing.assert_allclose(done.y, expected.detach().numpy(), rtol=1e-12, atol=1e-13)
    dx, gradients = done.pullback(dy)
    np.testing.assert_allclose(dx, theirs["x"].grad.numpy(), rtol=1e-11, atol=1e-12)
    for name in held:
        np.testing.assert_allclose(gradients[f"0.{name}"], theirs[name].grad.numpy(), rtol=1e-11, atol=1e-12)


def test_the_embedding_starts_with_slow_waves_of_all_phases():
    layer = cr.PeriodicEmbedding(16, 5, std=0.2)
    start = cr.Network((layer, cr.Linear(1)), 400).initial(0)
    assert start["0.nu"].std() == pytest.approx(0.2, rel=0.05)
    assert np.abs(start["0.phi"]).max() <= np.pi
    assert start["0.phi"].std() == pytest.approx(2 * np.pi / 12**0.5, rel=0.05)
    assert start["0.W"].std() == pytest.approx(16**-0.5, rel=0.05)
    assert (layer.n_out(400), layer.flops(400)) == (2000, 400 * 16 * 11)


def test_no_part_of_an_embedding_is_penalised_or_decayed():
    network = cr.Network((cr.PeriodicEmbedding(), cr.Linear(1)), 3)
    assert network.weights == ("1.W",)
