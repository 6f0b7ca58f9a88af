"""What is refused before the first step because it does not fit the length of the run."""

import shutil
from importlib import import_module

import numpy as np
import pytest

import chainrule as cr
from chainrule.runs.diagnosing import diagnose_run

DIGITS = cr.read("digits")


@pytest.mark.parametrize("schedule", [cr.Constant, cr.Exponential, cr.Step, cr.Cosine, cr.FlatCosine])
def test_a_warm_up_is_not_longer_than_the_run(schedule, tmp_path):
    how = {"training": cr.Training(epochs=2, batch_size=100), "compute": cr.Compute("numpy", threads=1)}
    with pytest.raises(cr.ConfigError) as refused:
        cr.train(cr.mlp([4]), DIGITS, schedule=schedule(warm_up=2.5), output=tmp_path / "run", **how)
    assert str(refused.value) == (
        "schedule.warm_up 2.5 is 32 steps, more than the 26 of the run; set it lower, or train for longer"
    )
    assert not (tmp_path / "run").exists()
    assert cr.train(cr.mlp([4]), DIGITS, schedule=schedule(warm_up=2), **how).metrics["steps"] == 26


def test_a_network_without_parameters_is_not_trained():
    X = np.random.default_rng(0).normal(size=(60, 1))
    data = cr.Dataset("numbers", X, X[:, 0], "regression", ("y",))
    for layers, shown in (((cr.ReLU(),), "relu"), ((cr.Dropout(0.2), cr.Tanh()), "dropout 0.2 | tanh")):
        with pytest.raises(cr.ConfigError) as refused:
            cr.train(cr.Network(layers), data)
        assert str(refused.value) == (
            f"Network(1 | {shown}; 0 parameters) has no parameters to train; give it a layer that has some, such as "
            "Linear()"
        )
    assert cr.train(cr.Network((cr.LayerNorm(),)), data, training=cr.Training(epochs=1)).metrics["steps"] > 0


@pytest.mark.parametrize("epochs", [1e300, 1e308])
def test_an_endless_warm_up_is_told_in_short(epochs):
    with pytest.raises(cr.ConfigError) as refused:
        cr.train(cr.mlp([4]), DIGITS, schedule=cr.Constant(warm_up=epochs), training=cr.Training(iterations=55))
    assert str(refused.value) == (
        f"schedule.warm_up {epochs:g} is more steps than the 55 of the run; set it lower, or train for longer"
    )


@pytest.mark.parametrize("seeds", [None, 2])
def test_a_run_that_was_begun_with_one_goes_on_and_is_diagnosed(seeds, tmp_path, monkeypatch):
    how = {"compute": cr.Compute("numpy", threads=1), "schedule": cr.Constant(warm_up=100), "seeds": seeds}
    how |= {"training": cr.Training(iterations=20), "output": tmp_path / "run"}
    with monkeypatch.context() as before:
        for module in ("chainrule.runs.train", "chainrule.runs.seeds"):
            before.setattr(import_module(module), "check_warm_up", lambda _: None)
        cr.train(cr.mlp([4]), DIGITS, **how)
    run = tmp_path / "run" if seeds is None else tmp_path / "run" / "seed-1"
    assert diagnose_run(run, print)
    cr.train(cr.mlp([4]), DIGITS, resume=True, **how)
    with pytest.raises(cr.ConfigError, match=r"^schedule\.warm_up 100 is [\d,]+ steps, more than the 30 of the run"):
        cr.train(cr.mlp([4]), DIGITS, resume=True, inexact=True, **how | {"training": cr.Training(iterations=30)})
    shutil.rmtree(run)
    with pytest.raises(cr.ConfigError, match=r"^schedule\.warm_up 100 is"):
        cr.train(cr.mlp([4]), DIGITS, resume=True, **how)
