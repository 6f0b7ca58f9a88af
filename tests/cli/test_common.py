"""The command itself: help, version, wrong input, a machine without PyTorch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from command import QUICK, chainrule


def test_help_is_fast_and_complete():
    seconds = []
    for _ in range(3):  # the best of three, and of its processor's time: the machine does other work
        start = os.times()
        done = chainrule("--help")
        end = os.times()
        seconds.append(end.children_user + end.children_system - start.children_user - start.children_system)
    assert done.returncode == 0
    for command in ("train", "evaluate", "predict", "check", "schema", "data"):
        assert command in done.stdout
    assert min(seconds) < 0.5


def test_version():
    assert chainrule("--version").stdout == "chainrule 0.1.0\n"


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "chainrule", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == "chainrule 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "missing.toml"], 2, "The configuration missing.toml cannot be read"),
        (["train", "--set", "optimizer.lr"], 2, "--set 'optimizer.lr': expected KEY=VALUE"),
        (["train", "--set", "training.batch_size=5000"], 2, "training.batch_size 5000 is more than the 1294"),
        (["train", "--set", "network.layers=[{kind='linear',width=7}]"], 2, "the network ends with width 7, but"),
        (["train", "--set", "loss.kind='squared_error'"], 2, "loss 'squared_error' is for regression"),
        (["train", "--set", "evaluation.monitor='accuracy'"], 2, "evaluation.monitor 'accuracy' is no column"),
        (["train", "--set", "evaluation.metrics=['rmse']"], 2, "metric 'rmse' is not known for classification"),
        (["train", "--device", "cuda"], 2, "device 'cuda': PyTorch"),
        (["train", "--device", "tpu"], 2, "compute.device: "),
        (["train", "--data", "digitz"], 3, "did you mean 'digits'?"),
        (["train", "--set", "data.split.validation=2000"], 3, "split.validation asks for 2,000 rows"),
        (["evaluate", "nowhere"], 2, "nowhere does not exist; name what `chainrule train --output` wrote"),
        (["evaluate", "nowhere", "--split", "tset"], 2, "--split 'tset': expected test, validation or train"),
        (["predict", "nowhere", "rows.csv"], 2, "nowhere does not exist; name what"),
        (["export", "nowhere", "--to", "onnx"], 2, "nowhere does not exist; name what"),
        (["verify", "nowhere"], 2, "nowhere does not exist; name what"),
        (["diagnose", "nowhere"], 2, "nowhere does not exist; name what"),
        (["report", "nowhere", "-o", "new/x.html"], 2, "nowhere does not exist; name what"),
        (["compare", "nowhere", "too"], 2, "nowhere does not exist; name what"),
        (["train", "--unknown"], 2, "No such option"),
    ],
)  # fmt: skip
def test_wrong_input_is_refused_with_its_exit_code(arguments, code, message, tmp_path):
    done = chainrule(*arguments, cwd=tmp_path)
    assert message in done.stderr
    assert done.returncode == code
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_without_torch_everything_runs_on_numpy(tmp_path):
    """A finder that hides torch stands in for an installation without the extra."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Hide:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch' or name.startswith('torch.'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Hide())\n"
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'torch' else find(name, package)\n"
    )
    env = {"PYTHONPATH": str(tmp_path)}
    big = ["--set", "network.hidden=[512,512]", "--set", "training.iterations=3"]
    done = chainrule("train", *big, "-o", tmp_path / "run", env=env)
    assert done.returncode == 0, done.stderr
    assert "numpy on cpu in float32" in done.stderr
    assert "(PyTorch is not installed)" in done.stderr
    checked = chainrule("check", env=env)
    assert checked.returncode == 0
    assert "not run (PyTorch is not installed)" in checked.stdout
    asked = chainrule("train", "--set", "compute.backend=torch", "-o", tmp_path / "no", env=env)
    assert asked.returncode == 2
    assert "backend 'torch' needs PyTorch, which is not installed; pip install 'chainrule[torch]'" in asked.stderr


def shell(line, *arguments, cwd):
    """`chainrule ARGUMENTS` with what `line` says of its files."""
    command = ["bash", "-c", f'"$0" -m chainrule "$@" {line}', sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_a_closed_stdout_takes_results_and_a_closed_stderr_leaves_them_alone(run, tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((2, 64)))
    for arguments in (["schema"], ["predict", run, "rows.npy"], ["evaluate", run, "--json"], ["verify", run]):
        done = shell(">&-", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = shell("2>&-", "train", *QUICK, "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["steps"]) == (0, 22)
    for arguments in (["evaluate", "nowhere"], ["evaluate", "--unknown"]):
        done = shell("2>&-", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2> >(head -n 1 >/dev/null)", "2>&-"])
def test_progress_that_cannot_be_written_ends_no_training_and_changes_no_exit_code(stderr, tmp_path):
    if "/dev/full" in stderr and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full, a device that is always full")
    done = shell(stderr, "train", *QUICK, "-o", "run", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "The test rows were not read. Next: chainrule evaluate run"
    done = shell(stderr, "train", *QUICK, "-o", "other", "--time-limit", "0.001s", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (124, "")
