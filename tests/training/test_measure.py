"""Rows of history: several networks measured at once have the rows that each has alone."""

from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from chainrule.backends import choose
from chainrule.training.config import DataOptions
from chainrule.training.measure import seen, seen_together
from chainrule.training.plan import plan, reseeded
from chainrule.training.population import stacked_state
from chainrule.training.step import resident, start

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 5)).astype(np.float32)
TARGETS = {
    "classification": (RNG.integers(3, size=300), ("a", "b", "c"), ["f1_macro"]),
    "multilabel": (RNG.integers(2, size=(300, 3)), ("a", "b", "c"), ["f1_micro"]),
    "regression": (5 + 3 * RNG.normal(size=(300, 2)), ("u", "v"), ["r2"]),
}


@pytest.mark.parametrize("task", TARGETS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("members", [1, 2])
def test_networks_measured_together_are_as_each_is_alone(task, weighted, members):
    y, names, more = TARGETS[task]
    weight = RNG.uniform(0.5, 2, 300) if weighted else None
    data = cr.Dataset("made", X, y, task, names, weight=weight)
    config = cr.Config(
        training=cr.Training(penalty=0.01), evaluation=cr.Evaluation(metrics=tuple(more)),
        data=DataOptions(standardise_target=task == "regression"), compute=cr.Compute("torch", "cpu", "float32", 1),
    )  # fmt: skip
    first = plan(config, data, cr.mlp([8], norm="batch", members=members))
    other = reseeded(first, 4)
    dear = replace(other.config, training=replace(other.config.training, penalty=0.1))
    plans = [first, replace(other, config=dear)]
    with first.backend.scope():
        held = resident(first)
        states = [start(one) for one in plans]
        found = seen_together(plans, held.X, stacked_state(states, first.backend.xp).parameters)
        alone = [seen(one, held.X, state.parameters) for one, state in zip(plans, states, strict=True)]
    for row, expected in zip(found, alone, strict=True):
        assert list(row) == list(expected)
        assert row == pytest.approx(expected, rel=1e-5)
    assert found[0]["penalty"] != found[1]["penalty"]
    assert len({row["validation_loss"] for row in found}) == 2


def test_measuring_where_there_is_no_validation():
    data = cr.Dataset("made", X, TARGETS["classification"][0], "classification", ("a", "b", "c"))
    config = cr.Config(data=DataOptions(split=cr.Split(validation=0.0)),
                       evaluation=cr.Evaluation(train_metrics=False), compute=cr.Compute("torch", "cpu", "float32", 1))  # fmt: skip
    one = plan(config, data, cr.mlp([8]))
    with one.backend.scope():
        held, state = resident(one), start(one)
        assert list(seen(one, held.X, state.parameters)) == ["penalty"]
        together = seen_together([one], held.X, stacked_state([state], one.backend.xp).parameters)
    assert together == [{"penalty": 0.0}]


def test_blocks_of_evaluation_are_of_the_backend():
    assert choose(cr.Compute("numpy"), 0.0).evaluation_block == 1024
    assert choose(cr.Compute("torch", "cpu"), 0.0).evaluation_block == 1024
