"""`train(..., seeds=n)`: n runs, each as it would be alone, together or one after the other, kept and resumed."""

import signal

import numpy as np
import pytest

import chainrule as cr
from chainrule.runs.keeper import Keeper
from faults.compared import fingerprint, litter

DIGITS = cr.read("digits")
HOW = {"training": cr.Training(epochs=2, batch_size=100, seed=5), "compute": cr.Compute("numpy", threads=1),
       "evaluation": cr.Evaluation(every_steps=7)}  # fmt: skip


def test_each_run_is_the_one_that_its_seed_gives_alone(tmp_path):
    runs = cr.train(cr.mlp([12]), DIGITS, output=tmp_path, seeds=3, **HOW)
    assert [run.config.training.seed for run in runs] == [5, 6, 7]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed-5", "seed-6", "seed-7"]
    for run, seed in zip(runs, (5, 6, 7), strict=True):
        alone = tmp_path / f"alone-{seed}"
        cr.train(
            cr.mlp([12]), DIGITS, output=alone, **HOW | {"training": cr.Training(epochs=2, batch_size=100, seed=seed)}
        )
        assert fingerprint(run.directory) == fingerprint(alone)
        assert cr.load_run(run.directory).metrics["steps"] == 26


def test_in_memory_and_one_after_the_other_on_torch():
    together = cr.train(cr.mlp([12]), DIGITS, seeds=2, **HOW)
    torch = cr.train(cr.mlp([12]), DIGITS, seeds=2, **HOW | {"compute": cr.Compute("torch", "cpu", "float32", 1)})
    for one, other in zip(together, torch, strict=True):
        assert one.metrics["model"]["validation_accuracy"] == pytest.approx(
            other.metrics["model"]["validation_accuracy"], abs=0.03
        )
    assert not np.array_equal(together[0].model.parameters["0.W"], together[1].model.parameters["0.W"])


@pytest.mark.parametrize("step", [1, 7, 10, 25])
def test_interrupted_together_and_resumed_to_the_same_bits(step, tmp_path, monkeypatch):
    cr.train(cr.mlp([12], dropout=0.2), DIGITS, output=tmp_path / "whole", seeds=3, **HOW)
    wants = Keeper.wants

    def stopping(self, now):
        if now == step:
            self.interrupts.received = signal.SIGTERM
        return wants(self, now)

    monkeypatch.setattr(Keeper, "wants", stopping)
    with pytest.raises(cr.Interrupted):
        cr.train(cr.mlp([12], dropout=0.2), DIGITS, output=tmp_path / "run", seeds=3, **HOW)
    monkeypatch.undo()
    for seed in (5, 6, 7):
        names = {path.name for path in (tmp_path / "run" / f"seed-{seed}" / "checkpoints").iterdir()}
        assert f"step-{step:08d}" in names
    runs = cr.train(cr.mlp([12], dropout=0.2), DIGITS, output=tmp_path / "run", seeds=3, resume=True, **HOW)
    for run in runs:
        assert fingerprint(run.directory) == fingerprint(tmp_path / "whole" / run.directory.name)
        assert litter(run.directory) == []


def test_wrong_numbers_and_full_directories_are_refused_before_any_work(tmp_path):
    with pytest.raises(cr.ConfigError, match=r"^seeds is 0; expected a whole number of at least 1$"):
        cr.train(cr.mlp([12]), DIGITS, seeds=0, **HOW)
    for seeds in ("3", 2.5, True):
        with pytest.raises(cr.ConfigError, match=f"^seeds is {seeds!r}; expected a whole number"):
            cr.train(cr.mlp([12]), DIGITS, seeds=seeds, **HOW)
    (tmp_path / "seed-6").mkdir()
    (tmp_path / "seed-6" / "mine").write_text("x")
    with pytest.raises(cr.ConfigError, match="seed-6 is not empty"):
        cr.train(cr.mlp([12]), DIGITS, output=tmp_path, seeds=3, **HOW)
    assert [path.name for path in tmp_path.iterdir()] == ["seed-6"]
    with pytest.raises(cr.ConfigError, match="time_limit needs a run directory"):
        cr.train(cr.mlp([12]), DIGITS, seeds=2, time_limit=1.0, **HOW)
