"""Members that share their weights: each is the network that its scalings make of W, and their columns never meet."""

import re

import numpy as np
import pytest

import chainrule as cr
from chainrule.backprop import forward
from chainrule.layers.members import members_of
from gradients import NUMPY, TORCH, apply, generic

K = 3


def alone(parameters: dict[str, np.ndarray], layers: list[int], i: int) -> dict[str, np.ndarray]:
    """Weights and biases of the plain network that member i is."""
    found = {}
    for at in layers:
        r, s = parameters[f"{at}.r"][i], parameters[f"{at}.s"][i]
        found |= {f"{at}.W": r[:, None] * parameters[f"{at}.W"] * s, f"{at}.b": parameters[f"{at}.b"][i]}
    return found


@pytest.mark.parametrize("on", [NUMPY, TORCH], ids=lambda on: on.name)
def test_each_member_is_the_plain_network_of_its_scaled_weights(on):
    network = cr.mlp([6, 5], activation="tanh", members=K).sized(4, 2)
    parameters, x = generic(network), np.random.default_rng(0).normal(size=(7, 4))
    held = {name: on.array(value) for name, value in parameters.items()}
    y = on.numpy(forward(network.layers, held, on.array(x), on.context(training=False)).y)
    assert y.shape == (7, K * 2)
    plain = cr.mlp([6, 5], activation="tanh").sized(4, 2)
    for i in range(K):
        one = forward(plain.layers, alone(parameters, [0, 2, 4], i), x, NUMPY.context(training=False)).y
        np.testing.assert_allclose(y[:, 2 * i : 2 * i + 2], one, rtol=1e-12, atol=1e-13)


def test_a_change_of_one_member_moves_no_other_through_norm_activation_and_residual_block():
    block = cr.Residual((cr.BatchNorm(), cr.ReLU(), cr.MemberLinear(6, K)))
    layers = (cr.MemberLinear(6, K, spread=True), block, cr.MemberLinear(None, K))
    network = cr.Network(layers).sized(4, 2)
    parameters, x = generic(network), np.random.default_rng(0).normal(size=(9, 4))
    changed = {name: value.copy() for name, value in parameters.items()}
    changed["0.r"][1] += 1.0
    before, after = (forward(network.layers, held, x, NUMPY.context(training=True)).y for held in (parameters, changed))
    moved = np.abs(after - before).max(axis=0).reshape(K, 2).max(axis=1)
    assert (moved > 0).tolist() == [False, True, False]


def test_members_differ_at_the_start_by_the_signs_of_the_first_layer_alone():
    network = cr.mlp([50], members=8).sized(20, 3)
    start = network.initial(0)
    assert set(np.unique(start["0.r"])) == {-1.0, 1.0}
    assert len({tuple(row) for row in start["0.r"]}) == 8
    for name, value in (("0.s", 1), ("0.b", 0), ("2.r", 1), ("2.s", 1), ("2.b", 0)):
        np.testing.assert_array_equal(start[name], value)


def test_a_members_network_says_its_outputs_members_and_size():
    network = cr.mlp([5], members=K, n_in=4).sized(4, 2)
    assert (network.n_out, network.n_members, network.widths) == (2, K, (4, 15, 15, 6))
    assert network.n_parameters == (20 + 12 + 15 + 15) + (10 + 15 + 6 + 6)
    assert network.weights == ("0.W", "2.W")
    assert network.flops_per_row == K * (2 * 20 + 4 + 10) + 15 + K * (2 * 10 + 5 + 4)
    assert members_of(cr.mlp([5]).layers) == 1


def test_the_first_layer_takes_rows_or_what_stands_side_by_side_by_its_option():
    layer = cr.MemberLinear(2, K)
    assert layer.parameters(6)["W"].shape == (2, 2)
    assert cr.MemberLinear(2, K, spread=True).parameters(6)["W"].shape == (6, 2)
    parameters = {
        "W": np.eye(2),
        "r": np.ones((K, 2)),
        "s": np.arange(1.0, 4)[:, None] * np.ones(2),
        "b": np.zeros((K, 2)),
    }
    y = apply(layer, np.arange(6.0)[None], parameters, NUMPY).y
    np.testing.assert_array_equal(y, [[0, 1, 4, 6, 12, 15]])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            (cr.MemberLinear(4, K, spread=True), cr.ReLU(), cr.Linear()),
            "layer 2 (linear) would mix the 3 members' columns; use MemberLinear, and batch norm for a norm",
        ),
        (
            (cr.MemberLinear(4, K, spread=True), cr.LayerNorm(), cr.MemberLinear(None, K)),
            "layer 1 (layer_norm) would mix the 3 members' columns; use MemberLinear, and batch norm for a norm",
        ),
        (
            (cr.MemberLinear(4, K, spread=True), cr.Residual((cr.Linear(12),)), cr.MemberLinear(None, K)),
            "layer 1 (linear) would mix the 3 members' columns; use MemberLinear, and batch norm for a norm",
        ),
        (
            (cr.MemberLinear(4, K, spread=True), cr.MemberLinear(None, 4)),
            "layer 1 (member_linear) has 4 members, those before it have 3; give one number of members",
        ),
        (
            (cr.MemberLinear(4, K, spread=True), cr.MemberLinear(None, K, spread=True)),
            "layer 1 (member_linear) is spread a second time; only the first layer of the members has spread = true",
        ),
        (
            (cr.Linear(6), cr.MemberLinear(None, K)),
            "layer 1 (member_linear) begins the members without spread = true: each would see a share of the columns",
        ),
        (
            (cr.Linear(6), cr.Residual((cr.MemberLinear(2, K, spread=True),)), cr.MemberLinear(None, K)),
            "layer 1 (residual) begins the members inside its body; begin them with a layer before it",
        ),
    ],
)
def test_what_would_mix_the_members_is_refused_by_name(layers, message):
    with pytest.raises(cr.ConfigError, match=f"^{re.escape(message)}$"):
        cr.Network(layers).sized(6, 2)


def test_columns_that_are_no_multiple_of_the_members_are_refused():
    message = "7 columns cannot be shared out among 3 members; the first layer of the members has spread = true"
    with pytest.raises(cr.ConfigError, match=f"^layer 0 \\(member_linear\\): {re.escape(message)}$"):
        cr.Network((cr.MemberLinear(2, K),), 7)
