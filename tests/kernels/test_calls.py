"""The compiled kernels give the bits of the Python that they stand in for."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import chainrule as cr
from chainrule.backends import choose
from chainrule.kernels import library
from chainrule.training.plan import plan
from chainrule.training.step import Stepper, resident, start, train_step

RULES = [cr.SGD(0.1), cr.SGD(0.1, momentum=0.9), cr.SGD(0.05, momentum=0.9, nesterov=True), cr.Adam(0.01), cr.AdamW(0.01, 0.1),
         cr.RMSprop(0.01), cr.RMSprop(0.01, momentum=0.5)]  # fmt: skip
WAYS = [("numpy", "float32", 1), ("torch", "float32", 1), ("torch", "float32", 2), ("torch", "bfloat16", 2)]


@pytest.fixture(autouse=True, scope="module")
def built():
    if library(threaded=False, build=True) is None:
        pytest.skip("no C compiler here")


def compiled(backend, precision, threads):
    made = choose(cr.Compute(backend=backend, precision=precision, threads=threads, device="cpu"), 0.0, 1e9)
    assert made.kernels is not None
    return made


def data(n=301, columns=40):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (n, columns)).astype(np.uint8)
    return cr.Dataset("made", X, rng.integers(0, 3, n), "classification", ("a", "b", "c"))


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(("penalty", "clip"), [(0.0, None), (0.01, None), (0.01, 0.3)])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_steps_in_place_are_the_steps_of_the_equations(rule, way, penalty, clip, norm):
    options = cr.Training(iterations=30, batch_size=50, penalty=penalty, clip_norm=clip)
    backend, precision, threads = way
    if norm == "batch" and backend == "torch" and not isinstance(rule, cr.SGD):
        norm = "layer"  # a bias before batch norm has a gradient of roundings alone, of which Adam makes whole steps
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
        for step in range(1 if rounds_otherwise(decided) else 5):  # Adam makes whole steps of roundings
            done = go(step)
            found = train_step(expected, here, pure, step)
            pure = found.state
            assert float(done.loss) == pytest.approx(float(found.loss), rel=1e-5)
    assert_same(decided, done.state, pure)
    for name, value in state.parameters.items():
        np.testing.assert_array_equal(decided.backend.numpy(value), before[name])
    for name, value in decided.backend.working(done.state.parameters, decided.network.parameters).items():
        np.testing.assert_array_equal(decided.backend.numpy(go.working[name]), decided.backend.numpy(value))


def rounds_otherwise(decided):
    """Torch's square root is not always the nearest number; batch norm in C sums rows in another order."""
    roots, norms = not isinstance(decided.config.optimizer, cr.SGD), "1.gamma" in decided.network.parameters
    return decided.backend.name == "torch" and (roots or norms)


def assert_same(decided, one, other):
    copy = decided.backend.numpy
    tolerance = 0.02 if decided.backend.precision == "bfloat16" else 1e-5
    near = partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance)
    same = near if rounds_otherwise(decided) else np.testing.assert_array_equal
    for name in one.parameters:
        same(copy(one.parameters[name]), copy(other.parameters[name]), err_msg=name)
    for name in one.slots:
        for a, b in zip(one.slots[name], other.slots[name], strict=True):
            same(copy(a), copy(b), err_msg=name)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_rows_are_gathered_and_scaled_to_the_same_bits(way, dtype):
    made, rng = compiled(*way), np.random.default_rng(1)
    X = made.array((rng.normal(size=(500, 301)) * 100).astype(dtype))
    shift, scale = (made.array(rng.normal(size=301), made.master) for _ in range(2))
    rows = rng.integers(0, 500, 700)
    found = made.kernels.prepare(X, rows, shift, scale)
    assert found is not None
    expected = made.prepare(made.gather(X, rows), shift, scale)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(made.numpy(found), made.numpy(expected))


@pytest.mark.parametrize("dtype", [np.int16, np.float64, np.bool_])
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


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_relu_and_its_pullback(way):
    made, rng = compiled(*way), np.random.default_rng(2)
    x = made.array(rng.normal(size=(70, 300)).round(1), made.dtype)  # zeros among them
    dy = made.array(rng.normal(size=(70, 300)), made.dtype)
    y, back = made.kernels.relu(x)
    expected, pullback = cr.ReLU().forward({}, x, made.context(training=False))
    np.testing.assert_array_equal(made.numpy(y), made.numpy(expected))
    np.testing.assert_array_equal(made.numpy(back(dy)), made.numpy(pullback(dy)[0]))
    turned = made.array(rng.normal(size=(300, 70)), made.dtype).mT
    np.testing.assert_array_equal(made.numpy(back(turned)), made.numpy(pullback(turned)[0]))
    assert made.kernels.relu(turned) is None
    assert made.kernels.relu(x[:2]) is None  # not worth a call
    bad = made.array(np.full((70, 300), np.nan), made.dtype)
    assert np.isnan(made.numpy(made.kernels.relu(bad)[0])).all()


@pytest.mark.parametrize("way", [way for way in WAYS if way[0] == "torch"], ids=str)
@pytest.mark.parametrize("shape", [(300, 401), (33, 128), (1, 5000)])
def test_batch_norm_and_its_pullback(way, shape):
    made, rng = compiled(*way), np.random.default_rng(3)
    layer, n = cr.BatchNorm(), shape[1]
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


def test_numpy_keeps_its_own_sums():
    made = compiled("numpy", "float32", 1)
    ones = np.ones(300, np.float32)
    assert made.kernels.batch_norm(np.ones((70, 300), np.float32), ones, ones, 1e-5) is None


def test_float64_and_a_rule_of_ones_own_stay_in_python():
    assert choose(cr.Compute("numpy", precision="float64", threads=1), 0.0, 1e9).kernels is None

    class Own(cr.SGD):
        pass

    made = compiled("numpy", "float32", 1)
    assert made.kernels.update(Own(0.1), {}, {}, {}, ()) is None
