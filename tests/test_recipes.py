"""The recipe for tables: the same from Python and from its file, and trained on a table by both."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.training import load
from command import chainrule

EXAMPLE = Path(__file__).parents[1] / "examples" / "tabular.toml"


def test_the_file_is_the_function():
    config, recipe = load(EXAMPLE), cr.tabular("regression")
    assert config.network.build() == recipe["network"]
    for name in ("loss", "optimizer", "schedule", "training", "evaluation"):
        assert getattr(config, name) == recipe[name]
    assert config.data.preprocessing == recipe["preprocessing"]


def test_accuracy_smooths_labels_and_chooses_epochs_and_nothing_else():
    by_loss, by_accuracy = cr.tabular("classification"), cr.tabular("classification", metric="accuracy")
    assert by_loss["loss"] is None
    assert by_accuracy["loss"] == cr.SoftmaxCrossEntropy(label_smoothing=0.1)
    assert by_accuracy["evaluation"] == replace(by_loss["evaluation"], monitor="validation_accuracy")
    assert {name for name in by_loss if by_loss[name] != by_accuracy[name]} == {"loss", "evaluation"}


def test_a_metric_of_another_task_is_refused():
    message = "metric 'accuracy' is none that the recipe for regression can choose epochs by; expected loss, rmse, mae"
    with pytest.raises(cr.ConfigError, match=f"^{re.escape(message)}$"):
        cr.tabular("regression", metric="accuracy")
    message = "there is no recipe for the task 'ranking'; the tasks are classification, multilabel, regression"
    with pytest.raises(cr.ConfigError, match=f"^{re.escape(message)}$"):
        cr.tabular("ranking")


def test_a_table_from_the_shell(tmp_path):
    """A column far out, a constant one, one of 0 and 1, and a target in its own units."""
    rng = np.random.default_rng(0)
    a, b, flag = rng.normal(size=300), np.exp(3 * rng.normal(size=300)), rng.integers(0, 2, 300)
    price = 1000 + 200 * a + 100 * np.log(b) * flag
    lines = [
        f"{x!r},{y!r},{z},7,{t!r}" for x, y, z, t in zip(a.tolist(), b.tolist(), flag, price.tolist(), strict=True)
    ]
    (tmp_path / "table.csv").write_text("\n".join(["a,b,flag,same,price", *lines]) + "\n")
    made = chainrule("train", EXAMPLE, "--data", tmp_path / "table.csv", "--set", "data.target=price",
                     "--set", "training.epochs=40", "--output", tmp_path / "run")  # fmt: skip
    assert made.returncode == 0, made.stderr
    run = cr.load_run(tmp_path / "run")
    metrics = cr.assess_run(run, "test").metrics
    assert metrics["rmse"] < 0.5 * price.std()
    assert run.model.network.n_members == 4
