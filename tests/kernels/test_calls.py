"""The compiled kernels compute what the Python does that they stand in for, where it can be to the same bits."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim
from chainrule.backends import choose
from chainrule.kernels import Update, takes
from chainrule.objective import with_penalty
from chainrule.training.plan import plan
from chainrule.training.step import Stepper, resident, start, train_step
from compiled import WAYS, compiled

RULES = [cr.SGD(0.1), cr.SGD(0.1, momentum=0.9), cr.SGD(0.05, momentum=0.9, nesterov=True), cr.Adam(0.01), cr.AdamW(0.01, 0.1),
         cr.RMSprop(0.01), cr.RMSprop(0.01, momentum=0.5)]  # fmt: skip


def data(n=301, columns=40):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (n, columns)).astype(np.uint8)
    return cr.Dataset("made", X, rng.integers(0, 3, n), "classification", ("a", "b", "c"))


@pytest.mark.parametrize("rule", [rule for rule in RULES if isinstance(rule, cr.SGD)], ids=repr)
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(("penalty", "clip"), [(0.0, None), (0.01, None), (0.01, 0.3)])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_steps_in_place_are_the_steps_of_the_equations(rule, way, penalty, clip, norm):
    options = cr.Training(iterations=30, batch_size=50, penalty=penalty, clip_norm=clip)
    backend, precision, threads = way
    config = cr.Config(optimizer=rule, training=options, compute=cr.Compute(backend, "cpu", precision, threads))
    decided = replace(plan(config, data(), cr.mlp([133, 90], norm=norm, dropout=0.3)), backend=compiled(*way))
    bare = choose(cr.Compute(backend, "cpu", precision, threads, "never"), 0.0)
    assert bare.kernels is None
    expected = replace(decided, backend=bare)
    with decided.backend.scope():
        here, state = resident(decided), start(decided)
        before = {name: decided.backend.numpy(value) for name, value in state.parameters.items()}
        go = Stepper(decided, here, state)
        assert go.update is not None
        pure = state
        for step in range(3):  # of SGD: Adam makes whole steps of gradients that are roundings alone
            done = go(step)
            found = train_step(expected, here, pure, step)
            pure = found.state
            assert float(done.loss) == pytest.approx(float(found.loss), rel=1e-3 if precision == "bfloat16" else 1e-5)
    assert_same(decided, done.state, pure)
    for name, value in state.parameters.items():
        np.testing.assert_array_equal(decided.backend.numpy(value), before[name])
    for name, value in decided.backend.working(done.state.parameters, decided.network.parameters).items():
        np.testing.assert_array_equal(decided.backend.numpy(go.working[name]), decided.backend.numpy(value))


def assert_same(decided, one, other):
    copy = decided.backend.numpy
    tolerance = 0.05 if decided.backend.precision == "bfloat16" else 2e-5
    same = partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance)
    for name, value in one.parameters.items():
        same(copy(value), copy(other.parameters[name]), err_msg=name)
    for name, slots in one.slots.items():
        for a, b in zip(slots, other.slots[name], strict=True):
            same(copy(a), copy(b), err_msg=name)


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("limit", [None, 100.0])  # of gradients about 220 long
def test_an_update_is_the_rule_applied(rule, way, limit):
    """On NumPy to the bit; torch's square root is not always the nearest number."""
    made, rng = compiled(*way), np.random.default_rng(5)
    xp, shapes = made.xp, {"0.W": (230, 190), "0.b": (190,)}
    start = {name: made.array(rng.normal(size=shape), made.master) for name, shape in shapes.items()}
    here, held = {name: made.copy(value) for name, value in start.items()}, optim.init(rule, start, xp)
    working = {name: xp.astype(value, made.dtype, copy=False) for name, value in here.items()}
    go = Update(made.kernels, rule, here, held, working, ("0.W",))
    expected, slots = start, optim.init(rule, start, xp)
    same = (
        np.testing.assert_array_equal
        if way[0] == "numpy"
        else partial(np.testing.assert_allclose, rtol=2e-6, atol=2e-6)
    )
    for t in range(6):
        g = {name: made.array(rng.normal(size=shape), made.dtype) for name, shape in shapes.items()}
        if t % 2:
            g["0.W"] = made.copy(g["0.W"].mT).mT  # out of order in memory
        go(g, 0.01, t, 0.1, limit)
        scale = None
        if limit is not None:
            whole = with_penalty(g, expected, ("0.W",), 0.1)
            near = optim.clip_scale(optim.gradient_norm(whole, {"0.W": 2, "0.b": 1}, xp), limit, xp)
            scale = go.rules[0].scale
            assert scale == pytest.approx(float(near), rel=1e-2 if way[1] == "bfloat16" else 1e-6)
            assert scale < 0.6
        expected, slots = optim.update(rule, expected, g, slots, 0.01, t, ("0.W",), xp, 0.1, scale)
    for name, value in expected.items():
        same(made.numpy(here[name]), made.numpy(value))
        np.testing.assert_array_equal(made.numpy(working[name]), made.numpy(xp.astype(here[name], made.dtype)))
        for one, other in zip(held[name], slots[name], strict=True):
            same(made.numpy(one), made.numpy(other))


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_rows_are_gathered_and_scaled_to_the_same_bits(way, dtype):
    made, rng = compiled(*way), np.random.default_rng(1)
    X = made.array((rng.normal(size=(500, 301)) * 100).astype(dtype))
    wide = made.xp.float64 if dtype == np.float64 else made.master
    shift, scale = (made.array(rng.normal(size=301), wide) for _ in range(2))
    rows = rng.integers(0, 500, 700)
    found = made.kernels.prepare(X, rows, shift, scale)
    assert found is not None
    expected = made.prepare(made.gather(X, rows), shift, scale)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(made.numpy(found), made.numpy(expected))


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.bool_])
def test_rows_of_other_types_are_left_to_the_backend(dtype):
    made = compiled("numpy", "float32", 1)
    X = np.arange(12).reshape(4, 3).astype(dtype)
    assert made.kernels.prepare(X, np.arange(2), np.zeros(3, np.float32), np.ones(3, np.float32)) is None
    np.testing.assert_array_equal(made.prepare_rows(X, np.arange(2), np.zeros(3), np.ones(3)), X[:2])


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (4, 4), (300, 401)])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4, 0.999])
def test_masks_are_numpys_stream(way, shape, rate):
    made, bare = compiled(*way), choose(cr.Compute(way[0], "cpu", way[1], 1, "never"), 0.0)
    masks = [backend.context(training=True, seed=7, step=12).mask("3", *shape, rate, backend.dtype)
             for backend in (made, bare)]  # fmt: skip
    np.testing.assert_array_equal(*(made.numpy(mask) for mask in masks))


def test_float64_and_a_rule_of_ones_own_stay_in_python():
    assert choose(cr.Compute("numpy", precision="float64", threads=1), 0.0, 1e9).kernels is None

    class Own(cr.SGD):
        pass

    assert takes(cr.SGD(0.1))
    assert not takes(Own(0.1))
