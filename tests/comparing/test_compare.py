"""Runs compared: groups, sentences, refusals, and the command."""

import json

import numpy as np
import pytest

import chainrule as cr
from chainrule.comparing import compare, gather
from chainrule.comparing.groups import Group
from chainrule.comparing.pairs import shown
from chainrule.errors import ConfigError, DataError
from command import chainrule

DIGITS = cr.read("digits")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs")
    for name, lr in (("good", 1e-2), ("bad", 1e-4)):
        cr.train(cr.mlp([20]), DIGITS, optimizer=cr.Adam(lr), training=cr.Training(epochs=3, batch_size=32), seeds=3,
                 output=path / name)  # fmt: skip
    return path


def test_a_clear_difference_is_concluded(folder):
    groups = gather([folder / "good", folder / "bad"])
    assert [(one.name, one.seeds, one.scores.shape) for one in groups] == [
        (str(folder / "good"), (0, 1, 2), (3, 144)), (str(folder / "bad"), (0, 1, 2), (3, 144)),
    ]  # fmt: skip
    [pair] = compare(groups)
    assert pair.better == str(folder / "good")
    assert pair.found.how == "paired"
    assert pair.sentence.endswith(f"{folder / 'good'} is better.")
    run = cr.load_run(folder / "good" / "seed-1")
    assert groups[0].scores[1].mean() == pytest.approx(run.metrics["model"]["validation_accuracy"])


def test_runs_of_one_configuration_are_one_group_wherever_they_are_named(folder):
    groups = gather([folder / "good" / "seed-0", folder / "good" / "seed-2", folder / "bad" / "seed-1"])
    assert [one.seeds for one in groups] == [(0, 2), (1,)]
    [pair] = compare(groups)
    assert "one of them a single run" in pair.sentence
    assert "Of other seeds it says nothing" in pair.sentence


def test_the_same_against_itself_cannot_be_told(folder):
    groups = gather([folder / "good", folder / "bad"])
    pairs = compare([groups[0], groups[0], groups[0]])
    assert [pair.better for pair in pairs] == [None] * 3
    assert "No difference was seen." in pairs[0].sentence
    assert "after correcting for 3 comparisons" in pairs[0].sentence
    assert "95 % over rows" in shown(groups, compare(groups))


def test_what_cannot_be_compared_is_refused(folder, tmp_path):
    with pytest.raises(ConfigError, match="1 run to compare; name at least two"):
        gather([folder / "good" / "seed-0"])
    other = cr.Dataset("other", DIGITS.X[:300], DIGITS.y[:300], "classification", DIGITS.target_names)
    cr.train(cr.mlp([20]), other, training=cr.Training(epochs=1), output=tmp_path / "other")
    with pytest.raises(ConfigError, match="were trained on different data; they cannot be compared"):
        gather([folder / "good", tmp_path / "other"])
    cr.train(cr.mlp([20]), DIGITS, training=cr.Training(epochs=1), split=cr.Split(seed=9), output=tmp_path / "split")
    with pytest.raises(ConfigError, match="part their data otherwise"):
        gather([folder / "good", tmp_path / "split"])
    with pytest.raises(ConfigError, match="two runs have the same seed and configuration"):
        gather([folder / "good", folder / "good"])
    few = cr.Split(validation=1, test=0)
    cr.train(cr.mlp([2]), DIGITS, training=cr.Training(epochs=1), split=few, output=tmp_path / "one")
    cr.train(cr.mlp([3]), DIGITS, training=cr.Training(epochs=1), split=few, output=tmp_path / "two")
    with pytest.raises(DataError, match="the split has 1 validation row to compare runs on; at least 2 are needed"):
        gather([tmp_path / "one", tmp_path / "two"])
    with pytest.raises(DataError, match="the split has no test rows to compare runs on; at least 2 are needed"):
        gather([tmp_path / "one", tmp_path / "two"], "test")
    with pytest.raises(DataError, match="these are not the data"):
        gather([folder / "good", folder / "bad"], data=other)


def test_regression_is_compared_by_squared_errors(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    data = cr.Dataset("made", X, X[:, 0] ** 2 + X[:, 1], "regression", ("y",))
    for name, hidden in (("wide", [32]), ("narrow", [1])):
        cr.train(cr.mlp(hidden), data, optimizer=cr.Adam(1e-2), training=cr.Training(epochs=20, batch_size=32), seeds=3,
                 output=tmp_path / name)  # fmt: skip
    [pair] = compare(gather([tmp_path / "wide", tmp_path / "narrow"], data=data))
    assert (pair.better, pair.found.mean < 0) == (str(tmp_path / "wide"), True)
    assert "squared error" in pair.sentence


def test_the_command(folder):
    found = chainrule("compare", folder / "good", folder / "bad", "--json")
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    assert told["pairs"][0]["better"] == str(folder / "good")
    assert told["groups"][0]["rows"] == 144
    plain = chainrule("compare", folder / "good/seed-0", folder / "bad/seed-0", "--split", "test")
    assert "McNemar's test" in plain.stdout
    assert "on 359 test rows" in plain.stdout
    json.loads(chainrule("compare", folder / "good/seed-0", folder / "bad/seed-0", "--json").stdout)  # no infinities
    wrong = chainrule("compare", folder / "good", "--split", "train")
    assert (wrong.returncode, wrong.stderr) == (2, "error: --split 'train': expected validation or test\n")


def alike(value, metric="accuracy", seeds=(0, 1, 2), n=2):
    return Group(f"{value:g}", metric, "validation", seeds, np.full((len(seeds), n), value))


def test_few_rows_that_differ_alike_settle_nothing():
    [pair] = compare([alike(1.0), alike(0.0)])
    assert (pair.better, pair.p) == (None, 0.5)
    assert pair.sentence == (
        "1 against 0: +1 in accuracy [-0.6838, +1] on 2 validation rows (paired over 3 seeds, all rows differing alike), "
        "p = 0.5. It cannot be told which is better, and no number of seeds would tell on so few rows."
    )
    [single] = compare([alike(1.0, seeds=(0,)), alike(0.0, seeds=(0,))])
    assert (single.found.how, single.p, single.found.low) == ("McNemar", 0.5, pytest.approx(-0.6838, abs=1e-4))
    [mixed] = compare([alike(1.0, seeds=(0,)), alike(0.0)])
    assert (mixed.found.how, mixed.p, mixed.better) == ("rows", 0.5, None)
    [many] = compare([alike(1.0, n=20), alike(0.0, n=20)])
    assert many.better == "1"
    [errors] = compare([alike(0.25, "squared error"), alike(1.0, "squared error")])
    assert errors.sentence.startswith(
        "0.25 against 1: -0.75 in squared error [no interval] on 2 validation rows (paired"
    )
    assert (errors.p, errors.better) == (1.0, None)
    [same] = compare([alike(0.0), alike(0.0)])
    assert "+0 in accuracy [-0.8419, +0.8419]" in same.sentence
    assert same.sentence.endswith("p = 1. No difference was seen.")


def test_one_run_each_on_few_rows_does_not_contradict_itself():
    one, other = (Group(name, "accuracy", "validation", (0,), np.array([x]))
                  for name, x in (("one", [1.0, 1.0, 1.0]), ("other", [1.0, 0.0, 0.0])))  # fmt: skip
    [pair] = compare([one, other])
    assert pair.sentence == (
        "one against other: +0.6667 in accuracy [-0.678, +0.9916] on 3 validation rows (one run each, McNemar's test), "
        "p = 0.5. These very networks cannot be told apart. Of other seeds it says nothing; train each with several "
        "(--seeds 5)."
    )


def test_intervals_of_two_seeds_stay_where_shares_and_their_differences_can_be():
    scores = [np.repeat([[a], [b]], 40, axis=1) for a, b in ((0.9, 1.0), (0.0, 0.1))]
    good, bad = (Group(name, "accuracy", "validation", (0, 1), x) for name, x in zip(("a", "b"), scores, strict=True))
    assert good.over_seeds() == (pytest.approx(0.95), pytest.approx(0.315, abs=1e-3), 1.0)
    assert bad.over_seeds()[1] == 0.0
    far = Group("c", "accuracy", "validation", (0, 1), scores[0][::-1])
    [pair] = compare([far, bad])
    assert (pair.found.low, pair.found.high) == (pytest.approx(-0.37, abs=0.01), 1.0)
    errors = Group("d", "squared error", "validation", (0, 1), np.repeat([[0.1], [9.0]], 40, axis=1))
    assert errors.over_seeds()[1] == 0.0
    assert errors.over_seeds()[2] > 9
