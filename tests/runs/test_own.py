"""Layers, losses, rules and schedules of one's own: they train, and no file names them."""

import pickle

import numpy as np
import pytest

import chainrule as cr
from own_parts import Absolute

DIGITS = cr.read("digits")
FLOAT64 = {name: cr.Compute(backend=name, precision="float64", threads=1) for name in ("numpy", "torch")}


class Square(cr.Layer):
    """A layer of a user's, without a pullback."""

    def forward(self, parameters, x, context):
        return x * x


def test_an_own_layer_trains_on_torch_by_autograd_and_in_memory_only(tmp_path):
    network = cr.Network((cr.Linear(16), Square(), cr.Linear()))
    compute = FLOAT64["torch"]
    run = cr.train(network, DIGITS, compute=compute, training=cr.Training(epochs=5), optimizer=cr.Adam(1e-3))
    assert run.history[-1]["train_loss"] < run.history[0]["train_loss"]
    with pytest.raises(cr.ConfigError, match="layers Square are your own classes, which a run directory cannot name"):
        cr.train(network, DIGITS, compute=compute, output=tmp_path / "run")
    with pytest.raises(cr.ConfigError) as caught:
        run.model.save(tmp_path / "run")
    assert str(caught.value) == (
        "layers Square are your own classes, which a model's directory cannot name; keep the model in memory or pickle it"
    )
    assert not (tmp_path / "run").exists()


class Signs(cr.Optimizer):
    lr, slots = 0.01, ()

    def step(self, p, g, slots, lr, t, xp):
        return p - lr * xp.sign(g), ()


class Falling(cr.Schedule):
    warm_up = 0.0

    def after(self, step, n_steps, per_epoch):
        return 1 - step / n_steps


class Tripled(cr.SquaredError):
    def rows(self, z, target, xp):
        return tuple(3 * part for part in super().rows(z, target, xp))


OWN = {"loss": Absolute(), "optimizer": Signs(), "schedule": Falling()}
X = np.random.default_rng(0).normal(size=(200, 3))
NUMBERS = cr.Dataset("numbers", X, X[:, 0], "regression", ("y",))


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_loss_a_rule_and_a_schedule_of_ones_own_train(backend):
    run = cr.train(cr.mlp([8]), NUMBERS, compute=FLOAT64[backend], training=cr.Training(epochs=100), **OWN)
    assert run.history[-1]["train_loss"] < 0.5 * run.history[0]["train_loss"]
    found = run.model.predict(X)
    validation = cr.split(NUMBERS, run.config.data.split).validation
    error = np.abs(found[validation] - X[validation, 0]).mean()
    assert run.history[-1]["validation_loss"] == pytest.approx(error)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(run.model)).predict(X), found)
    estimator = cr.MLPRegressor((8,), loss=OWN["loss"], solver=OWN["optimizer"], schedule=OWN["schedule"], max_iter=200)
    assert estimator.fit(X, X[:, 0]).score(X, X[:, 0]) > 0.5
    runs = cr.train(cr.mlp([8]), NUMBERS, seeds=2, **OWN)
    assert len(runs) == 2


@pytest.mark.parametrize(("option", "part"), [*OWN.items(), ("loss", Tripled())])
def test_no_file_names_a_class_of_ones_own(option, part, tmp_path):
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(cr.mlp([4]), NUMBERS, output=tmp_path / "run", **{option: part})
    name = type(part).__name__
    assert str(caught.value) == (
        f"{option} {name} is your own class, which a run directory cannot name; train with output=None"
    )
    assert not (tmp_path / "run").exists()
    run = cr.train(cr.mlp([4]), NUMBERS, training=cr.Training(epochs=1), **{option: part})
    if option == "loss":
        with pytest.raises(cr.ConfigError, match=f"^loss {name} is your own class, which a model's directory cannot"):
            run.model.save(tmp_path / "model")
        with pytest.raises(cr.ConfigError, match=f"^loss {name} is your own class, whose link ONNX has no words for"):
            cr.export(run.model, "onnx", tmp_path / "model.onnx")


def test_a_layer_derived_from_one_of_ours_is_not_saved_as_that_one(tmp_path):
    class Bent(cr.ReLU):
        pass

    run = cr.train(cr.Network((cr.Linear(16), Bent(), cr.Linear())), DIGITS, training=cr.Training(epochs=2))
    with pytest.raises(cr.ConfigError, match="layers Bent are your own classes"):
        run.model.save(tmp_path / "model")


def test_a_loss_of_ones_own_with_wrong_shapes_is_refused_before_training():
    class Wide(Absolute):
        def rows(self, z, target, xp):
            return z - target, xp.sign(z - target)

    with pytest.raises(cr.ConfigError) as caught:
        cr.train(cr.mlp([8]), NUMBERS, loss=Wide())
    assert str(caught.value) == (
        "loss Wide: rows gives shapes (2, 1) and (2, 1); expected (2,), a number a row, and (2, 1), its slopes"
    )
