"""The experiments are what the report ran: its networks, its settings, and its mistakes."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.replication import experiments as made
from chainrule.study.config import study

EVERY = {one.name: one for one in made.experiments()}


@pytest.mark.parametrize("one", EVERY.values(), ids=EVERY.keys())
def test_each_is_a_sound_study_of_all_its_networks(one):
    asked = study(one.study, one.name)
    assert len(asked.space[0].choices) == len(one.networks)
    assert asked.options.search.seeds == 5
    quick = study(made.quick(one).study, one.name)
    assert quick.train["data"]["split"]["validation"] == 200


def test_the_best_network_is_the_one_that_the_report_prints():
    network = cr.Network(EVERY["best"].networks["2000/700"]).sized(3072, 10)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "BatchNorm", "ReLU", "Linear"]
    assert network.n_parameters == 7_555_110
    assert network.layers[2].rate == 0.4


def test_no_hidden_unit_predicts_the_same_for_every_row():
    layers = EVERY["sweep-as-run"].networks["0 hidden units (labelled 50)"]
    run = cr.train(cr.Network(layers), cr.read("digits"), optimizer=cr.SGD(lr=0.1), training=cr.Training(epochs=2))
    assert (run.model.parameters["0.W"] == 0).all()
    assert len(np.unique(run.model.logits(cr.read("digits").X), axis=0)) == 1
    assert (run.model.parameters["2.b"] != 0).all()


def test_the_sweep_as_run_has_the_labels_of_the_one_that_was_meant():
    labelled = [name.split("labelled ")[1].rstrip(")") for name in EVERY["sweep-as-run"].networks]
    assert labelled == list(EVERY["sweep"].networks)


def test_the_quick_networks_are_called_by_the_widths_they_have():
    table = made.quick(EVERY["table-1"])
    assert table.label("700/400/100/300, batch norm") == "87/50/12/37, batch norm"
    widths = [layer.width for layer in table.networks["700/400/100/300, batch norm"] if isinstance(layer, cr.Linear)]
    assert widths == [87, 50, 12, 37, None]
    assert [made.quick(EVERY["sweep"]).label(name) for name in EVERY["sweep"].networks][-1] == "43"
    assert made.quick(EVERY["depth"]).label("3 layers, std 1e-3") == "3 layers, std 1e-3"
