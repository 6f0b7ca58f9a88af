"""A run diagnosed by its directory: one that diverged, and one that has not begun."""

import json

import pytest

import chainrule as cr
from chainrule.runs import checkpoint
from chainrule.runs.diagnosing import diagnose_run
from chainrule.runs.directory import DIVERGED

FAR = {"optimizer": cr.SGD(lr=1e9), "evaluation": cr.Evaluation(every_steps=7)}


def train(folder, iterations=14, **options):
    return cr.train(
        cr.mlp([16]), cr.read("digits"), training=cr.Training(iterations=iterations), output=folder, **options
    )


def names(folder):
    return [one.name for one in diagnose_run(folder, print)]


def test_a_run_that_diverged_is_told_first_with_its_layer_and_what_to_do(tmp_path):
    with pytest.raises(cr.DivergenceError) as raised:
        train(tmp_path / "run", **FAR)
    found = diagnose_run(tmp_path / "run", print)[0]
    assert (found.name, found.severity, found.where) == ("diverged", "problem", "the output of layer 2 (linear)")
    assert f"{found.measured} {found.change}" == str(raised.value)
    assert found.measured.startswith("batch_loss is nan at step 7; expected a finite number. The first value")
    assert "the last finite one, of step 0; whatever else" in found.why
    for advice in ("lower optimizer.lr tenfold", "training.clip_norm = 1", "--on-divergence reduce-lr"):
        assert advice in found.change
    assert "diverged" in cr.report(tmp_path / "run")


def test_seeds_that_are_trained_together_leave_it_in_the_run_that_diverged(tmp_path):
    with pytest.raises(cr.DivergenceError):
        train(tmp_path, seeds=2, **FAR)
    assert names(tmp_path / "seed-0")[0] == "diverged"


def test_it_is_gone_when_the_run_goes_on(tmp_path):
    with pytest.raises(cr.DivergenceError):
        train(tmp_path / "run", **FAR)
    train(tmp_path / "run", resume=True, inexact=True, optimizer=cr.SGD(lr=0.1))
    assert "diverged" not in names(tmp_path / "run")
    assert not (tmp_path / "run" / DIVERGED).exists()


@pytest.mark.parametrize("content", ["", "[]", '{"step": 3}'])
def test_a_damaged_record_of_it_is_refused(tmp_path, content):
    train(tmp_path / "run")
    (tmp_path / "run" / DIVERGED).write_text(content)
    with pytest.raises(cr.DamagedError, match=r"diverged\.json is not what training wrote: .*Remove it"):
        names(tmp_path / "run")


def test_before_the_first_step_there_is_nothing_to_judge(tmp_path):
    train(tmp_path / "run", checkpoint=cr.Checkpoint(keep=100, every_steps=7))
    assert "not-begun" not in names(tmp_path / "run")
    for path in [one.path for one in checkpoint.newest_first(tmp_path / "run")]:
        if json.loads((path / "state.json").read_text())["step"]:
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
    found = diagnose_run(tmp_path / "run", print)
    assert [one.name for one in found] == ["not-begun"]
    assert found[0].why.startswith("There is nothing of the training to judge yet")
    assert found[0].change.endswith(f"chainrule train --resume {tmp_path / 'run'}")
