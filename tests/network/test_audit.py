"""A user's own layer that breaks the contract is named before any training, and by `check`."""

import numpy as np
import pytest

import chainrule as cr
from own_parts import Absolute


def layer(forward, n_out=None, parameters=None):
    class Own(cr.Layer):
        def n_out(self, n_in):
            return n_in if n_out is None else n_out

        def parameters(self, n_in):
            return parameters or {}

        def forward(self, parameters, x, context):
            return forward(parameters, x)

    return Own()


K = {"k": cr.Parameter((), "bias", 1.0)}


def doubled(p, x):
    x *= 2
    return x


def clipped(dy):
    dy[dy > 1] = 1
    return dy


PROBLEMS = [
    (
        layer(doubled),
        "layer 1 (Own): forward changes x in place, which other layers and the way back still need; make a new array, "
        "such as 2 * x for x *= 2",
    ),
    (
        layer(lambda p, x: (doubled(p, x), lambda dy: (2 * dy, {}))),
        "layer 1 (Own): forward changes x in place",
    ),
    (
        layer(lambda p, x: (2 * x, lambda dy: (doubled(p, dy), {}))),
        "layer 1 (Own): its pullback changes dy in place, which other layers and the way back still need; make a new "
        "array, such as 2 * dy for dy *= 2",
    ),
    (
        layer(lambda p, x: (x * x, lambda dy: (clipped(dy) * 2 * x, {}))),
        "layer 1 (Own): its pullback changes dy in place",
    ),
    (
        layer(lambda p, x: (x * x, lambda dy: (dy * doubled(p, x), {}))),
        "layer 1 (Own): its pullback changes x in place",
    ),
    (layer(lambda p, x: None), "layer 1 (Own): forward gives y of None; expected (2, 16), for its n_out says 16"),
    (
        layer(lambda p, x: x[..., :3]),
        "layer 1 (Own): forward gives y of shape (2, 3); expected (2, 16), for its n_out says 16",
    ),
    (layer(lambda p, x: (x, lambda dy: dy)), "layer 1 (Own): its pullback returns a "),
    (
        layer(lambda p, x: (x, lambda dy: (None, {}))),
        "layer 1 (Own): its pullback gives dx of None; expected that of x, (2, 16)",
    ),
    (
        layer(lambda p, x: (x, lambda dy: (dy[..., :1], {}))),
        "layer 1 (Own): its pullback gives dx of shape (2, 1); expected that of x, (2, 16)",
    ),
    (
        layer(lambda p, x: (x * p["k"], lambda dy: (dy * p["k"], {})), parameters=K),
        "layer 1 (Own): its pullback gives gradients of shapes {}; expected those of its parameters, {'k': ()}",
    ),
    (
        layer(lambda p, x: (x, lambda dy: (dy, {"zz": dy}))),
        "layer 1 (Own): its pullback gives gradients of shapes {'zz': (2, 16)}; expected those of its parameters, {}",
    ),
]


@pytest.mark.parametrize(("own", "message"), PROBLEMS, ids=[message for _, message in PROBLEMS])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_training_refuses_it(own, message, backend):
    network = cr.Network((cr.Linear(16), own, cr.Linear()))
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(network, cr.read("digits"), compute=cr.Compute(backend=backend))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(("own", "message"), PROBLEMS, ids=[message for _, message in PROBLEMS])
def test_check_refuses_it_inside_a_residual_block_too(own, message):
    network = cr.Network((cr.Linear(16), cr.Residual((own,)), cr.Linear(3)), 4)
    rng = np.random.default_rng(0)
    with pytest.raises(cr.ConfigError) as caught:
        cr.check_network(network, cr.SoftmaxCrossEntropy(), rng.normal(size=(5, 4)), rng.integers(0, 3, 5))
    assert str(caught.value).startswith(message.replace("layer 1", "layer 1.body.0"))


def test_a_good_layer_passes():
    own = layer(lambda p, x: (2 * x, lambda dy: (2 * dy, {})))
    run = cr.train(cr.Network((cr.Linear(8), own, cr.Linear())), cr.read("digits"), training=cr.Training(epochs=1))
    assert run.metrics["steps"] == 11


ADVICE = (
    "expected that of x, {x}. Use Python's numbers, float(np.sqrt(2.0)) for np.sqrt(2.0), or cast: "
    "context.xp.astype({name}, x.dtype)"
)
ROOT = np.sqrt(2.0)
WIDE = layer(lambda p, x: (ROOT * x, lambda dy: (float(ROOT) * dy, {})))
WIDE_BACK = layer(lambda p, x: (float(ROOT) * x, lambda dy: (ROOT * dy, {})))


@pytest.mark.parametrize(
    ("own", "problem", "name"), [(WIDE, "forward gives y", "y"), (WIDE_BACK, "its pullback gives dx", "dx")]
)
def test_a_layer_that_widens_is_refused(own, problem, name):
    network = cr.Network((cr.Linear(16), own, cr.Linear()))
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(network, cr.read("digits"), compute=cr.Compute(backend="numpy", precision="float32"))
    assert str(caught.value) == f"layer 1 (Own): {problem} of dtype float64; " + ADVICE.format(x="float32", name=name)


GAIN = {"k": cr.Parameter((), "norm", 1.0)}
BFLOAT16 = cr.Compute(backend="torch", device="cpu", precision="bfloat16")


def test_a_norm_that_stays_wide_beside_bfloat16_is_refused_and_passes_with_a_cast():
    def network(forward):
        return cr.Network((cr.Linear(16), layer(forward, parameters=GAIN), cr.BatchNorm(), cr.LayerNorm(), cr.Linear()))

    def scaled(p, x):
        k = p["k"][None]
        return k * x, lambda dy: (k * dy, {"k": (x * dy).sum()})

    def cast(p, x):
        y, pullback = scaled(p, x)
        return y.to(x.dtype), lambda dy: (pullback(dy)[0].to(x.dtype), pullback(dy)[1])

    with pytest.raises(cr.ConfigError) as caught:
        cr.train(network(scaled), cr.read("digits"), compute=BFLOAT16)
    assert str(caught.value) == "layer 1 (Own): forward gives y of dtype torch.float32; " + ADVICE.format(
        x="torch.bfloat16", name="y"
    )
    for forward in (cast, lambda p, x: p["k"][None] * x):
        run = cr.train(network(forward), cr.read("digits"), training=cr.Training(epochs=1), compute=BFLOAT16)
        assert run.metrics["steps"] == 11


def absolute(**parts):
    """A good loss with other parts."""
    return type("Own", (Absolute,), parts)()


def rows_in_place(self, z, target, xp):
    z -= xp.astype(target, z.dtype)
    return xp.mean(xp.abs(z), axis=-1), xp.sign(z) / z.shape[-1]


def rows_from_the_largest(self, z, target, xp):
    z -= xp.max(z, axis=-1, keepdims=True)
    return Absolute.rows(self, z, target, xp)


def rows_with_another_target(self, z, target, xp):
    target *= 2
    return Absolute.rows(self, z, target, xp)


def predict_in_place(self, logits, xp):
    logits *= 2
    return logits


Z = "changes z in place, which predictions are still made from; make a new array, such as z - t for z -= t"
LOSS_PROBLEMS = [
    (absolute(rows=rows_in_place), f"loss Own: rows {Z}"),
    (absolute(rows=rows_from_the_largest), f"loss Own: rows {Z}"),
    (
        absolute(rows=rows_with_another_target),
        "loss Own: rows changes target in place; make a new array, such as 2 * target for target *= 2",
    ),
    (absolute(predict=predict_in_place), f"loss Own: predict {Z}"),
    (
        absolute(rows=lambda self, z, target, xp: z - target),
        "loss Own: rows returns an array of shape (2, 2); expected (values, slopes), of shapes (2,) and (2, 2)",
    ),
    (
        absolute(rows=lambda self, z, target, xp: None),
        "loss Own: rows returns None; expected (values, slopes), of shapes (2,) and (2, 2)",
    ),
    (
        absolute(rows=lambda self, z, target, xp: (z[..., 0], z, z)),
        "loss Own: rows returns a tuple of 3; expected (values, slopes), of shapes (2,) and (2, 2)",
    ),
    (
        absolute(rows=lambda self, z, target, xp: (xp.mean(z - target), z)),
        "loss Own: rows gives shapes () and (2, 2); expected (2,), a number a row, and (2, 2), its slopes",
    ),
    (
        absolute(rows=lambda self, z, target, xp: (float(xp.mean(z)), None)),
        "loss Own: rows gives shapes () and None; expected (2,), a number a row, and (2, 2), its slopes",
    ),
    (
        absolute(predict=lambda self, logits, xp: logits[..., 0]),
        "loss Own: predict gives an array of shape (2,); expected shape (2, 2), that of the logits",
    ),
    (
        absolute(predict=lambda self, logits, xp: None),
        "loss Own: predict gives None; expected shape (2, 2), that of the logits",
    ),
    (
        absolute(task=None),
        "loss Own: its task is None; expected 'classification', 'multilabel' or 'regression', as an attribute of its "
        'class, such as task = "regression"',
    ),
]
X = np.random.default_rng(0).normal(size=(60, 3))
NUMBERS = cr.Dataset("numbers", X, X[:, :2], "regression", ("y", "z"))


@pytest.mark.parametrize(("own", "message"), LOSS_PROBLEMS, ids=range(len(LOSS_PROBLEMS)))
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_training_refuses_a_loss_that_breaks_the_contract(own, message, backend):
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(cr.mlp([8]), NUMBERS, loss=own, compute=cr.Compute(backend=backend))
    assert str(caught.value) == message


def test_a_good_loss_passes():
    run = cr.train(cr.mlp([8]), NUMBERS, loss=Absolute(), training=cr.Training(epochs=1))
    assert run.metrics["steps"] == 1


def test_a_loss_without_a_task_is_refused_in_training_and_by_the_estimator():
    class Taskless(cr.Loss):
        rows, predict, combined = Absolute.rows, Absolute.predict, Absolute.combined

    message = "^loss Taskless: its task is None; expected 'classification', 'multilabel' or 'regression', as an"
    with pytest.raises(cr.ConfigError, match=message):
        cr.train(cr.mlp([8]), NUMBERS, loss=Taskless())
    with pytest.raises(cr.ConfigError, match=message):
        cr.MLPRegressor((8,), loss=Taskless(), max_iter=1).fit(X, X[:, 0])


@pytest.mark.parametrize(
    ("forward", "found"),
    [
        (lambda p, x: (2 * x, None), "ndarray, NoneType"),
        (lambda p, x: (2 * x,), "ndarray"),
        (lambda p, x: (2 * x, 2 * x), "ndarray, ndarray"),
    ],
)
@pytest.mark.parametrize("backend", ["numpy", "torch", "auto"])
def test_a_pullback_that_is_no_function_is_refused(forward, found, backend):
    own = layer(forward)
    message = (
        f"layer 1 (Own): forward returns a tuple of {found}; expected (y, pullback), or (y, pullback, statistics), or "
        "y alone, whose pullback torch derives"
    )
    compute = cr.Compute(backend=backend, device="cpu")
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(cr.Network((cr.Linear(16), own, cr.Linear())), cr.read("digits"), compute=compute)
    assert str(caught.value).replace("Tensor", "ndarray") == message
    with pytest.raises(cr.ConfigError) as caught:
        cr.check_layer(own, 3)
    assert str(caught.value).replace("Tensor", "ndarray") == message.replace("layer 1", "layer 0")


NUMPY = "Use context.xp in its forward and pullback, such as context.xp.sin(x) for np.sin(x)."


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept")  # what NumPy says of the very call
@pytest.mark.parametrize(
    "forward",
    [
        lambda p, x: (x - np.mean(x, axis=-1, keepdims=True), lambda dy: (dy, {})),
        lambda p, x: (2 * x, lambda dy: (dy - np.mean(dy, axis=-1, keepdims=True), {})),
        lambda p, x: np.sin(x),
    ],
)
def test_a_layer_whose_call_of_numpy_torch_refuses_is_told_before_training(forward):
    network = cr.Network((cr.Linear(16), layer(forward), cr.Linear()))
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(network, cr.read("digits"), compute=cr.Compute(backend="torch", device="cpu"))
    assert str(caught.value) == f"Layer 1 (Own) calls NumPy on a tensor of torch. {NUMPY}"


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept")
def test_a_ufunc_of_numpy_beside_a_pullback_is_computed_on_the_cpu_and_told_by_check():
    own = layer(lambda p, x: (np.sin(x), lambda dy: (np.cos(x) * dy, {})))
    network = cr.Network((cr.Linear(16), own, cr.Linear()))
    compute = cr.Compute(backend="torch", device="cpu")
    run = cr.train(network, cr.read("digits"), training=cr.Training(epochs=1), compute=compute)
    assert run.metrics["steps"] == 11
    with pytest.raises(cr.ConfigError, match="calls NumPy on a tensor of torch"):
        cr.check_layer(own, 3)
