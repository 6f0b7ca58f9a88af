"""The whole replication on the digits: files, figures, resuming, and validation in training mode."""

import json
import shutil

import numpy as np
import pytest

import chainrule as cr
from chainrule.data import split
from chainrule.replication import replicate
from chainrule.replication.experiments import experiments
from chainrule.replication.training_mode import accuracy_in_training_mode
from command import chainrule


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replication")
    lines = []
    return folder / "made", replicate(folder / "made", in_two_minutes=True, seeds=3, tell=lines.append), lines


def test_every_network_has_its_figures(done):
    folder, results, _ = done
    assert json.loads((folder / "results.json").read_text()) == json.loads(json.dumps(results))
    networks = {(one.name, name) for one in experiments() for name in one.networks}
    widest = next(row for row in results["networks"] if row["network"] == "4000/700, dropout, batch norm")
    assert widest["label"] == "500/87, dropout, batch norm"
    assert "width=500" in widest["layers"][0]
    assert {(row["experiment"], row["network"]) for row in results["networks"]} == networks
    for row in results["networks"]:
        assert len(row["test_accuracy"]["values"]) == len(row["seeds"]) == 3
        assert row["test_accuracy"]["n_rows"] == 359
    with_dropout = next(row for row in results["networks"] if row["experiment"] == "best")
    assert with_dropout["validation_in_training_mode"]["mean"] != with_dropout["validation_accuracy"]["mean"]
    assert with_dropout["test_accuracy"]["mean"] > 0.9
    assert results["gradients"]["holds"]
    assert results["toy"]["holds"]


def test_the_page_names_verdicts_conditions_and_what_the_report_says(done):
    page, text = ((done[0] / name).read_text() for name in ("report.html", "README.md"))
    for words in ("A hidden layer of 43 is the best size: ", "The quick replication", "0 hidden units (labelled 6)",
                  "validation in training mode", "chance-level", "numpy", "A toy set learnt by heart"):  # fmt: skip
        assert words in page, words
        assert words.split(" (")[0] in text.replace("\\", ""), words
    assert "The whole: <code>chainrule replicate aml-hw1</code>" in page
    assert "The whole: `chainrule replicate aml-hw1`" in text


def test_figures_are_files_that_the_text_shows(done):
    text = (done[0] / "README.md").read_text()
    drawn = {path.stem for path in (done[0] / "figures").glob("*.svg")}
    assert {"toy", "accuracy-hidden-size", "accuracy-depth", "tuned-loss", "tuned-accuracy", "tuned-weights"} <= drawn
    assert all(f"](<figures/{name}.svg>)" in text for name in drawn)


def test_without_matplotlib_the_rest_is_there(done, monkeypatch):
    def missing(*_):
        raise cr.ConfigError("matplotlib is not installed")

    lines = []
    monkeypatch.setattr("chainrule.replication.conduct.save", missing)
    replicate(done[0], in_two_minutes=True, seeds=3, tell=lines.append)
    assert lines[-1] == "no figures as files: matplotlib is not installed"
    assert "](<figures" not in (done[0] / "README.md").read_text()


def test_each_network_is_told_as_it_ends(done):
    lines = done[2]
    assert lines[0] == "The default network: 1 network, 3 seeds each"
    assert lines[1].startswith("  1/1 50: validation 0.")
    assert len(lines) == len(experiments()) + sum(len(one.networks) for one in experiments())


@pytest.mark.parametrize("moved", [False, True], ids=["in place", "in another folder"])
def test_going_on_changes_nothing_and_trains_nothing(done, moved, tmp_path, monkeypatch):
    folder, results, _ = done
    if moved:
        folder = shutil.copytree(folder, tmp_path / "moved")

    def trained(*_, **__):
        raise AssertionError("nothing was left to train")

    monkeypatch.setattr("chainrule.study.task.train_seeds", trained)
    again = replicate(folder, in_two_minutes=True, seeds=3)
    assert again["networks"] == results["networks"]
    assert again["conclusions"] == results["conclusions"]


def test_from_the_shell(done, monkeypatch):
    found = chainrule("replicate", "aml-hw1", "--quick", "--seeds", "3", "--output", done[0])
    assert found.returncode == 0, found.stderr
    assert "A hidden layer of 43 is the best size: " in found.stdout
    assert found.stdout.splitlines()[-1].startswith("all of it: ")
    wrong = chainrule("replicate", "aml-hw2")
    assert wrong.returncode == 2


def test_training_mode_by_hand():
    """With batch norm alone: the batch's own mean and variance instead of the running ones."""
    data = cr.read("digits")
    network = cr.Network((cr.Linear(8), cr.BatchNorm(), cr.ReLU(), cr.Linear()))
    run = cr.train(network, data, training=cr.Training(epochs=1, batch_size=64), compute=cr.Compute("numpy"))
    rows = split(data, run.config.data.split).validation
    p, right = run.model.parameters, 0
    for start in range(0, len(rows), 64):
        part = rows[start : start + 64]
        z = run.model.preprocessing(data.X[part].astype(float)) @ p["0.W"] + p["0.b"]
        z = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5) * p["1.gamma"] + p["1.beta"]
        right += (np.argmax(np.maximum(z, 0) @ p["3.W"] + p["3.b"], axis=1) == data.y[part]).sum()
    assert accuracy_in_training_mode(run, data) == pytest.approx(right / len(rows), abs=2.1 / len(rows))


def test_nothing_of_others_is_written_over(done, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("mine")
    (tmp_path / "file").write_text("")
    refused = {
        tmp_path / "mine": "is not empty, and holds no replication; name another directory",
        tmp_path / "file": "is a file; name a directory",
        done[0]: r"holds the replication .*'seeds': 3.*, asked is .*'seeds': 4.*; name another directory",
    }
    for folder, message in refused.items():
        with pytest.raises(cr.ConfigError, match=message):
            replicate(folder, in_two_minutes=True, seeds=4)
    with pytest.raises(cr.ConfigError, match="data 'x' would not be read: the quick replication is on the digits"):
        replicate(tmp_path / "new", in_two_minutes=True, data="x")
    assert [path.name for path in sorted(tmp_path.rglob("*"))] == ["file", "mine", "README.md"]
