"""`train`: output, names, configurations, resuming."""

import json
import shlex
import shutil
import subprocess
import sys

import pytest

from command import HEARING, QUICK, chainrule


def test_train_prints_progress_on_stderr_and_a_summary_on_stdout(tmp_path):
    done = chainrule("train", *QUICK, "-o", tmp_path / "run")
    assert "Network(64 | linear 100 | relu | linear 10; 7,510 parameters)" in done.stderr
    assert "numpy on cpu in float32, " in done.stderr
    assert " (asked for)" in done.stderr
    assert "epoch 2 " in done.stderr
    assert "validation accuracy" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[-1] == f"The test rows were not read. Next: chainrule evaluate {tmp_path / 'run'}"
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "config.toml", "environment.json", "history.jsonl", "metrics.json", "best", "model",
        "checkpoints", "manifest.json",
    }  # fmt: skip


def test_train_json_is_one_object_and_quiet_is_quiet(tmp_path):
    done = chainrule("train", *QUICK, "-o", tmp_path / "run", "--json", "--quiet", "--seed", "3")
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found["seed"] == 3
    assert found["steps"] == 22
    assert 0 < found["model"]["validation_accuracy"] <= 1


def test_a_default_output_gets_the_next_free_name(tmp_path):
    for n in (1, 2):
        assert chainrule("train", *QUICK, "--quiet", cwd=tmp_path).returncode == 0
        assert (tmp_path / "runs" / f"digits-{n}" / "metrics.json").is_file()


def test_the_written_configuration_trains_the_same_run_again(run, tmp_path):
    done = chainrule("train", run / "config.toml", "-o", tmp_path / "again", "--quiet")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "again" / "model" / "weights.safetensors").read_bytes() == (
        run / "model" / "weights.safetensors"
    ).read_bytes()


def test_all_problems_of_a_configuration_at_once(tmp_path):
    config = tmp_path / "bad.toml"
    config.write_text(
        "[network]\nhiden = [3]\n[optimizer]\nkind = 'adm'\n[training]\nbatch_size = 1.5\nepochs = 0\n",
        encoding="utf-8",
    )
    done = chainrule("train", config, "-o", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr == (
        "error: The configuration has 4 problems:\n"
        "  network.hiden: unknown option (did you mean 'hidden'?)\n"
        "  optimizer: unknown kind 'adm' (did you mean 'adam'?); the kinds are 'sgd', 'adam', 'adamw', 'rmsprop'\n"
        "  training.epochs: should be greater than 0, got 0\n"
        "  training.batch_size: should be a whole number, got 1.5\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_directory_that_is_not_empty_is_refused_then_overwritten(run, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "mine.txt").write_text("keep")
    refused = chainrule("train", *QUICK, "-o", folder)
    assert refused.returncode == 2
    assert (
        f"output {folder} is not empty; name another directory, give --resume to go on with the run in it"
        in refused.stderr
    )
    refused = chainrule("train", *QUICK, "-o", folder, "--overwrite")
    assert (refused.returncode, refused.stderr) == (
        2,
        f"error: output {folder} holds no run to overwrite, but other files, such as mine.txt; name another directory\n",
    )
    shutil.copytree(run, folder, dirs_exist_ok=True)
    assert chainrule("train", *QUICK, "-o", folder, "--overwrite", "-q").returncode == 0
    assert (folder / "mine.txt").read_text() == "keep"


def test_what_to_type_next_is_quoted_for_the_shell(tmp_path):
    folder = tmp_path / "it's a run"
    quoted = shlex.quote(str(folder))
    stopped = chainrule("train", *QUICK, "-o", folder, "--time-limit", "0.001s", "-q")
    assert stopped.stderr.endswith(f"; go on with: chainrule train --resume {quoted}\n")
    unfinished = chainrule("evaluate", folder)
    assert unfinished.stderr.endswith(f"Go on with: chainrule train --resume {quoted}\n")
    done = chainrule("train", "--resume", folder, "-q")
    assert done.stdout.endswith(f"Next: chainrule evaluate {quoted}\n")
    seeds = chainrule("train", *QUICK, "-o", tmp_path / "a b", "--seeds", "2", "-q")
    assert seeds.stdout.endswith(f"Next: chainrule evaluate '{tmp_path}/a b'/seed-*\n")


@pytest.mark.parametrize("also", [["-o", "other"], ["--overwrite"]])
def test_resume_is_where_the_run_is(also, tmp_path):
    (tmp_path / "c.toml").touch()
    refused = chainrule("train", "c.toml", "--resume", "mine", *also, cwd=tmp_path)
    assert (refused.returncode, refused.stderr) == (
        2,
        "error: --resume DIR is where the run is and goes on; leave out --output and --overwrite\n",
    )


def test_a_time_limit_leaves_a_run_that_is_resumed_to_the_same_model(run, tmp_path):
    stopped = chainrule("train", *QUICK, "-o", tmp_path / "run", "--time-limit", "0.001s", "-q")
    assert stopped.returncode == 124
    assert f"go on with: chainrule train --resume {tmp_path / 'run'}" in stopped.stderr
    refused = chainrule("train", "--resume", tmp_path / "run", "--set", "optimizer.lr=0.5", "-q")
    assert refused.returncode == 2
    assert "optimizer.lr: 0.001 -> 0.5. Change it back, or give --inexact to go on all the same" in refused.stderr
    done = chainrule("train", "--resume", tmp_path / "run", "-q")
    assert done.returncode == 0, done.stderr
    weights = [folder / "model" / "weights.safetensors" for folder in (run, tmp_path / "run")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize("limit", ["0", "0s", "0.0h"])
def test_a_time_limit_of_nothing_is_refused(limit, tmp_path):
    refused = chainrule("train", *QUICK, "-o", tmp_path / "run", "--time-limit", limit)
    assert (refused.returncode, refused.stderr) == (
        2,
        f"error: the time {limit!r} is none at all; expected more than 0, such as 90s, 30m or 2h; leave it out to set no "
        "limit\n",
    )
    assert not (tmp_path / "run").exists()


def test_inexact_goes_on_with_what_was_changed_and_says_so(tmp_path):
    assert chainrule("train", *QUICK, "-o", tmp_path / "run", "--time-limit", "0.001s", "-q").returncode == 124
    done = chainrule("train", "--resume", tmp_path / "run", "--inexact", "--set", "optimizer.lr=0.5", "-q")
    assert done.returncode == 0, done.stderr
    assert "changed since the checkpoint: optimizer.lr: 0.001 -> 0.5 (the bits may differ)" in done.stderr
    sessions = json.loads((tmp_path / "run" / "environment.json").read_text())["sessions"]
    assert [session["changes"] for session in sessions] == [[], ["optimizer.lr: 0.001 -> 0.5"]]


def test_on_divergence_stops_or_halves_the_rate(tmp_path):
    far = [
        "--set",
        "network.hidden=[16,16]",
        "--set",
        "training.batch_size=100",
        "--set",
        "optimizer={kind='sgd',lr=2e3}",
        "--set",
        "training.epochs=4",
        "--set",
        "evaluation.every_steps=7",
    ]
    stopped = chainrule("train", *QUICK, *far, "-o", tmp_path / "stopped", "-q")
    assert stopped.returncode == 1, stopped.stderr
    assert "The first value that is not finite" in stopped.stderr
    done = chainrule("train", *QUICK, *far, "--on-divergence", "reduce-lr", "-o", tmp_path / "run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["setbacks"]
    assert "learning rate" in done.stderr


def test_a_second_interrupt_stops_at_once(tmp_path):
    """The first is noted; here the loop never asks, so that only the second one can end it."""
    code = (
        "import os, signal, sys, time; from chainrule.runs.keeper import Keeper; from chainrule.cli import main\n"
        "def wants(self, step):\n"
        "    os.kill(os.getpid(), signal.SIGINT); print('noted', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT); time.sleep(60)\n"
        "Keeper.wants = wants\n"
        f"sys.argv = ['chainrule', 'train', '-q', '-o', {str(tmp_path / 'run')!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30, **HEARING
    )
    assert done.returncode == 130
    assert done.stdout == "noted\n"
    assert "SIGINT: stopping; once more to stop at once" in done.stderr
    assert "Traceback" not in done.stderr
