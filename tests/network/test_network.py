"""A network written down: its layers, sizes, names and table, and the widths it refuses when it is built."""

import numpy as np
import pytest
import torch

import chainrule as cr


def test_mlp_is_linear_norm_activation_dropout_and_a_linear_layer():
    network = cr.mlp(hidden=[2000, 700], dropout=[0.4, 0], norm=[None, "batch"], activation="relu")
    assert network.layers == (
        cr.Linear(2000), cr.ReLU(), cr.Dropout(0.4), cr.Linear(700), cr.BatchNorm(), cr.ReLU(), cr.Linear(),
    )  # fmt: skip
    assert cr.mlp([3], norm="layer", activation=cr.LeakyReLU(0.3)).layers[1:3] == (cr.LayerNorm(), cr.LeakyReLU(0.3))
    assert cr.mlp([]).layers == (cr.Linear(),)


@pytest.mark.parametrize(
    ("activation", "init"), [("relu", "he"), ("gelu", "he"), ("tanh", "glorot"), ("selu", "lecun")]
)
def test_mlp_starts_with_the_initialisation_that_suits_the_activation(activation, init):
    assert {layer.init for layer in cr.mlp([4, 4], activation=activation).layers if isinstance(layer, cr.Linear)} == {
        init
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"activation": "rellu"},
            "activation 'rellu' is not known; the activations are relu, leaky_relu, tanh, sigmoid, ",
        ),
        ({"dropout": [0.1]}, "dropout lists 1 values for 2 hidden layers; give one a layer, or one for all"),
        ({"norm": "bach"}, "norm 'bach' is not known; expected 'batch', 'layer' or 'none'"),
        ({"dropout": 1.0}, "Dropout: rate: should be less than 1, got 1.0"),
        (
            {"init": "hee"},
            "Linear: init: should be 'he', 'glorot', 'lecun', 'orthogonal', 'normal' or 'zeros', got 'hee'",
        ),
    ],
)
def test_mlp_refuses_what_it_does_not_know(options, message):
    with pytest.raises(cr.ConfigError) as caught:
        cr.mlp([3, 3], **options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.Network(()), "a network needs at least one layer, for example Linear()"),
        (
            lambda: cr.Network((cr.Linear(3), 5)),
            "layer 1 is 5; expected a layer such as Linear(350) or a subclass of Layer",
        ),
        (
            lambda: cr.Network(cr.Linear(3)),
            "layers is Linear(width=3, init='he', bias=True); expected a list of layers, such as [Linear()]",
        ),
        (lambda: cr.mlp(100), "hidden is 100; expected a list of widths, such as [100] or [200, 100]"),
        (lambda: cr.Network((cr.Linear(3),), 0), "n_in is 0; expected at least 1"),
        (
            lambda: cr.Network((cr.Linear(), cr.Linear(3)), 4),
            "layer 0 (linear): this linear layer has no width: only the last layer may leave it to the data; "
            "write Linear(n_out)",
        ),
        (
            lambda: cr.Network((cr.Linear(3), cr.Residual([cr.Linear(4)])), 2),
            "layer 1 (residual): the body of a residual block turns width 3 into 4: x + body(x) needs the same width; "
            "end the body with Linear(3)",
        ),
        (lambda: cr.Linear(0), "Linear: width: should be greater than 0, got 0"),
        (lambda: cr.mlp([3], n_in=5).sized(4, 2), "the network takes rows of width 5, but the data have 4 features"),
        (
            lambda: cr.mlp([3], n_out=5).sized(4, 2),
            "the network ends with width 5, but the targets need 2 outputs; end it with Linear(2) or Linear()",
        ),
        (lambda: cr.mlp([3]).widths, "the network has no n_in yet; give it, or call sized(n_in, n_out)"),
    ],
)
def test_what_cannot_be_a_network_is_refused_when_it_is_built(make, message):
    with pytest.raises(cr.ConfigError) as caught:
        make()
    assert str(caught.value) == message


REPORTS_BEST = cr.mlp([2000, 700], dropout=[0.4, 0], norm=[None, "batch"]).sized(3072, 10)


def test_the_reports_best_network_has_pytorchs_number_of_parameters():
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3072, 2000), torch.nn.ReLU(), torch.nn.Dropout(0.4),
        torch.nn.Linear(2000, 700), torch.nn.BatchNorm1d(700), torch.nn.ReLU(), torch.nn.Linear(700, 10),
    )  # fmt: skip
    assert REPORTS_BEST.n_parameters == sum(p.numel() for p in theirs.parameters()) == 7_555_110


def test_names_roles_and_shapes_of_every_array():
    network = cr.Network((cr.Linear(4), cr.BatchNorm(), cr.Residual([cr.LayerNorm(), cr.Linear(4, bias=False)])), 3)
    assert {name: (p.shape, p.role) for name, p in network.parameters.items()} == {
        "0.W": ((3, 4), "weight"),
        "0.b": ((4,), "bias"),
        "1.gamma": ((4,), "norm"),
        "1.beta": ((4,), "norm"),
        "1.running_mean": ((4,), "running"),
        "1.running_variance": ((4,), "running"),
        "2.body.0.gamma": ((4,), "norm"),
        "2.body.0.beta": ((4,), "norm"),
        "2.body.1.W": ((4, 4), "weight"),
    }
    assert network.weights == ("0.W", "2.body.1.W")
    assert set(network.parameters) - set(network.trainable) == {"1.running_mean", "1.running_variance"}


def test_cost_is_two_operations_a_multiply_and_add():
    assert cr.mlp([50]).sized(3072, 10).flops_per_row == 2 * (3072 * 50 + 50 * 10) + 50 + 10 + 50
    assert REPORTS_BEST.step_memory(256, slots=2) == 4 * (4 * 7_555_110 + 256 * sum(REPORTS_BEST.widths))


def test_repr_and_table_read_well():
    network = cr.mlp([350], dropout=0.1, activation="gelu").sized(3072, 10)
    assert repr(network) == "Network(3072 | linear 350 | gelu | dropout 0.1 | linear 10; 1,079,060 parameters)"
    assert repr(cr.mlp([5], norm="batch")) == "Network(linear 5 | batch_norm | relu | linear)"
    assert network.table() == (
        "layer  what         width        arrays             parameters  flops/row\n"
        "0      linear 350   3072 -> 350  W 3072x350, b 350   1,075,550  2,150,750\n"
        "1      gelu         350 -> 350                               0        350\n"
        "2      dropout 0.1  350 -> 350                               0        350\n"
        "3      linear 10    350 -> 10    W 350x10, b 10          3,510      7,010\n"
        "       total        3072 -> 10                       1,079,060  2,158,460"
    )
    assert network._repr_html_().startswith("<table>")


def test_networks_are_values():
    assert cr.mlp([3]).sized(4, 2) == cr.mlp([3]).sized(4, 2)
    assert hash(cr.mlp([3])) == hash(cr.mlp([3]))
    with pytest.raises(AttributeError):
        cr.mlp([3]).n_in = 4


def test_initial_arrays_depend_on_seed_and_name_only():
    small, large = cr.mlp([5]).sized(4, 3), cr.mlp([5, 6]).sized(4, 3)
    first, again, other = small.initial(0), small.initial(0), small.initial(1)
    for name in small.parameters:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["0.W"], other["0.W"])
    np.testing.assert_array_equal(first["0.W"], large.initial(0)["0.W"])
    assert {value.dtype for value in first.values()} == {np.dtype(np.float64)}


def test_a_network_whose_last_width_is_open_waits_for_the_data():
    network = cr.mlp([6], n_in=4)
    assert repr(network) == "Network(4 | linear 6 | relu | linear)"
    assert network._repr_html_() == "<code>Network(4 | linear 6 | relu | linear)</code>"
    assert network.sized(4, 3) == cr.mlp([6], n_in=4, n_out=3)
    with pytest.raises(cr.ConfigError, match=r"^layer 0 \(linear\): this linear layer has no width: "):
        cr.Network((cr.Linear(), cr.ReLU()), 4)


def test_sized_refuses_a_last_layer_of_another_width_that_is_no_linear_one():
    with pytest.raises(
        cr.ConfigError, match=r"^the network ends with width 6, but the targets need 3 outputs; end it "
    ):
        cr.Network((cr.Linear(6), cr.ReLU())).sized(4, 3)


def test_a_width_left_open_within_a_residual_block_is_refused():
    with pytest.raises(cr.ConfigError) as caught:
        cr.Network((cr.Residual([cr.Linear()]), cr.Linear(2)), 5)
    assert str(caught.value) == (
        "layer 0 (residual): this linear layer has no width: only the last layer may leave it to the data; "
        "write Linear(n_out)"
    )


def test_the_table_of_norms_and_blocks():
    body = cr.Residual([cr.LayerNorm(), cr.Linear(8, bias=False)])
    network = cr.Network((cr.Linear(8), cr.BatchNorm(), cr.GELU("tanh"), body, cr.Linear(3)), 5)
    assert network.table() == (
        "layer  what                             width   arrays                                       parameters  flops/row\n"
        "0      linear 8                         5 -> 8  W 5x8, b 8                                           48         88\n"
        "1      batch_norm                       8 -> 8  gamma 8, beta 8                                      16         64\n"
        "2      gelu tanh                        8 -> 8                                                        0          8\n"
        "3      residual(layer_norm | linear 8)  8 -> 8  body.0.gamma 8, body.0.beta 8, body.1.W 8x8          80        200\n"
        "4      linear 3                         8 -> 3  W 8x3, b 3                                           27         51\n"
        "       total                            5 -> 3                                                      171        411"
    )


def test_only_matrices_are_penalised_and_ranks_have_no_leading_axes():
    network = cr.Network((cr.Linear(4), cr.BatchNorm(), cr.Residual([cr.LayerNorm(), cr.Linear(4)]), cr.Linear(2)), 3)
    assert network.weights == ("0.W", "2.body.1.W", "3.W")
    assert network.ranks == {name: 2 if name in network.weights else 1 for name in network.trainable}


def test_writing_a_network_down_makes_no_array():
    network = cr.mlp([100_000], n_in=100_000, n_out=10)
    assert network.n_parameters == 100_000 * 100_000 + 100_000 + 1_000_010
    assert not any(isinstance(value, np.ndarray) for value in vars(network).values())


def test_members_clip_and_embedding_are_parts_of_the_common_form():
    network = cr.mlp([4], members=3, clip=2.0, embedding=cr.PeriodicEmbedding(5, 3))
    assert network.layers == (
        cr.SmoothClip(2.0), cr.PeriodicEmbedding(5, 3), cr.MemberLinear(4, 3, spread=True), cr.ReLU(),
        cr.MemberLinear(None, 3),
    )  # fmt: skip
    assert repr(network.sized(2, 1)) == (
        "Network(2 | smooth_clip 2.0 | periodic_embedding 3 | 3 x linear 4 | relu | 3 x linear 1; 132 parameters)"
    )
