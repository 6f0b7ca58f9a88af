"""Findings about data: each with a sick run, and a healthy neighbour that differs in nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from chainrule.diagnosis.diagnose import diagnose
from chainrule.training import load
from chainrule.training.plan import plan
from chainrule.training.step import resident, start
from diagnosis.trained import NUMPY, classes, numbers, trained

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 5))
SCALED = X * [1e4, 1, 1, 1e-2, 1]
NAMES = ("income", "age", "rooms", "ratio", "year")


@pytest.mark.parametrize("kind", ["none", "mean"])
def test_columns_on_wildly_different_scales_are_named(kind):
    data = classes(SCALED, X[:, 1] > 0, feature_names=NAMES)
    found = trained(data, f"data.preprocessing='{kind}'", "training.epochs=1").the("feature-scales")
    assert found.severity == "problem"
    assert "(ratio) to 1" in found.measured
    assert "(income), a factor of 1" in found.measured
    assert found.change == "Set data.preprocessing = 'standardise'."
    assert "feature-scales" not in trained(data, "training.epochs=1").names()


def test_a_constant_column_and_columns_of_one_scale_are_no_scales():
    offset = np.column_stack([X[:, :2] * 1e4, np.full(600, 123.4567)]).astype(np.float32)
    assert "feature-scales" not in trained(classes(offset, X[:, 1] > 0), "data.preprocessing='none'",
                                           "training.epochs=1").names()  # fmt: skip


def test_pixels_share_a_unit_however_dark_the_border():
    pixels = np.abs(SCALED[:, :4])
    data = classes(pixels, X[:, 1] > 0, row_shape=(1, 2, 2))
    assert "feature-scales" not in trained(data, "data.preprocessing='mean'", "training.epochs=1").names()


@pytest.mark.parametrize(("factor", "sick"), [(100.0, True), (1e-3, True), (1.0, False)])
def test_inputs_far_from_one(factor, sick):
    run = trained(classes(factor * X, X[:, 1] > 0), "data.preprocessing='none'", "training.epochs=1")
    assert ("input-scale" in run.names()) == sick


def test_a_constant_target_is_a_problem_and_one_of_two_a_hint():
    sick = trained(numbers(X, np.full(600, 3.0)), "training.epochs=2")
    assert sick.the("constant-target").severity == "problem"
    assert "price: 3.0000" in sick.the("constant-target").measured
    two = trained(numbers(X, np.stack([X[:, 0], np.zeros(600)], axis=1)), "training.epochs=2")
    assert two.the("constant-target").severity == "hint"
    assert "for y1: 0.0000" in two.the("constant-target").measured
    assert "constant-target" not in trained(numbers(X, X[:, 0]), "training.epochs=2").names()


def test_targets_in_large_units_want_standardising():
    data = numbers(X, 300 + 50 * X[:, 0])
    sick = trained(data, "data.standardise_target=false", "training.epochs=2").the("target-scale")
    assert "data.standardise_target = true" in sick.change
    assert "target-scale" not in trained(data, "training.epochs=2").names()


def test_unequal_classes_are_measured():
    y = X[:, 0] > 1.6
    found = trained(classes(X, y), "training.epochs=20").the("class-imbalance")
    assert found.severity == "hint"
    assert found.measured == "Of the training rows 94.44% are of class a and 5.56% of class b, a factor of 17."
    assert "evaluation.monitor = 'validation_balanced_accuracy'" in found.change
    assert "class-imbalance" not in trained(classes(X, X[:, 0] > 0.8), "training.epochs=1").names()


def test_a_class_without_weight_is_absent():
    y = np.arange(600) % 3
    found = trained(classes(X, y, weight=(y < 2).astype(float)), "training.epochs=1").the("absent-class")
    assert found.measured == "1 of 3 classes have no training row that counts: c."
    assert "absent-class" not in trained(classes(X, y, weight=(y < 2) + 0.5), "training.epochs=1").names()


def test_a_network_that_answers_the_majority_is_told():
    noise = RNG.random(600) < 0.1
    sick = trained(classes(X, noise), "network.hidden=[]", "network.init='zeros'", "training.epochs=20",
                   "training.penalty=1.0")  # fmt: skip
    found = sick.the("predicts-one-class")
    assert found.severity == "problem"
    assert "predicts the largest class, a, for 100.0%" in found.measured
    healthy = trained(classes(X, X[:, 0] > 1.28), "network.hidden=[]", "training.epochs=50", "optimizer.lr=3e-2")
    assert "predicts-one-class" not in healthy.names()


def test_a_majority_answered_while_the_loss_falls_is_only_a_hint():
    y = X[:, 0] > 1.28
    config = load(None, [*NUMPY, "network.hidden=[]", "network.init='zeros'"])
    run = replace(plan(config, classes(X, y), config.network.build()), n_steps=200)

    def at(losses):
        history = [{"step": 100 * i, "train_loss": loss, "validation_loss": loss, "batch_loss": loss,
                    "train_accuracy": 0.9, "validation_accuracy": 0.9} for i, loss in enumerate(losses, 1)]  # fmt: skip
        with run.backend.scope():
            state = start(run)
            state.parameters["0.b"][0] = 5.0
            found = {one.name: one for one in diagnose(run, resident(run), state, run.n_steps - 1, history)}
        return found["predicts-one-class"].severity

    assert (at([0.6, 0.5]), at([0.5, 0.6]), at([0.6, 0.1])) == ("hint", "problem", "hint")
