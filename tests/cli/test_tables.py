"""A table with words and gaps from the shell: info, train, evaluate, predict, export, report, study."""

import csv
import json

import pytest

from command import chainrule
from tabular import written

QUICK = ("--set", "network.hidden=[8]", "--set", "training.epochs=2", "--set", "compute.backend=numpy")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    path = written(folder)
    done = chainrule("train", "--data", path, "--target", "price", *QUICK, "--output", folder / "run")
    assert done.returncode == 0, done.stderr
    return path, folder / "run", done


def test_train_says_what_it_tells_from_the_target_and_the_columns(made):
    said = made[2].stderr
    assert "note: the task is regression, told from the target: 'price' holds numbers that are not whole" in said
    assert "note: 1 column embedded, having more than 9 categories (city)" in said


def test_info_names_columns_and_task(made):
    facts = json.loads(chainrule("data", "info", made[0], "--target", "price", "--json").stdout)
    assert facts["task"] == "regression, told from the target: 'price' holds numbers that are not whole"
    assert facts["columns of categories"] == "colour (3), city (15)"
    assert facts["columns with gaps"].startswith("age (")
    asked = ("--target", "price", "--task", "regression", "--categorical", "const", "--json")
    facts = json.loads(chainrule("data", "info", made[0], *asked).stdout)
    assert (facts["task"], facts["columns of categories"]) == ("regression", "colour (3), city (15), const (1)")
    assert chainrule("data", "info", made[0], "--task", "sorting").returncode == 2


def test_predict_and_evaluate_take_raw_rows(made, tmp_path):
    run = made[1]
    again = written(tmp_path, 20, seed=4, order=(3, 2, 5, 0, 1, 4))
    lines = list(csv.reader(chainrule("predict", run, again).stdout.splitlines()))
    assert lines[0] == ["row", "price"]
    assert len(lines) == 21
    bare = tmp_path / "bare.csv"
    with again.open() as file, bare.open("w", newline="") as out:  # without the target, which nobody has yet
        rows = list(csv.reader(file))
        csv.writer(out).writerows([row[:2] + row[3:] for row in rows])
    assert list(csv.reader(chainrule("predict", run, bare).stdout.splitlines())) == lines
    assert json.loads(chainrule("evaluate", run, "--json").stdout)["n"] == 60
    assert json.loads(chainrule("evaluate", run, "--data", again, "--json").stdout)["n"] == 20
    new = [f"1,2,red,town {i},7,{i}.5" for i in range(25)]  # each of another town: for learning, an identifier
    (tmp_path / "towns.csv").write_text("\n".join(["size,age,colour,city,const,price", *new]))
    assert json.loads(chainrule("evaluate", run, "--data", tmp_path / "towns.csv", "--json").stdout)["n"] == 25
    refused = chainrule("predict", run, written(tmp_path, 3, order=(0, 1, 2, 4, 5)))
    assert (refused.returncode, "there is no column 'city'" in refused.stderr) == (3, True)
    (tmp_path / "mixed.csv").write_text("size,age,colour,city,const\n1,old,red,city 01,7\n")
    refused = chainrule("predict", run, tmp_path / "mixed.csv")
    assert "line 2, column 'age': 'old' is no number." in refused.stderr


def test_report_and_export(made, tmp_path):
    run = made[1]
    assert chainrule("report", run, "--output", tmp_path / "page.html").returncode == 0
    page = (tmp_path / "page.html").read_text()
    assert "columns of categories" in page
    assert "colour (3), city (15)" in page
    assert chainrule("export", run, "--to", "onnx", "--output", tmp_path / "m.onnx").returncode == 0
    assert chainrule("export", run, "--to", "torch", "--output", tmp_path / "t").returncode == 2


def test_compare_and_report_take_words_and_read_other_files_as_the_runs_own(made, tmp_path):
    path, run = made[0], made[1]
    other = tmp_path / "other"
    assert chainrule("train", "--data", path, "--target", "price", *QUICK, "-o", other, "--seed", 1).returncode == 0
    moved = tmp_path / path.name
    moved.write_bytes(path.read_bytes())
    sentences = []
    for options in ((), ("--data", moved)):
        done = chainrule("compare", run, other, "--json", *options)
        assert done.returncode == 0, done.stderr
        sentences.append(done.stdout)
    assert sentences[0] == sentences[1]
    done = chainrule("report", run, "--data", moved, "--output", tmp_path / "moved.html")
    assert done.returncode == 0, done.stderr


def test_a_study_takes_such_tables(made, tmp_path):
    train = f"""
[train.data]
source = {json.dumps(str(made[0]))}
target = "price"
[train.training]
epochs = 1
[train.compute]
backend = "numpy"
[space]
"network.hidden" = [[4], [8]]
[search]
sampler = "grid"
metric = "validation_loss"
[finalists]
n = 1
seeds = 2
"""
    (tmp_path / "study.toml").write_text(train)
    done = chainrule("study", tmp_path / "study.toml", "--output", tmp_path / "study")
    assert done.returncode == 0, done.stderr
