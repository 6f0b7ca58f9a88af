"""Norms in the history are those of the step before the row, by hand from the step itself."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.training.config import Config, NetworkOptions
from chainrule.training.loop import fit
from chainrule.training.plan import plan
from chainrule.training.step import resident, start, train_step


@pytest.mark.parametrize(
    "compute", [cr.Compute("numpy"), cr.Compute("torch", precision="float32")], ids=["numpy", "torch"]
)
@pytest.mark.parametrize("optimizer", [cr.SGD(lr=0.1), cr.AdamW(lr=1e-2)], ids=["sgd", "adamw"])
def test_by_hand(compute, optimizer):
    options = cr.Training(iterations=3, penalty=0.01)
    config = Config(network=NetworkOptions(hidden=(5,)), optimizer=optimizer, training=options, compute=compute)
    made = plan(config, cr.read("digits"), config.network.build())
    row = fit(made).history[-1]
    with made.backend.scope():
        data, state = resident(made), start(made)
        for step in range(3):
            before, done = state, train_step(made, data, state, step)
            state = done.state
        weights = made.network.weights
        old, new, loss = ({name: made.backend.numpy(arrays[name]) for name in weights}
                          for arrays in (before.parameters, state.parameters, done.gradients))  # fmt: skip
        biases = {name: made.backend.numpy(g) for name, g in done.gradients.items() if name not in weights}
    whole = {name: loss[name] + 0.02 * old[name] for name in weights}
    for name in weights:
        assert row["gradient_norms"][name] == pytest.approx(np.linalg.norm(whole[name]), rel=1e-4)
        ratio = np.linalg.norm(new[name] - old[name]) / np.linalg.norm(new[name])
        assert row["update_ratios"][name] == pytest.approx(ratio, rel=1e-3)
    total = sum(np.sum(g.astype(float) ** 2) for g in (*whole.values(), *biases.values()))
    assert row["gradient_norm"] == pytest.approx(total**0.5, rel=1e-4)


def test_weights_that_stay_zero_have_an_update_of_zero():
    network = cr.Network((cr.Linear(10, init=cr.Init("zeros")),))
    run = cr.train(network, cr.read("digits"), optimizer=cr.SGD(lr=1e-38), training=cr.Training(iterations=1))
    assert run.history[-1]["update_ratios"]["0.W"] <= 1
