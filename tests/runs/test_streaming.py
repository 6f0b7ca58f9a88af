"""A run on a streamed set: resumed to the same bits, refused where the data changed, evaluated, reported, measured."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.backends import World
from chainrule.data.streaming import excerpt, scan
from chainrule.runs.keeper import Keeper
from chainrule.runs.ranks import planned_for
from chainrule.spec import from_plain, to_plain
from chainrule.training.config import Config, DataOptions
from chainrule.training.feed import Feed
from chainrule.training.plan import plan
from chainrule.training.step import batch, on_device, placed
from command import chainrule
from data.streaming import made
from faults.compared import fingerprint, litter

NETWORK = cr.mlp([12], dropout=0.2)
OPTIONS = {
    "training": cr.Training(epochs=2, batch_size=100),
    "evaluation": cr.Evaluation(every_steps=5),
    "compute": cr.Compute(backend="numpy", threads=1),
}  # fmt: skip


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return made.digits(tmp_path_factory.mktemp("data") / "digits")


@pytest.fixture(scope="module")
def reference(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference") / "run"
    cr.train(NETWORK, cr.shards(digits, stream=made.SMALL), output=folder, **OPTIONS)
    return folder


@pytest.mark.parametrize("step", [1, 2, 4, 5, 12, 13, 19, 25])
def test_resumed_from_any_step_is_the_uninterrupted_run(step, digits, tmp_path, reference, monkeypatch):
    """In a window, at its boundary (2, 4), at a row of history (5), at the epoch's boundary (13)."""
    wants = Keeper.wants

    def stopping(self, now):
        if now == step:
            self.interrupts.received = signal.SIGTERM
        return wants(self, now)

    monkeypatch.setattr(Keeper, "wants", stopping)
    with pytest.raises(cr.Interrupted):
        cr.train(NETWORK, cr.shards(digits, stream=made.SMALL), output=tmp_path / "run", **OPTIONS)
    monkeypatch.undo()
    data = cr.shards(digits, stream=made.SMALL)
    cr.train(NETWORK, data, output=tmp_path / "run", resume=True, **OPTIONS)
    assert fingerprint(tmp_path / "run") == fingerprint(reference)
    assert litter(tmp_path / "run") == []


def test_a_killed_process_resumes_from_the_shell_by_the_directory_alone(digits, tmp_path):
    run, whole = tmp_path / "run", tmp_path / "whole"
    options = ["--data", digits, "--set", "data.stream={when='always', window_mb=0.05, blocks=4}", "--set",
               "training.epochs=40", "--set", "compute.backend=numpy", "--set", "checkpoint.every_steps=3"]  # fmt: skip
    assert chainrule("train", *options, "--output", whole).returncode == 0
    command = [Path(sys.executable).parent / "chainrule", "train", *map(str, options), "--output", run]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list((run / "checkpoints").glob("step-*[0-9]"))) < 2:
            pass
        process.kill()
    assert not (run / "manifest.json").exists()
    resumed = chainrule("train", "--resume", run)
    assert resumed.returncode == 0, resumed.stderr
    assert fingerprint(run) == fingerprint(whole)


def test_changed_data_are_refused(digits, tmp_path, monkeypatch):
    folder = made.digits(tmp_path / "digits")
    monkeypatch.setattr(Keeper, "wants", lambda self, now: now == 3)
    monkeypatch.setattr(Keeper, "keep", _stopping(Keeper.keep, 3))
    with pytest.raises(KeyboardInterrupt):
        cr.train(NETWORK, cr.shards(folder, stream=made.SMALL), output=tmp_path / "run", **OPTIONS)
    monkeypatch.undo()
    X = np.load(folder / "X-2.npy")
    X[7, 7] += 1
    np.save(folder / "X-2.npy", X)
    with pytest.raises(cr.ConfigError, match=r"cannot go on to the same bits; changed since its checkpoint: data: '"):
        cr.train(NETWORK, cr.shards(folder, stream=made.SMALL), output=tmp_path / "run", resume=True, **OPTIONS)


def _stopping(keep, at):
    def kept(self, progress):
        keep(self, progress)
        if progress.now.step == at:
            raise KeyboardInterrupt

    return kept


def test_steps_are_those_of_the_same_rows_in_memory(digits):
    """x, targets and rows of every batch: each training row once an epoch, prepared as in memory."""
    data, split = cr.shards(digits, stream=made.SMALL), cr.Split(test=100, validation=100)
    config = cr.Config(data=DataOptions(split=split), training=cr.Training(batch_size=64, epochs=2),
                       compute=OPTIONS["compute"])  # fmt: skip
    p = plan(config, data, NETWORK)
    whole, left_out = data.resident(), scan(data, split).left_out
    expected = np.delete(np.arange(data.n_rows), left_out)
    with p.backend.scope(), on_device(p) as rows:
        seen = [batch(p, *placed(p, rows, step))[:2] for step in range(p.batches.per_epoch)]
    x, y = np.concatenate([x for x, _ in seen]), np.concatenate([y for _, y in seen])
    prepared = p.preprocessing(whole.X[expected].astype(np.float32)).astype(np.float32)

    def ordered(rows, labels):
        table = np.column_stack([np.round(rows, 3), labels])
        return table[np.lexsort(table.T)]

    np.testing.assert_allclose(ordered(x, y), ordered(prepared, whole.y[expected]), atol=2e-3)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_regression_on_parquet_reaches_what_rows_in_memory_reach(tmp_path, backend):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 4))
    columns = {f"x{i}": X[:, i] for i in range(4)} | {"y": 100 + 5 * np.sin(X[:, 0]) + X[:, 1]}
    data = cr.shards(made.parquet(tmp_path / "t", columns), stream=made.SMALL)
    options = OPTIONS | {"compute": cr.Compute(backend=backend, threads=1), "optimizer": cr.Adam(1e-2),
                         "training": cr.Training(epochs=20)}  # fmt: skip
    runs = [cr.train(cr.mlp([32]), one, **options) for one in (data, data.resident())]
    errors = [run.metrics["model"]["validation_rmse"] for run in runs]
    assert max(errors) < 1
    assert errors[0] == pytest.approx(errors[1], rel=0.3)


def test_evaluate_report_and_diagnose_take_the_rows_that_are_held(reference, digits, tmp_path):
    run = cr.load_run(reference)
    assert run.metrics["rows"] == {"train": 1294, "validation": 144, "test": 359}
    found = cr.assess_run(run, "test")
    assert (found.n, found.notes) == (359, ())
    assert cr.assess_run(run, "test", cr.shards(digits)).metrics == found.metrics
    shown = chainrule("evaluate", reference)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "all" in chainrule("evaluate", reference, "--data", made.digits(tmp_path / "other", 2, np.float64)).stdout
    with pytest.raises(cr.DataError, match="too large to be held in memory, and not what the run was trained on"):
        cr.assess_run(run, "test", cr.shards(tmp_path / "other"))
    assert "confusion" in cr.report(reference).lower()
    assert chainrule("diagnose", reference).returncode == 0


def test_seeds_one_after_the_other_and_augmentation(digits, tmp_path):
    data = cr.shards(digits, stream=made.SMALL)
    together = cr.train(NETWORK, data, seeds=2, augment=cr.Augment(mixup=0.3), **OPTIONS)
    alone = cr.train(NETWORK, data, augment=cr.Augment(mixup=0.3), **OPTIONS)
    assert together[0].model.digest == alone.model.digest != together[1].model.digest


def test_what_needs_all_rows_in_memory_is_refused_before_they_are_looked_through(digits, monkeypatch):
    data = cr.shards(digits, stream=made.SMALL)
    monkeypatch.setattr(data.layout.__class__, "read", None)
    with pytest.raises(cr.ConfigError) as refused:
        cr.train(NETWORK, data, training=cr.Training(replacement=True))
    assert str(refused.value) == (
        "training.replacement draws each batch from all rows, but digits is streamed; leave it out, or set "
        "data.stream.when = 'never'"
    )
    with pytest.raises(cr.ConfigError, match=r"evaluation.monitor 'f2' is no column"):
        cr.train(NETWORK, data, evaluation=cr.Evaluation(monitor="f2"))


def test_the_rows_that_are_held_are_no_set_to_train_on(digits):
    data = cr.shards(digits, stream=replace(made.SMALL, held=100))
    with pytest.raises(cr.DataError) as refused:
        cr.train(NETWORK, excerpt(data, cr.Split()))
    assert str(refused.value) == (
        "digits: these are the 300 rows that are held of a streamed set; to train on all 1,797, give what `shards` returns."
    )


def test_a_file_that_changes_while_training_ends_it_and_the_checkpoint_is_kept(tmp_path, monkeypatch):
    folder = made.digits(tmp_path / "digits")
    filled, windows = Feed._filled, []

    def spoiling(self, key, X, y):
        windows.append(key)
        if len(windows) == 5:
            os.utime(folder / "X-1.npy", ns=(0, 0))
        return filled(self, key, X, y)

    monkeypatch.setattr(Feed, "_filled", spoiling)
    options = OPTIONS | {"checkpoint": cr.Checkpoint(every_steps=2)}
    with pytest.raises(cr.DataError, match=r"X-1.npy: has changed since it was opened"):
        cr.train(NETWORK, cr.shards(folder, stream=made.SMALL), output=tmp_path / "run", **options)
    monkeypatch.undo()
    cr.train(NETWORK, cr.shards(folder, stream=made.SMALL), output=tmp_path / "run", resume=True, **options)
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["steps"] == 26


MEASURED = """
import sys, chainrule as cr
data = cr.shards(sys.argv[1], stream=cr.Stream(when="always", window_mb=4, held=500))
cr.train(cr.mlp([8]), data, training=cr.Training(epochs=1, batch_size=500), compute=cr.Compute(backend="numpy", threads=1))
status = open("/proc/self/status").read()
print(data.n_rows * data.row_bytes / 2**20, int(status.partition("VmHWM:")[2].split()[0]) / 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="peak memory is read from Linux's /proc")
def test_memory_does_not_grow_with_the_rows(tmp_path):
    """32 and 128 MiB of rows, windows of 4 MiB: peak memory of the process differs by less than two windows."""
    found = []
    for n_files in (2, 8):
        folder = tmp_path / str(n_files)
        folder.mkdir()
        for i in range(n_files):
            np.save(folder / f"X-{i}.npy", np.random.default_rng(i).integers(0, 256, (2**16, 256), np.uint8))
            np.save(folder / f"y-{i}.npy", np.arange(2**16) % 3)
        done = subprocess.run([sys.executable, "-c", MEASURED, folder], check=True, capture_output=True, text=True)
        found.append([*map(float, done.stdout.split())])
    (small, before), (large, after) = found
    assert (small, large) == (32, 128)
    assert after - before < 8


def test_a_start_that_prepares_rows_beforehand_is_refused(digits):
    """Windows go to the device as they are read, so its training rows would not be prepared."""
    model = cr.train(NETWORK, cr.read("digits"), preprocessing="robust", **OPTIONS).model
    message = (
        "the model to go on from prepares all rows beforehand (preprocessing 'robust'), but digits is streamed; set "
        "data.stream.when = 'never', or train anew"
    )
    with pytest.raises(cr.ConfigError) as refused:
        cr.train(NETWORK, cr.shards(digits, stream=made.SMALL), start=model, **OPTIONS)
    assert str(refused.value) == message


def test_several_processes_are_refused_before_the_rows_are_looked_through(digits, monkeypatch):
    class Two(World):
        size = 2

    monkeypatch.setattr("chainrule.training.plan.scan", lambda *_: pytest.fail("the rows were looked through"))
    config = from_plain(Config, {"data": {"source": str(digits), "stream": to_plain(made.SMALL)}})
    with pytest.raises(cr.ConfigError) as refused:
        planned_for(Two(), config, None)
    assert str(refused.value) == (
        "digits is streamed, which 2 processes cannot share; train it with one process, or set data.stream.when = 'never'"
    )
