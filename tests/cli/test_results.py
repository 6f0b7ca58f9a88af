"""`evaluate` and `predict`."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.cli.results import Evaluated, _means
from chainrule.runs.assess import Assessment
from command import QUICK, chainrule


def test_evaluate_one_run_has_the_interval_over_rows(run):
    found = json.loads(chainrule("evaluate", run, "--json").stdout)
    assert found["n"] == 359
    low, high = found["accuracy_interval_95"]
    assert low < found["metrics"]["accuracy"] < high


def test_evaluate_several_runs_has_the_mean_and_its_interval(tmp_path):
    assert chainrule("train", *QUICK, "--seeds", "3", "-o", tmp_path / "runs", "--quiet").returncode == 0
    runs = sorted((tmp_path / "runs").iterdir())
    assert [path.name for path in runs] == ["seed-0", "seed-1", "seed-2"]
    text = chainrule("evaluate", *runs).stdout
    assert "mean accuracy of 3 runs: 0." in text
    assert "95 % interval over runs [" in text
    found = json.loads(chainrule("evaluate", *runs, "--json").stdout)
    assert found["mean"]["accuracy"]["runs"] == 3


def test_the_interval_of_a_loss_that_cannot_be_negative_ends_at_0():
    def low(kind):
        values = (("a", 0.7), ("b", 1.3))
        found = [Evaluated(Path(name), Assessment("test", 9, {"loss": loss}, None), kind) for name, loss in values]
        return _means(found)["loss"]["low_95"]

    assert low(cr.SoftmaxCrossEntropy()) == 0
    assert low(cr.Poisson()) < -2


def test_predict_writes_a_line_a_row(run, tmp_path):
    from chainrule import read

    data = read("digits")
    np.save(tmp_path / "rows.npy", data.X[:20])
    done = chainrule("predict", run, tmp_path / "rows.npy")
    lines = list(csv.reader(done.stdout.splitlines()))
    assert lines[0][:3] == ["row", "prediction", "p(0)"]
    assert len(lines) == 21
    assert sum(float(p) for p in lines[1][2:]) == pytest.approx(1, abs=1e-4)
    chainrule("predict", run, tmp_path / "rows.npy", "-o", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == done.stdout
    assert json.loads(chainrule("predict", run, tmp_path / "rows.npy", "--json").stdout)[0]["prediction"] == lines[1][1]


def test_predict_writes_what_the_suffix_says_and_refuses_others_before_any_work(run, tmp_path):
    from chainrule import read

    np.save(tmp_path / "rows.npy", read("digits").X[:5])
    said = chainrule("predict", run, tmp_path / "rows.npy").stdout
    for name in ("out.csv", "out.tsv", "out.json", "out", "new/out.parquet"):
        done = chainrule("predict", run, tmp_path / "rows.npy", "-o", tmp_path / name)
        assert done.stderr == f"5 rows predicted, written to {tmp_path / name}\n"
    assert (tmp_path / "out").read_text() == said == (tmp_path / "out.tsv").read_text().replace("\t", ",")
    assert json.loads((tmp_path / "out.json").read_text())[4]["row"] == 4
    assert (tmp_path / "new" / "out.parquet").read_bytes()[:4] == b"PAR1"
    for arguments, message in (
        (
            ("-o", "out.xlsx"),
            "output out.xlsx: its suffix '.xlsx' is not one of .csv .tsv .json .parquet .arrow .feather",
        ),
        (
            ("-o", "out.csv", "--json"),
            "output out.csv: --json writes JSON; give it the suffix .json, or leave --json out",
        ),
    ):
        refused = chainrule("predict", "nowhere", "missing.csv", *arguments)
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
    kept = (tmp_path / "out.csv").read_text()
    refused = chainrule("predict", run, tmp_path / "out.csv", "-o", tmp_path / "new" / ".." / "out.csv")
    assert "out.csv is the file with the rows to predict; name another" in refused.stderr
    assert (tmp_path / "out.csv").read_text() == kept


def test_predict_makes_no_folder_for_rows_that_cannot_be_read(run, tmp_path):
    refused = chainrule("predict", run, tmp_path / "none.npy", "-o", tmp_path / "new/deep/out.csv")
    assert refused.returncode == 3
    assert not (tmp_path / "new").exists()


def test_predict_takes_a_table_by_column_names_and_refuses_a_missing_one(tmp_path):
    rng = np.random.default_rng(0)
    rows = [[x, z, "yes" if x > 0 else "no"] for x, z in rng.normal(size=(80, 2))]
    table = tmp_path / "table.csv"
    table.write_text("x,z,answer\n" + "\n".join(",".join(map(str, row)) for row in rows))
    trained = chainrule(
        "train", "--data", table, *QUICK, "--set", "training.batch_size=16", "-o", tmp_path / "run", "-q"
    )
    assert trained.returncode == 0, trained.stderr
    (tmp_path / "new.csv").write_text("z,x\n0.5,3\n-0.1,-3\n")
    (tmp_path / "swapped.csv").write_text("x,z\n3,0.5\n-3,-0.1\n")
    found = [chainrule("predict", tmp_path / "run", tmp_path / name).stdout for name in ("new.csv", "swapped.csv")]
    assert found[0] == found[1] != ""
    (tmp_path / "short.csv").write_text("x\n3\n")
    refused = chainrule("predict", tmp_path / "run", tmp_path / "short.csv")
    assert refused.returncode == 3
    assert "'z'" in refused.stderr


def test_a_damaged_model_is_refused_with_exit_code_4(run, tmp_path):
    broken = tmp_path / "run"
    shutil.copytree(run, broken)
    weights = broken / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    done = chainrule("evaluate", broken)
    assert done.returncode == 4
    assert "weights.safetensors is damaged: it has 31724 bytes, its manifest says 31824." in done.stderr


@pytest.fixture(scope="module")
def sums(tmp_path_factory):
    """A run on x, z and their sum y, by a linear network, and where it is."""
    folder = tmp_path_factory.mktemp("sums")
    rows = np.random.default_rng(0).normal(size=(80, 2)) * [1, 100]
    for name, header, columns in (
        ("table", "x,z,y", [rows[:, 0], rows[:, 1], rows.sum(axis=1)]),
        ("swapped", "more,z,x,y", [rows[:, 0], rows[:, 1], rows[:, 0], rows.sum(axis=1)]),
        ("whole", "x,z,y", [rows[:, 0], rows[:, 1], np.arange(80) % 3]),
        ("short", "x,y", [rows[:, 0], rows[:, 1]]),
    ):
        np.savetxt(folder / f"{name}.csv", np.column_stack(columns), delimiter=",", header=header, comments="")
    # One row more, so that its digest is another and all of its rows are evaluated.
    text = (folder / "table.csv").read_text()
    (folder / "other.csv").write_text(text + text.splitlines()[1] + "\n")
    swapped = (folder / "swapped.csv").read_text()
    (folder / "swapped.csv").write_text(swapped + swapped.splitlines()[1] + "\n")
    done = chainrule("train", "--data", folder / "table.csv", *QUICK, "-o", folder / "run", "-q")
    assert done.returncode == 0, done.stderr
    return folder


def evaluated(folder, name):
    done = chainrule("evaluate", folder / "run", "--data", folder / f"{name}.csv", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_evaluate_finds_the_columns_of_other_data_by_their_names(sums):
    one, other = evaluated(sums, "other"), evaluated(sums, "swapped")
    assert one["n"] == 81
    assert one["metrics"] == other["metrics"]
    refused = chainrule("evaluate", sums / "run", "--data", sums / "short.csv")
    assert refused.returncode == 3
    assert "short: there is no column 'z', which the model was trained on." in refused.stderr


def test_evaluate_finds_the_target_wherever_it_stands(sums):
    header, *lines = (sums / "other.csv").read_text().splitlines()
    turned = "".join(",".join(line.split(",")[::-1]) + "\n" for line in [header, *lines])
    (sums / "turned.csv").write_text(turned)
    assert evaluated(sums, "turned")["metrics"] == evaluated(sums, "other")["metrics"]
    named = "".join("w," + line if i == 0 else "1," + line for i, line in enumerate(turned.splitlines(keepends=True)))
    (sums / "named.csv").write_text(named)  # beside another column, by the name that a regression keeps
    assert evaluated(sums, "named")["metrics"] == evaluated(sums, "other")["metrics"]
    (sums / "either.csv").write_text("u,v,z,x\n1,2,3,4\n5,6,7,8\n")
    (sums / "bare.csv").write_text("z,x\n1,2\n3,4\n")
    for name, message in (
        (
            "either",
            "its last column, 'x', is one that the model was trained on, and any of 'u', 'v' may be the target.",
        ),
        ("bare", "has no column beside the model's own; to evaluate it needs the target, too."),
    ):
        refused = chainrule("evaluate", sums / "run", "--data", sums / f"{name}.csv")
        assert (refused.returncode, message in refused.stderr) == (3, True), refused.stderr


def test_evaluate_takes_the_task_of_the_run_whatever_other_data_look_like(sums):
    assert "rmse" in evaluated(sums, "whole")["metrics"]


def test_evaluate_numbers_the_classes_of_other_data_as_the_model_does(tmp_path):
    rows = [(f"{x:.3f}", "abc"[i % 3]) for i, x in enumerate(np.random.default_rng(0).normal(size=90))]
    for name, kept in (("table", "abc"), ("fewer", "bc"), ("new", "cd")):
        lines = [f"{x},{label.replace('b', 'd') if 'd' in kept else label}" for x, label in rows if label in kept + "b"]
        (tmp_path / f"{name}.csv").write_text("x,y\n" + "\n".join(lines))
    done = chainrule("train", "--data", tmp_path / "table.csv", *QUICK, "-o", tmp_path / "run", "-q")
    assert done.returncode == 0, done.stderr
    found = evaluated(tmp_path, "fewer")
    said = list(csv.DictReader(chainrule("predict", tmp_path / "run", tmp_path / "fewer.csv").stdout.splitlines()))
    right = [one["prediction"] == label for one, (_, label) in zip(said, [r for r in rows if r[1] != "a"], strict=True)]
    assert found["metrics"]["accuracy"] == pytest.approx(np.mean(right))
    for label in "abc":  # of one class alone, which can be judged by, though not learnt from
        alone = [f"{x},{label}" for x, _ in rows]
        (tmp_path / "alone.csv").write_text("x,y\n" + "\n".join(alone))
        said = list(csv.DictReader(chainrule("predict", tmp_path / "run", tmp_path / "alone.csv").stdout.splitlines()))
        right = [one["prediction"] == label for one in said]
        assert evaluated(tmp_path, "alone")["metrics"]["accuracy"] == pytest.approx(np.mean(right))
    refused = chainrule("train", "--data", tmp_path / "alone.csv", "-o", tmp_path / "none")
    assert "alone: every row has the label 'c'; a classifier needs two classes." in refused.stderr
    refused = chainrule("evaluate", tmp_path / "run", "--data", tmp_path / "new.csv")
    assert "the targets are classification of c, d, but the model was trained for" in refused.stderr
