"""Training that goes on from a trained model: its arrays, its preprocessing; recorded, found again, exact on resume."""

import json
import shutil
import signal
import tomllib

import numpy as np
import pytest

import chainrule as cr
from chainrule.runs import checkpoint
from chainrule.runs.diagnosing import diagnose_run
from chainrule.runs.integrity import verify
from chainrule.runs.keeper import Keeper
from chainrule.runs.start import configured
from chainrule.verify.configured import check_config
from command import chainrule
from faults.compared import fingerprint

DIGITS = cr.read("digits")
NUMPY = cr.Compute(backend="numpy", threads=1)
HOW = {"training": cr.Training(epochs=1, batch_size=100, seed=5), "compute": NUMPY,
       "evaluation": cr.Evaluation(every_steps=5)}  # fmt: skip


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> cr.Run:
    """Its preprocessing is not the default's, so that one fitted anew would be noticed."""
    return cr.train(cr.mlp([12], norm="batch", dropout=0.1), DIGITS, training=cr.Training(epochs=2), compute=NUMPY,
                    optimizer=cr.Adam(1e-2), preprocessing="unit", output=tmp_path_factory.mktemp("start") / "first")  # fmt: skip


def state(run) -> dict:
    return checkpoint.load(next((run / "checkpoints").iterdir())).state


def test_training_starts_where_the_model_stands(first):
    run = cr.train(first.model.network, DIGITS, start=first.model, optimizer=cr.SGD(1e-30), **HOW)
    for name in first.model.network.trainable:
        np.testing.assert_array_equal(run.model.parameters[name], first.model.parameters[name])
    np.testing.assert_array_equal(run.model.preprocessing.scale, first.model.preprocessing.scale)
    assert run.config.start == cr.Start("python:", first.model.digest)


def test_going_on_is_better_than_starting_anew(first):
    fresh = cr.train(cr.mlp([12], norm="batch", dropout=0.1), DIGITS, **HOW)
    more = cr.train(first.model.network, DIGITS, start=first.model, **HOW)
    assert more.history[0]["validation_loss"] < fresh.history[0]["validation_loss"] - 0.3


def test_running_statistics_go_on_too(first):
    run = cr.train(first.model.network, DIGITS, start=first.model, **HOW | {"training": cr.Training(iterations=1)})
    before, after = (one.parameters["1.running_variance"] for one in (first.model, run.model))
    assert (after > 0.5 * before).all()


@pytest.mark.parametrize("step", [1, 5, 7, 12])
def test_a_resumed_run_is_the_uninterrupted_one(first, step, tmp_path, monkeypatch):
    """Whether the start is given again or found in the run's directory."""
    cr.train(first.model.network, DIGITS, start=first.model, output=tmp_path / "whole", **HOW)
    wants = Keeper.wants

    def stopping(self, now):
        if now == step:
            self.interrupts.received = signal.SIGTERM
        return wants(self, now)

    monkeypatch.setattr(Keeper, "wants", stopping)
    with pytest.raises(cr.Interrupted):
        cr.train(first.model.network, DIGITS, start=first.model, output=tmp_path / "run", **HOW)
    monkeypatch.undo()
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    cr.train(first.model.network, DIGITS, start=first.model, output=tmp_path / "run", resume=True, **HOW)
    cr.train_config(None, tmp_path / "other", resume=True)
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "other") == fingerprint(tmp_path / "whole")


def test_the_start_is_recorded_and_another_one_is_a_change(first, tmp_path):
    cr.train(first.model.network, DIGITS, start=first.model, output=tmp_path / "run", **HOW)
    plain = {"model": "python:", "sha256": first.model.digest}
    assert tomllib.loads((tmp_path / "run" / "config.toml").read_text())["start"] == plain
    assert state(tmp_path / "run")["config"]["start"] == plain
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["files"].keys() >= {"start/manifest.json"}
    with pytest.raises(cr.ConfigError, match=r"start\.sha256: '[0-9a-f]{64}' -> '[0-9a-f]{64}'"):
        cr.train(first.model.network, DIGITS, start=other(first.model), output=tmp_path / "run", resume=True, **HOW)
    with pytest.raises(cr.ConfigError, match=r"start\.sha256: '[0-9a-f]{64}' -> None"):
        cr.train(first.model.network, DIGITS, output=tmp_path / "run", resume=True, **HOW)


def other(model: cr.Model) -> cr.Model:
    changed = model.parameters | {"0.b": model.parameters["0.b"] + 1}
    return cr.Model(model.network, changed, model.loss, model.task, model.preprocessing, model.target,
                    model.target_names)  # fmt: skip


def test_a_damaged_start_is_found_and_diagnosis_knows_it(first, tmp_path):
    cr.train(first.model.network, DIGITS, start=first.model, output=tmp_path / "run", **HOW)
    assert verify(tmp_path / "run")["start"] is None
    diagnose_run(tmp_path / "run", print)
    weights = tmp_path / "run" / "start" / "weights.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-20] ^= 1
    weights.write_bytes(raw)
    assert "weights.safetensors is damaged" in verify(tmp_path / "run")["start"]


def test_overwriting_takes_the_start_away(first, tmp_path):
    cr.train(first.model.network, DIGITS, start=first.model, output=tmp_path / "run", **HOW)
    cr.train(cr.mlp([4]), DIGITS, output=tmp_path / "run", overwrite=True, **HOW)
    assert not (tmp_path / "run" / "start").exists()
    assert cr.load_run(tmp_path / "run").config.start is None


def test_seeds_start_from_the_same_model_and_part(first, tmp_path):
    runs = cr.train(first.model.network, DIGITS, start=first.model, seeds=2, output=tmp_path, **HOW)
    alone = cr.train(first.model.network, DIGITS, start=first.model, **HOW)
    for name, value in alone.model.parameters.items():
        np.testing.assert_array_equal(runs[0].model.parameters[name], value)
    assert (runs[0].model.parameters["0.W"] != runs[1].model.parameters["0.W"]).any()


def test_from_the_shell_network_and_loss_are_the_starts(first, tmp_path):
    done = chainrule("train", "--set", f"start.model={first.directory}", "--set", "training.epochs=1", "--set",
                     "compute.backend=numpy", "-o", tmp_path / "run", "--quiet")  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = cr.load_run(tmp_path / "run")
    assert run.model.network == first.model.network
    assert run.config.start == cr.Start(str(first.directory), first.model.digest)
    shutil.copy(tmp_path / "run" / "config.toml", tmp_path / "again.toml")
    assert chainrule("train", tmp_path / "again.toml", "-o", tmp_path / "again", "-q").returncode == 0
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "again")


def test_a_runs_own_configuration_starts_from_its_copy_wherever_the_model_is(first, tmp_path):
    first.model.save(tmp_path / "model")
    cr.train(first.model.network, DIGITS, start=tmp_path / "model", output=tmp_path / "run", **HOW)
    config = tmp_path / "run" / "config.toml"
    shutil.rmtree(tmp_path / "model")
    assert configured(config).start == cr.Start(str(tmp_path / "run" / "start"), first.model.digest)
    assert all(one.verdict != "FAIL" for one in check_config(config, [], 4, 2))
    again = cr.train_config(configured(config), tmp_path / "again")
    assert fingerprint(tmp_path / "run") == fingerprint(again.directory)
    elsewhere = configured(config, [f"start.model={tmp_path / 'other'}"])  # who names another one gets it
    assert elsewhere.start == cr.Start(str(tmp_path / "other"), first.model.digest)
    shutil.copy(config, tmp_path / "run" / "start")
    assert configured(tmp_path / "run" / "start" / "config.toml").start.model == str(tmp_path / "model")


def wrong_network(model):
    return {"network": cr.mlp([13], norm="batch")}


def wrong_targets(model):
    y = DIGITS.y % 2
    return {"data": cr.Dataset("parity", DIGITS.X, y, "classification", ("even", "odd")), "network": cr.mlp([12])}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            wrong_network,
            "the parameters to go on from do not fit the network: 0.W has shape (64, 12), expected (64, 13); give the "
            "network that they were trained in",
        ),
        (
            wrong_targets,
            "the start's outputs are classification of 0, 1, 2, 3, 4, ... (10), those of parity are classification of "
            "even, odd; start from a model for these targets, such as from_torch(module, data)",
        ),
    ],
)
def test_a_start_that_does_not_fit_is_refused(first, change, message):
    asked = {"network": first.model.network, "data": DIGITS} | change(first.model)
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(start=first.model, **asked, **HOW)
    assert str(caught.value) == message


def test_another_model_at_the_path_and_one_given_in_python_are_refused(first, tmp_path):
    config = cr.Config(start=cr.Start(str(first.directory), "0" * 64))
    with pytest.raises(cr.ConfigError, match=r"start\.sha256 is 0{64}, but the model at .* has [0-9a-f]{64}; give the"):
        cr.train_config(config)
    with pytest.raises(cr.ConfigError, match=r"its copy is in the run directory: --set start\.model=RUN/start"):
        cr.train_config(cr.Config(start=cr.Start("python:", first.model.digest)))
    with pytest.raises(cr.ConfigError, match=r"holds no model: it has no model\.json"):
        cr.train_config(cr.Config(start=cr.Start(str(tmp_path))))


def test_columns_in_another_order_are_refused_and_the_card_names_the_start(tmp_path):
    X = np.random.default_rng(0).normal(size=(100, 2))
    data = cr.Dataset("t", X, X[:, 0], "regression", ("n",), feature_names=("a", "b"))
    first = cr.train(cr.mlp([4]), data, training=cr.Training(epochs=1), compute=NUMPY)
    turned = cr.Dataset("turned", X[:, ::-1].copy(), X[:, 0], "regression", ("n",), feature_names=("b", "a"))
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(first.model.network, turned, start=first.model)
    assert str(caught.value) == (
        "the start's columns are a, b, those of turned are b, a; bring the columns into the start's order"
    )
    cr.train(first.model.network, data, start=first.model, output=tmp_path / "run", training=cr.Training(epochs=1))
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert f"| started from | a trained model, sha256 `{first.model.digest}` |" in card
    assert "| preprocessing | that of the model that training started from |" in card


def test_the_scale_of_regression_targets_is_kept_and_refused_for_counts():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    data = cr.Dataset("counts", X, np.floor(1000 + 100 * X[:, 0]), "regression", ("n",))
    half = cr.Dataset("half", X[:100], data.y[:100] / 2, "regression", ("n",))
    first = cr.train(cr.mlp([8]), data, training=cr.Training(epochs=2), compute=NUMPY)
    run = cr.train(first.model.network, half, start=first.model, training=cr.Training(epochs=2), compute=NUMPY)
    np.testing.assert_array_equal(run.model.target.shift, first.model.target.shift)
    with pytest.raises(cr.ConfigError, match="loss 'poisson' needs targets as they are, but the start was trained on"):
        cr.train(first.model.network, data, start=first.model, loss=cr.Poisson())
