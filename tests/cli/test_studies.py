"""Studies from the shell: progress, result, listing, importance, interruption, mistakes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from command import HEARING, chainrule

STUDY = """
[train.training]
epochs = 2
batch_size = 64
[space]
"network.hidden" = [[5], [10]]
"optimizer.lr" = { low = 1e-4, high = 1e-1, log = true }
[search]
sampler = "random"
trials = 12
metric = "validation_accuracy"
[finalists]
n = 2
seeds = 2
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "small.toml").write_text(STUDY)
    found = chainrule("study", folder / "small.toml", cwd=folder)
    assert found.returncode == 0, found.stderr
    return folder, found


def test_result_and_progress(done):
    folder, found = done
    assert "12 trials: 12 finished, 0 pruned, 0 failed; 24 epochs" in found.stdout
    assert "finalists, trained again with fresh seeds:" in found.stdout
    assert "The test rows have been read once" in found.stdout
    lines = found.stderr.splitlines()
    assert len(lines) == 14
    assert lines[0].startswith("1/12 | trial 0: ")
    assert lines[-1].startswith("2/2 | finalist 13 (of trial ")
    assert (folder / "studies/small/study.toml").is_file()
    assert json.loads((folder / "studies/small/summary.json").read_text())["trials"]["finished"] == 12


def test_trials_importance_and_comparison(done):
    folder, _ = done
    listed = json.loads(chainrule("trials", folder / "studies/small", "--json").stdout)
    assert len(listed) == 14
    assert {"params", "state", "value", "curve", "reason", "attempt"} <= listed[0].keys()
    table = chainrule("trials", folder / "studies/small").stdout
    assert "finalist of" in table
    weighed = chainrule("importance", folder / "studies/small", "--json")
    assert weighed.stderr == ""
    shares = json.loads(weighed.stdout)
    assert sum(shares.values()) == pytest.approx(1)
    assert next(iter(shares)) == "optimizer.lr"
    page = chainrule("report", folder / "studies/small")
    assert (page.returncode, page.stderr) == (0, "")
    assert "Importance of each option" in (folder / "studies/small/report.html").read_text()
    compared = chainrule("compare", folder / "studies/small")
    assert "small: network.hidden = [" in compared.stdout


def test_a_studys_record_is_taken_under_its_name(done):
    folder, found = done
    again = chainrule("study", folder / "studies/small/study.toml", "--resume", cwd=folder)
    assert (again.returncode, again.stdout) == (0, found.stdout)
    assert [path.name for path in (folder / "studies").iterdir()] == ["small"]


def test_mistakes(done, tmp_path):
    folder, _ = done
    (tmp_path / "bad.toml").write_text('[space]\n"network.hiden" = [[3]]\n')
    found = chainrule("study", tmp_path / "bad.toml", "--set", "search.trials=1")
    assert found.returncode == 2
    assert "network.hiden: unknown option (did you mean 'hidden'?)" in found.stderr
    again = chainrule("study", folder / "small.toml", cwd=folder)
    assert again.returncode == 2
    assert "is not empty; name another directory, or give --resume" in again.stderr
    none = chainrule("trials", tmp_path)
    assert (none.returncode, "holds no study" in none.stderr) == (2, True)
    gone = chainrule(
        "study", folder / "small.toml", "-o", tmp_path / "x", "--database", "postgresql://a:b@127.0.0.1:1/c"
    )
    assert gone.returncode == 1
    assert "cannot be used" in gone.stderr
    assert gone.stderr.endswith(". Mend it, or name another with --database\n")
    both = chainrule("study", folder / "small.toml", "-o", tmp_path / "y", "--ray", "local", "--workers", "2")
    assert both.returncode == 2


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_interrupted_study_goes_on(done, tmp_path, workers):
    folder, _ = done
    expected = json.loads((folder / "studies/small/summary.json").read_text())["best"]
    command = [Path(sys.executable).with_name("chainrule"), "study", folder / "small.toml", "-o", tmp_path / "one", "--workers",
               workers]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                               env={**os.environ, "NO_COLOR": "1"}, **HEARING)  # fmt: skip
    for _ in range(3):
        process.stderr.readline()
    process.send_signal(signal.SIGINT)
    begin = time.monotonic()
    rest = process.communicate()[1]
    assert process.returncode == 130, rest
    assert time.monotonic() - begin < 15
    found = chainrule(
        "study", folder / "small.toml", "-o", tmp_path / "one", "--workers", workers, "--resume", "--json"
    )
    assert json.loads(found.stdout)["best"] == expected
