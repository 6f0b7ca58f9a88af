"""Members, waves and categories in C compute what the Python does that they stand in for."""

import numpy as np
import pytest

import chainrule as cr
from compiled import WAYS, compiled


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
