"""The compiled kernels compute what the Python does that they stand in for, where it can be to the same bits."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.special import ndtr

import chainrule as cr
from chainrule import optim
from chainrule.backends import choose
from chainrule.kernels import Update, library, takes
from chainrule.objective import with_penalty
from chainrule.training.plan import plan
from chainrule.training.step import Stepper, resident, start, train_step

RULES = [cr.SGD(0.1), cr.SGD(0.1, momentum=0.9), cr.SGD(0.05, momentum=0.9, nesterov=True), cr.Adam(0.01), cr.AdamW(0.01, 0.1),
         cr.RMSprop(0.01), cr.RMSprop(0.01, momentum=0.5)]  # fmt: skip
WAYS = [("numpy", "float32", 1), ("torch", "float32", 1), ("torch", "float32", 2), ("torch", "bfloat16", 2)]


@pytest.fixture(autouse=True, scope="module")
def built():
    if library(threaded=False) is None:
        pytest.skip("no C compiler here")


def compiled(backend, precision, threads):
    made = choose(cr.Compute(backend=backend, precision=precision, threads=threads, device="cpu"), 0.0, 1e9)
    assert made.kernels is not None
    return made


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


def layer_and_rows():
    rng = np.random.default_rng(6)
    digits = np.stack(np.divmod(rng.integers(-1, 7, (150, 2)), 256), axis=2).reshape(150, -1)  # of two columns
    numbers = {n: 3 * rng.normal(size=(150, n)) for n in (3, 5, 20, 80)}
    return [(cr.PeriodicEmbedding(), numbers[20]), (cr.PeriodicEmbedding(300, 2), numbers[3]),
            (cr.MemberLinear(33, 4, spread=True), numbers[20]), (cr.MemberLinear(33, 4), numbers[80]),
            (cr.MemberLinear(1, 20), numbers[80]),
            (cr.Embedding((5, 6), 7), np.concatenate([numbers[5], digits], axis=1)),
            (cr.Embedding((5, 6), 1), digits)]  # fmt: skip


@pytest.mark.parametrize("way", WAYS[:3], ids=str)  # bfloat16 is left to Python
@pytest.mark.parametrize(("layer", "rows"), layer_and_rows(), ids=[repr(layer) for layer, _ in layer_and_rows()])
@pytest.mark.parametrize("needed", [True, False])
def test_layers_of_tables_and_their_pullbacks(way, layer, rows, needed):
    made, rng = compiled(*way), np.random.default_rng(3)
    start = cr.Network((layer,), n_in=rows.shape[1]).initial(0)
    held = {name[2:]: made.array(value + rng.normal(size=value.shape), made.master) for name, value in start.items()}
    x = made.array(rows, made.dtype)
    context = made.context(training=True)._replace(input_gradient=needed)
    found, expected = (layer.forward(held, x, one) for one in (context, context._replace(kernels=None)))

    def same(one, other):
        other = made.numpy(other)
        np.testing.assert_allclose(made.numpy(one), other, rtol=2e-5, atol=2e-5 * max(1, np.abs(other).max()))

    same(found[0], expected[0])
    dy = made.array(rng.normal(size=found[0].shape), made.dtype)
    (dx, gradients), (other_dx, others) = found[1](dy), expected[1](dy)
    assert (dx is None) == (other_dx is None) == (not needed)
    if needed:
        same(dx, other_dx)
    assert gradients.keys() == others.keys()
    for name, value in gradients.items():
        same(value, others[name])


def test_waves_of_large_and_other_angles():
    made = compiled("numpy", "float32", 1)
    held = {
        "nu": np.ones((1, 16)),
        "phi": np.linspace(-3, 3, 16)[None],
        "W": np.eye(16)[None, :, :1],
        "b": np.zeros((1, 1)),
    }
    held = {name: value.astype(np.float32) for name, value in held.items()}
    turns = np.concatenate([np.linspace(-2000, 2000, 4001), [1e4, -1e6, 1e12]]).astype(np.float32)[:, None]
    angles = np.float32(2 * np.pi) * turns + held["phi"][0, 0]
    y = made.kernels.waves(held, turns, needed=False)[0]
    np.testing.assert_allclose(y[:, 1], np.cos(angles[:, 0].astype(np.float64)), atol=2e-7)
    np.testing.assert_array_equal(y[:, 0], turns[:, 0])
    assert np.isnan(made.kernels.waves(held, np.array([[np.nan], [np.inf]], np.float32), needed=False)[0][:, 1]).all()


def test_sums_of_many_rows_keep_their_digits():
    made, rng = compiled("numpy", "float32", 1), np.random.default_rng(0)
    waves, embedding = cr.PeriodicEmbedding(5, 3), cr.Embedding((3,), 4)
    x = {
        waves: rng.normal(size=(20_000, 2)),
        embedding: np.stack([np.zeros(20_000), rng.integers(0, 4, 20_000)], axis=1),
    }
    for layer, rows in x.items():
        held = {name[2:]: value.astype(np.float32) for name, value in cr.Network((layer,), n_in=2).initial(0).items()}
        context = made.context(training=True)
        y, back = layer.forward(held, rows.astype(np.float32), context)
        dy = rng.normal(1, 1, size=y.shape).astype(np.float32)
        wide = {name: value.astype(np.float64) for name, value in held.items()}
        exact = layer.forward(wide, rows.astype(np.float32).astype(np.float64), context._replace(kernels=None))[1]
        for name, value in exact(dy.astype(np.float64))[1].items():
            found = back(dy)[1][name]
            np.testing.assert_allclose(found, value, rtol=0, atol=6e-7 * np.abs(value).max(), err_msg=name)


def test_parameters_that_are_no_masters_stay_in_python():
    made, x = compiled("numpy", "float32", 1), np.ones((5, 4), np.float32)
    layers = (cr.BatchNorm(), cr.LayerNorm(), cr.MemberLinear(3, 2, spread=True), cr.PeriodicEmbedding(5, 2),
              cr.Embedding((3,), 4))  # fmt: skip
    for layer in layers:
        start = {name[2:]: value for name, value in cr.Network((layer,), n_in=4).initial(0).items()}
        wide = {name: np.asarray(value, np.float64) for name, value in start.items()}
        strided = {name: np.asarray(value, np.float32).repeat(2, -1)[..., ::2] for name, value in start.items()}
        for held in (wide, strided):
            y, back = layer.forward(held, x, made.context(training=True))[:2]
            exact, exact_back = layer.forward(wide, x.astype(np.float64), cr.Context(np, training=True))[:2]
            np.testing.assert_allclose(y, exact, rtol=1e-4, atol=1e-5)
            for name, value in exact_back(np.ones(y.shape))[1].items():
                np.testing.assert_allclose(back(np.ones(y.shape, np.float32))[1][name], value, rtol=1e-4, atol=1e-4)


def test_layers_of_tables_stacked_or_out_of_order_stay_in_python():
    made, network = compiled("numpy", "float32", 1), cr.Network((cr.MemberLinear(3, 2, spread=True),), n_in=4)
    held = {name[2:]: value.astype(np.float32) for name, value in network.initial(0).items()}
    x = np.ones((5, 4), np.float32)
    assert made.kernels.member_linear(held, x, spread=True, needed=True) is not None
    assert made.kernels.member_linear(held, np.ones((4, 5), np.float32).T, spread=True, needed=True) is None
    assert made.kernels.member_linear(held, np.ones((2, 5, 4), np.float32), spread=True, needed=True) is None
    stacked = {name: np.stack([value, value]) for name, value in held.items()}
    assert made.kernels.member_linear(stacked, x, spread=True, needed=True) is None


def test_an_activation_of_ones_own_stays_in_python():
    class Own(cr.Tanh):
        pass

    made, x = compiled("numpy", "float32", 1), np.zeros((2, 2), np.float32)
    assert made.kernels.activation(Own(), x) is None
    assert made.kernels.activation(cr.Tanh(), x.astype(np.float64)) is None


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


def test_float64_and_a_rule_of_ones_own_stay_in_python():
    assert choose(cr.Compute("numpy", precision="float64", threads=1), 0.0, 1e9).kernels is None

    class Own(cr.SGD):
        pass

    assert takes(cr.SGD(0.1))
    assert not takes(Own(0.1))
