"""A user's own layer that breaks the contract is named before any training, and by `check`."""

import numpy as np
import pytest

import chainrule as cr


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
