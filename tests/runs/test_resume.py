"""A resumed run is the uninterrupted one; what has changed is reported; one process at a time; signals; divergence."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import chainrule as cr
from chainrule.backends import choice
from chainrule.kernels import library
from chainrule.runs import checkpoint
from chainrule.runs.keeper import Keeper
from chainrule.runs.lock import locked
from command import HEARING
from faults.compared import fingerprint, litter

DIGITS = cr.read("digits")
NETWORK = cr.mlp([12, 8], dropout=[0.2, 0.0], norm=["batch", "none"])
NUMPY = cr.Compute(backend="numpy", threads=1)


def options(**changes):
    return {
        "training": cr.Training(epochs=3, batch_size=100),
        "evaluation": cr.Evaluation(every_steps=5),
        "augment": cr.Augment(flip=True, shift=1),
        "schedule": cr.Cosine(),
        "compute": NUMPY,
    } | changes


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "run"
    cr.train(NETWORK, DIGITS, output=folder, **options())
    return fingerprint(folder)


@pytest.mark.parametrize("step", range(1, 39, 3))
def test_resumed_from_any_step_is_the_uninterrupted_run(step, tmp_path, reference, monkeypatch):
    """Mid-epoch, the epoch's boundary (13, 26), before and after a row of history (every 5), the last step."""
    wants = Keeper.wants

    def stopping(self, now):
        if now == step:
            self.interrupts.received = signal.SIGTERM
        return wants(self, now)

    monkeypatch.setattr(Keeper, "wants", stopping)
    with pytest.raises(cr.Interrupted, match=r"go on with: chainrule train --resume") as stopped:
        cr.train(NETWORK, DIGITS, output=tmp_path / "run", **options())
    assert stopped.value.exit_code == 143
    monkeypatch.undo()
    cr.train(NETWORK, DIGITS, output=tmp_path / "run", resume=True, **options())
    assert fingerprint(tmp_path / "run") == reference
    assert litter(tmp_path / "run") == []


def test_a_signal_while_a_row_is_measured_keeps_the_position_before_it(tmp_path, reference, monkeypatch):
    from chainrule.training import loop

    measure, calls = loop.measure, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        return measure(*arguments)

    monkeypatch.setattr(loop, "measure", interrupted)
    with pytest.raises(cr.Interrupted):
        cr.train(NETWORK, DIGITS, output=tmp_path / "run", **options())
    state = json.loads((tmp_path / "run" / "checkpoints" / "step-00000015" / "state.json").read_text())
    assert len(state["history"]) == 2
    assert state["norms"]["gradient"] > 0
    cr.train(NETWORK, DIGITS, output=tmp_path / "run", resume=True, **options())
    assert fingerprint(tmp_path / "run") == reference


def test_options_that_an_older_version_did_not_have_are_no_changes(tmp_path, reference, monkeypatch):
    """Neither of a finished run nor of one that goes on to the same bits."""
    read = checkpoint.load

    def of_older(path):
        saved = read(path)
        del saved.state["config"]["evaluation"]["ties"], saved.state["config"]["training"]["replacement"]
        return saved

    monkeypatch.setattr(checkpoint, "load", of_older)
    cr.train(NETWORK, DIGITS, output=tmp_path / "run", **options())
    cr.train(NETWORK, DIGITS, output=tmp_path / "run", resume=True, **options())
    with pytest.raises(cr.ChainruleError, match="the time limit was reached"):
        cr.train(NETWORK, DIGITS, output=tmp_path / "more", **options(), time_limit=1e-9)
    cr.train(NETWORK, DIGITS, output=tmp_path / "more", resume=True, **options())
    assert fingerprint(tmp_path / "more") == fingerprint(tmp_path / "run") == reference


def test_what_is_kept_may_be_chosen_again_of_a_finished_run(tmp_path):
    cr.train(NETWORK, DIGITS, output=tmp_path, **options())
    best = options(evaluation=cr.Evaluation(every_steps=5, keep="best"))
    assert cr.train(NETWORK, DIGITS, output=tmp_path, resume=True, inexact=True, **best).metrics["kept"] == "best"


def test_resuming_after_early_stopping_changes_nothing(tmp_path):
    how = options(evaluation=cr.Evaluation(every_steps=5, patience=1), optimizer=cr.SGD(1e-9))
    run = cr.train(NETWORK, DIGITS, output=tmp_path, **how)
    assert run.metrics["steps"] < 39
    before = fingerprint(tmp_path)
    cr.train(NETWORK, DIGITS, output=tmp_path, resume=True, **how)
    assert fingerprint(tmp_path) == before


def test_what_breaks_exactness_needs_a_flag_and_is_recorded(tmp_path):
    cr.train(NETWORK, DIGITS, output=tmp_path, **options())
    longer = options(training=cr.Training(epochs=4, batch_size=100))
    with pytest.raises(cr.ConfigError, match=r"training\.epochs: 3 -> 4\. Change it back, or give --inexact"):
        cr.train(NETWORK, DIGITS, output=tmp_path, resume=True, **longer)
    run = cr.train(NETWORK, DIGITS, output=tmp_path, resume=True, inexact=True, **longer)
    assert run.metrics["steps"] == 52
    assert run.environment["sessions"][-1]["changes"] == ["training.epochs: 3 -> 4"]
    threads = options(training=cr.Training(epochs=4, batch_size=100), compute=cr.Compute(backend="numpy", threads=2))
    with pytest.raises(cr.ConfigError, match=r"threads: 1 -> 2"):
        cr.train(NETWORK, DIGITS, output=tmp_path, resume=True, **threads)
    other = cr.Dataset(
        "digits", DIGITS.X[:-1], DIGITS.y[:-1], "classification", DIGITS.target_names, row_shape=(1, 8, 8)
    )
    with pytest.raises(cr.ConfigError, match=r"data: '[0-9a-f]{64}' -> "):
        cr.train(NETWORK, other, output=tmp_path, resume=True, **longer)
    longest = options(training=cr.Training(epochs=5, batch_size=100))
    with pytest.raises(cr.ConfigError, match="does not fit the network or the optimizer"):
        cr.train(cr.mlp([5]), DIGITS, output=tmp_path, resume=True, inexact=True, **longest)


@pytest.mark.parametrize("inexact", [True, False])
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"optimizer": cr.Adam(0.5)},
            "39 steps are done of 39), so its model would not be of what has changed since: optimizer.lr: 0.001 -> 0.5."
            " Change it back, set training.epochs higher too, or train anew in another directory",
        ),
        (
            {"training": cr.Training(epochs=2, batch_size=100)},
            "39 steps are done of 26), so its model would not be of what has changed since: training.epochs: 3 -> 2. "
            "Change it back, set training.epochs higher too, or train anew in another directory",
        ),
        (
            {"training": cr.Training(iterations=7, batch_size=100)},
            "39 steps are done of 7), so its model would not be of what has changed since: training.epochs: 3 -> None; "
            "training.iterations: None -> 7. Change it back, set training.iterations higher too, or train anew in "
            "another directory",
        ),
        (
            {"training": cr.Training(epochs=9, batch_size=100),
             "evaluation": cr.Evaluation(every_steps=5, patience=1, tolerance=9)},
            "evaluation.patience ran out at step 39), so its model would not be of what has changed since: "
            "evaluation.patience: None -> 1; evaluation.tolerance: 0.0 -> 9.0; training.epochs: 3 -> 9. Change it back, "
            "set evaluation.patience higher too, or train anew in another directory",
        ),
    ],
)  # fmt: skip
def test_no_other_configuration_is_written_beside_a_model_that_is_trained_already(changed, told, inexact, tmp_path):
    cr.train(NETWORK, DIGITS, output=tmp_path, **options())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(cr.ConfigError) as refused:
        cr.train(NETWORK, DIGITS, output=tmp_path, resume=True, inexact=inexact, **options(**changed))
    assert str(refused.value) == f"{tmp_path} has nothing left to train ({told}"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_kernels_that_are_gone_are_a_change(tmp_path, monkeypatch):
    """A compiler that is no more: sums over rows, and so all bits, would be others."""
    if library(threaded=False) is None:
        pytest.skip("no C compiler here")
    monkeypatch.setattr(choice, "BUILDING", 0.0)
    cr.train(NETWORK, DIGITS, output=tmp_path, **options())
    monkeypatch.undo()
    with pytest.raises(cr.ConfigError, match=r"changed since its checkpoint: compiled: True -> False\. Change it back"):
        cr.train(NETWORK, DIGITS, output=tmp_path, resume=True, **options())


def test_how_often_checkpoints_are_written_may_change_freely(tmp_path):
    cr.train(NETWORK, DIGITS, output=tmp_path, **options())
    before = fingerprint(tmp_path)
    cr.train(NETWORK, DIGITS, output=tmp_path, resume=True, **options(checkpoint=cr.Checkpoint(every_steps=3, keep=4)))
    assert fingerprint(tmp_path) == before


def test_checkpoints_are_capped_and_their_cost_is_reported(tmp_path):
    run = cr.train(NETWORK, DIGITS, output=tmp_path, **options(checkpoint=cr.Checkpoint(every_steps=2, keep=3)))
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-00000036", "step-00000038", "step-00000039"]
    assert run.metrics["checkpoints"]["written"] == 21
    assert run.metrics["checkpoints"]["seconds"] > 0


def test_a_directory_in_use_is_refused_and_a_dead_process_holds_no_lock(tmp_path):
    with locked(tmp_path), pytest.raises(cr.BusyError, match=rf"is in use by process {os.getpid()} on"):
        cr.train(NETWORK, DIGITS, output=tmp_path, **options())
    (tmp_path / "lock").write_text('{"pid": 1, "host": "x", "since": "then"}')
    cr.train(NETWORK, DIGITS, output=tmp_path, **options())
    assert not (tmp_path / "lock").exists()


def test_the_time_limit_leaves_a_checkpoint(tmp_path, reference):
    with pytest.raises(cr.TimeLimitError, match="the time limit was reached at step 0") as stopped:
        cr.train(NETWORK, DIGITS, output=tmp_path / "run", time_limit=1e-9, **options())
    assert stopped.value.exit_code == 124
    cr.train(NETWORK, DIGITS, output=tmp_path / "run", resume=True, **options())
    assert fingerprint(tmp_path / "run") == reference


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_a_checkpoint_within_five_seconds(number, code, tmp_path):
    command = [sys.executable, "-m", "chainrule", "train", "--set", "training.epochs=100000", "-o", tmp_path / "run"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, **HEARING)
    while not (tmp_path / "run" / "history.jsonl").exists() or (tmp_path / "run" / "history.jsonl").stat().st_size == 0:
        time.sleep(0.05)
    start = time.perf_counter()
    process.send_signal(number)
    said = process.communicate()[1].decode()
    assert time.perf_counter() - start < 5
    assert process.returncode == code
    assert f"go on with: chainrule train --resume {tmp_path / 'run'}" in said
    assert max(int(path.name[5:13]) for path in (tmp_path / "run" / "checkpoints").iterdir()) > 0


def test_a_divergence_names_step_and_layer_and_keeps_the_last_finite_checkpoint(tmp_path):
    with pytest.raises(
        cr.DivergenceError, match=r"The first value that is not finite: .*layer \d \(\w+\), at step \d+"
    ):
        cr.train(cr.mlp([16, 16]), DIGITS, output=tmp_path, evaluation=cr.Evaluation(every_steps=5), compute=NUMPY,
                 optimizer=cr.SGD(1e6))  # fmt: skip
    from chainrule.runs import checkpoint

    saved = [one for one in checkpoint.newest_first(tmp_path) if isinstance(one, checkpoint.Saved)]
    assert saved
    assert all(np.isfinite(array).all() for one in saved for array in one.arrays.values())


def test_reduce_lr_goes_back_halves_the_rate_and_resumes_to_the_same_bits(tmp_path, monkeypatch):
    how = {"training": cr.Training(epochs=4, batch_size=100, on_divergence="reduce-lr"), "compute": NUMPY,
           "optimizer": cr.SGD(2e3), "evaluation": cr.Evaluation(every_steps=7)}  # fmt: skip
    network = cr.mlp([16, 16])
    run = cr.train(network, DIGITS, output=tmp_path / "whole", **how)
    assert run.metrics["setbacks"]
    assert run.history[-1]["lr"] == 2e3 * 0.5 ** len(run.metrics["setbacks"])
    wants = Keeper.wants
    monkeypatch.setattr(Keeper, "wants", lambda self, now: wants(self, now) or now == 3)
    cr.train(network, DIGITS, output=tmp_path / "kept", **how)
    assert fingerprint(tmp_path / "kept") == fingerprint(tmp_path / "whole")


@pytest.mark.parametrize("call", [2, 5, 9, 12, 18, 24, 31])
def test_reduce_lr_resumes_to_the_same_bits_from_between_two_rows(call, tmp_path, monkeypatch):
    """The n-th time that the loop asks, before or after a setback; the anchor is then part of the checkpoint."""
    how = {"training": cr.Training(epochs=4, batch_size=100, on_divergence="reduce-lr"), "compute": NUMPY,
           "optimizer": cr.SGD(2e3), "evaluation": cr.Evaluation(every_steps=7)}  # fmt: skip
    network = cr.mlp([16, 16])
    cr.train(network, DIGITS, output=tmp_path / "whole", **how)
    wants, calls = Keeper.wants, []

    def stopping(self, now):
        calls.append(now)
        if len(calls) == call:
            self.interrupts.received = signal.SIGTERM
        return wants(self, now)

    monkeypatch.setattr(Keeper, "wants", stopping)
    with pytest.raises(cr.Interrupted):
        cr.train(network, DIGITS, output=tmp_path / "run", **how)
    monkeypatch.undo()
    cr.train(network, DIGITS, output=tmp_path / "run", resume=True, **how)
    assert fingerprint(tmp_path / "run") == fingerprint(tmp_path / "whole")


def test_ten_thousand_steps_leave_memory_and_open_files_flat(tmp_path):
    code = """
import os, sys, chainrule as cr
class Watch(cr.Hook):
    seen = []
    def logged(self, row):
        pages = int(open("/proc/self/statm").read().split()[1])
        self.seen.append((pages * 4096, len(os.listdir("/proc/self/fd"))))
cr.train(cr.mlp([8]), cr.read("digits"), training=cr.Training(iterations=10_000, batch_size=8), hooks=[Watch()],
         evaluation=cr.Evaluation(every_steps=500, train_rows=64), checkpoint=cr.Checkpoint(every_steps=250),
         compute=cr.Compute(backend="numpy", threads=1), output=sys.argv[1])
first, last = Watch.seen[4], Watch.seen[-1]
print(last[0] - first[0], last[1] - first[1])
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    grown, opened = map(int, done.stdout.split())
    assert grown < 3e6
    assert opened <= 3  # 40 checkpoints; one may be being written at either look
