"""Metrics equal scikit-learn's, with and without weights; intervals and loss are those of the whole, not of blocks."""

import numpy as np
import pytest
import sklearn.metrics as theirs

import chainrule as cr
from chainrule.data.preprocessing import Affine, identity
from chainrule.training.metrics import METRICS, bounds, greater_is_better, names, score

RNG = np.random.default_rng(0)
N, K = 200, 4
Z = RNG.normal(size=(N, K))
LABELS = RNG.integers(0, K, N)
BINARY = RNG.integers(0, 2, (N, K))
NUMBERS = RNG.normal(size=(N, K))
WEIGHT = RNG.uniform(0, 3, N)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_classification(weight):
    found = score(
        Z, LABELS, cr.SoftmaxCrossEntropy(), identity(K), names("classification", METRICS_OF["classification"]), weight
    )
    p = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    guess = Z.argmax(axis=1)
    assert found["loss"] == pytest.approx(theirs.log_loss(LABELS, p, sample_weight=weight))
    assert found["accuracy"] == pytest.approx(theirs.accuracy_score(LABELS, guess, sample_weight=weight))
    assert found["balanced_accuracy"] == pytest.approx(
        theirs.balanced_accuracy_score(LABELS, guess, sample_weight=weight)
    )
    assert found["f1_macro"] == pytest.approx(theirs.f1_score(LABELS, guess, average="macro", sample_weight=weight))


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_regression_in_the_targets_own_units(weight):
    target = Affine(np.arange(K) * 10.0, np.arange(1.0, K + 1))
    found = score(Z, NUMBERS, cr.SquaredError(), target, names("regression", ["r2"]), weight)
    outputs = target.back(Z)
    assert found["rmse"] ** 2 == pytest.approx(theirs.mean_squared_error(NUMBERS, outputs, sample_weight=weight))
    assert found["mae"] == pytest.approx(theirs.mean_absolute_error(NUMBERS, outputs, sample_weight=weight))
    assert found["r2"] == pytest.approx(theirs.r2_score(NUMBERS, outputs, sample_weight=weight))
    assert found["loss"] == pytest.approx(theirs.mean_squared_error(target(NUMBERS), Z, sample_weight=weight))


def test_r2_of_what_is_not_finite_is_not_a_number():
    z = Z.copy()
    z[3, 1] = np.inf
    found = score(z, NUMBERS, cr.SquaredError(), identity(K), names("regression", ["r2"]))
    assert np.isnan(found["r2"])


def test_multilabel():
    found = score(Z, BINARY, cr.SigmoidCrossEntropy(), identity(K), names("multilabel", ["f1_micro"]))
    assert found["label_accuracy"] == pytest.approx(np.mean((Z >= 0) == BINARY))
    assert found["f1_micro"] == pytest.approx(theirs.f1_score(BINARY, Z >= 0, average="micro"))


METRICS_OF = {
    task: [name for name, metric in METRICS.items() if task in metric.tasks]
    for task in ("classification", "multilabel", "regression")
}


def test_the_direction_of_every_column_is_known():
    assert greater_is_better("validation_accuracy")
    assert not greater_is_better("validation_loss")
    assert not greater_is_better("train_rmse")
    assert greater_is_better("train_r2")


def test_a_metric_of_another_task_is_refused():
    with pytest.raises(cr.ConfigError) as caught:
        names("regression", ["accuracy"])
    assert str(caught.value) == "metric 'accuracy' is not known for regression; the metrics are rmse, mae, r2"


def test_every_metric_lies_within_its_bounds_and_reaches_the_better_end():
    target = {"classification": LABELS, "multilabel": BINARY, "regression": NUMBERS}
    for metric in METRICS.values():
        for task in metric.tasks:
            y, (low, high) = target[task], metric.bounds
            perfect, any_other = y.astype(float), RNG.uniform(size=(N, K))
            if task == "classification":
                perfect, any_other = y, RNG.permutation(y)
            value = metric.function(y, perfect, None)
            assert value == (high if metric.greater_is_better else low)
            assert low <= metric.function(y, any_other, None) <= high


def test_bounds_are_found_by_name_and_by_column():
    assert bounds("accuracy") == bounds("validation_accuracy") == bounds("train_label_accuracy") == (0.0, 1.0)
    assert bounds("label_accuracy") == bounds("validation_f1_macro") == (0.0, 1.0)
    assert bounds("validation_rmse") == (0.0, np.inf)
    assert bounds("r2") == (-np.inf, 1.0)
    assert bounds("loss") == bounds("validation_loss") == bounds("epoch") == (-np.inf, np.inf)


def test_a_loss_that_cannot_be_negative_ends_at_0():
    class Own(cr.SquaredError):
        """What it gives is not known."""

    for loss in (cr.SoftmaxCrossEntropy(), cr.SigmoidCrossEntropy(), cr.SquaredError(), cr.Huber()):
        assert bounds("loss", [loss]) == bounds("train_loss", [loss, cr.Huber()]) == (0.0, np.inf)
        for other in (cr.Poisson(), Own(), None):
            assert bounds("validation_loss", [loss, other]) == (-np.inf, np.inf)
    assert bounds("epoch", [cr.Huber()]) == (-np.inf, np.inf)
