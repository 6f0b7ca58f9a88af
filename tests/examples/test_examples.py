"""Every file in examples/ runs: Python as it is, trainings with few steps, studies with one trial."""

import json
import re
import subprocess
import sys
import tomllib

import pytest

from command import chainrule
from conftest import ROOT

FOLDER = ROOT / "examples"
SCRIPTS = sorted(FOLDER.glob("*.py"))
CONFIGS = sorted(FOLDER.glob("*.toml"))
SHORT = ["--set", "training.iterations=4", "--set", "evaluation.train_rows=256", "--set", "evaluation.every_steps=4",
         "--set", "compute.threads=1", "--quiet", "--json"]  # fmt: skip


def test_all_files_are_known():
    assert {*SCRIPTS, *CONFIGS} == {path for path in FOLDER.iterdir() if path.name != "__pycache__"}
    assert len(SCRIPTS) >= 1
    assert len(CONFIGS) >= 7


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script(path, tmp_path):
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_hook_is_short_and_sees_the_run(tmp_path):
    done = subprocess.run([sys.executable, FOLDER / "own_hook.py"], capture_output=True, text=True, cwd=tmp_path,
                          check=True)  # fmt: skip
    first, *rows, last = done.stdout.splitlines()
    assert first == "Network(64 | linear 32 | relu | linear 10; 2,410 parameters), 33 steps to go"
    assert len(rows) == 3
    assert rows[-1].endswith(last.removeprefix("done: "))
    text = (FOLDER / "own_hook.py").read_text()
    hook = text[text.index("class Told") : text.index("if __name__")].strip()
    assert len(hook.splitlines()) <= 10


def source(request, path):
    """Where the data are that the configuration names; the test is left out where this machine has them not."""
    base = tomllib.loads(path.read_text())
    base = tomllib.loads((path.parent / base["base"]).read_text()) if "base" in base else base
    name = base["data"].get("source", "digits")
    if name == "digits":
        return []
    fixture = {"cifar10": "cifar10", "fashion-mnist": "fashion_mnist"}[name]
    option = "train.data.path" if "space" in tomllib.loads(path.read_text()) else "data.path"
    return ["--set", f"{option}={json.dumps(str(request.getfixturevalue(fixture)))}"]


@pytest.mark.parametrize("path", [path for path in CONFIGS if "space" not in tomllib.loads(path.read_text())],
                         ids=lambda path: path.name)  # fmt: skip
def test_a_training(request, path, tmp_path):
    data = source(request, path)
    shorter = tmp_path / path.name  # without its lengths, which would contradict those of this test
    shorter.write_text(
        re.sub(r"^(epochs|iterations|every_epochs|warm_up) = .*$", "", path.read_text(), flags=re.MULTILINE)
    )
    done = chainrule("train", shorter, *SHORT, *data, "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 4


@pytest.mark.parametrize("path", [path for path in CONFIGS if "space" in tomllib.loads(path.read_text())],
                         ids=lambda path: path.name)  # fmt: skip
def test_a_study(request, path, tmp_path):
    data = source(request, path)
    short = ["train.training.iterations=4", "train.evaluation.train_rows=256", "search.sampler=\"random\"",
             "search.trials=1", "search.seeds=1", "finalists.n=1", "finalists.seeds=1", "train.compute.threads=1"]  # fmt: skip
    changes = [*data, *(part for one in short for part in ("--set", one))]
    done = chainrule("study", path, *changes, "--quiet", "--json", "-o", tmp_path / "study")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["finalists"]
