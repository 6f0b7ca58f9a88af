"""Seeds that are trained together have the bits, and the history, that each would have alone."""

from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from chainrule.backends import choice
from chainrule.training.loop import fit
from chainrule.training.plan import plan, reseeded
from chainrule.training.population import LARGEST_STEP, alike, fit_together, together
from chainrule.training.watch import Watch

DIGITS = cr.read("digits")
NUMPY = cr.Compute("numpy", threads=1)


@pytest.fixture(autouse=True, params=["kernels", "python"])
def way(request, monkeypatch):
    """With compiled kernels, where there is a compiler, and without."""
    monkeypatch.setattr(choice, "BUILDING", 0.0 if request.param == "kernels" else float("inf"))


def plans(network=None, data=DIGITS, n=5, **options):
    training = cr.Training(**({"epochs": 2, "batch_size": 32} | options.pop("training", {})))
    config = replace(
        cr.Config(), **({"compute": NUMPY, "evaluation": cr.Evaluation(every_steps=13)} | options), training=training
    )
    first = plan(config, data, network or cr.mlp([30]))
    return [reseeded(first, seed) for seed in range(3, 3 + n)]


def row(history):
    return [
        {name: value for name, value in one.items() if name not in ("seconds", "rows_per_second")} for one in history
    ]


def assert_as_alone(made):
    assert together(made[0], len(made))
    found, alone = fit_together(made, [Watch() for _ in made]), [fit(one) for one in made]
    for one, other in zip(found, alone, strict=True):
        assert row(one.history) == row(other.history)
        assert one.best_row == other.best_row
        for name, value in other.now.state.parameters.items():
            np.testing.assert_array_equal(one.now.state.parameters[name], value, err_msg=name)
        for name, value in other.best.items():
            np.testing.assert_array_equal(one.best[name], value, err_msg=name)
        for name, held in other.now.state.slots.items():
            for a, b in zip(one.now.state.slots[name], held, strict=True):
                np.testing.assert_array_equal(a, b)
    return found


@pytest.mark.parametrize(
    "network", [{}, {"dropout": 0.3}, {"norm": "batch"}, {"norm": "layer", "activation": "gelu"}], ids=repr
)
@pytest.mark.parametrize("training", [{}, {"clip_norm": 0.5, "penalty": 1e-3}, {"replacement": True}], ids=repr)
@pytest.mark.parametrize("optimizer", [cr.Adam(1e-2), cr.SGD(0.1, momentum=0.9), cr.RMSprop()], ids=repr)
def test_classes(network, training, optimizer):
    assert_as_alone(plans(cr.mlp([30], **network), training=training, optimizer=optimizer))


def scalars(made, rates=(1e-3, 1e-2, 3e-2), penalties=(0.0, 1e-3, 0.1)):
    """The plans with learning rates and penalties of their own."""
    found = []
    for one, lr, penalty in zip(made, rates, penalties, strict=True):
        config = one.config
        config = replace(
            config, optimizer=replace(config.optimizer, lr=lr), training=replace(config.training, penalty=penalty)
        )
        found.append(replace(one, config=config))
        assert alike(made[0], found[-1])
    return found


@pytest.mark.parametrize("training", [{}, {"clip_norm": 0.5}], ids=repr)
@pytest.mark.parametrize(
    "optimizer", [cr.Adam(), cr.AdamW(weight_decay=0.1), cr.SGD(), cr.SGD(momentum=0.9, nesterov=True), cr.RMSprop(momentum=0.5)],
    ids=repr,
)  # fmt: skip
def test_learning_rates_and_penalties_of_their_own(training, optimizer):
    assert_as_alone(scalars(plans(n=3, training=training, optimizer=optimizer)))


def test_what_else_differs_is_not_alike():
    one = plans()[0]
    assert not alike(one, plans(training={"batch_size": 16})[0])
    assert not alike(one, plans(cr.mlp([31]))[0])
    assert not alike(one, plans(optimizer=cr.Adam(beta1=0.5))[0])


def test_float64():
    assert_as_alone(plans(compute=replace(NUMPY, precision="float64")))


def test_weighted_regression_with_two_targets():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(203, 4))
    data = cr.Dataset("made", X, X[:, :2] ** 2, "regression", ("a", "b"), weight=rng.uniform(size=203))
    assert_as_alone(plans(data=data, n=3))


def test_a_member_that_stops_early_leaves_the_others():
    stopped = assert_as_alone(
        plans(training={"epochs": 30}, evaluation=cr.Evaluation(every_steps=10, patience=2), optimizer=cr.Adam(0.02))
    )
    assert len({len(one.history) for one in stopped}) > 1


def test_a_member_that_diverges_goes_back_alone():
    made = plans(
        n=4,
        training={"on_divergence": "reduce-lr", "batch_size": 100},
        optimizer=cr.SGD(600.0),
        network=cr.mlp([16, 16]),
    )
    setbacks = {len(one.setbacks) for one in assert_as_alone(made)}
    assert max(setbacks) > 0


def test_only_small_networks_of_built_in_parts_on_numpy_are_trained_together():
    made = plans()[0]
    assert together(made, 2)
    assert not together(made, 1)
    assert not together(plans(compute=cr.Compute("torch", threads=1))[0], 2)
    large = plans(cr.mlp([3000, 3000]))[0]
    assert 3 * large.network.flops_per_row * 32 > LARGEST_STEP["numpy"]
    assert not together(large, 2)

    class Own(cr.layers.ReLU):
        pass

    assert not together(plans(cr.Network((cr.Linear(5), Own(), cr.Linear())))[0], 2)
