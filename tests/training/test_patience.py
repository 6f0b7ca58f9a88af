"""Early stopping: which row is the best, what counts as an improvement, and columns that a hook measures."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.training.patience import last_improvement

DIGITS = cr.read("digits")
HOW = {"compute": cr.Compute("numpy", threads=1), "training": cr.Training(epochs=8, seed=5)}
VALUES = {5: [0.0, 3.0, 1.0, 4.0, 4.5, 2.0, 2.0, 2.0], 6: [9.0, 0, 0, 0, 0, 0, 0, 0]}


class Given(cr.Measuring):
    """A column of given values, for runs of the seeds 5 and 6."""

    def __init__(self, values=VALUES):
        self.values, self.seen, self.rows = values, [], []

    def measured(self, model):
        row, run = divmod(len(self.seen), len(self.values))
        self.seen.append(model.parameters["0.b"])
        return {"own": self.values[5 + run][row]}

    def logged(self, row):
        self.rows.append(row)


def curve(*values):
    return [{"own": value} for value in values]


@pytest.mark.parametrize(
    ("tolerance", "mode", "values", "expected"),
    [
        (0.0, "max", [1, 2, 3, 3, 2], 2),
        (0.0, "min", [1, 2, 3, 3, 0.5], 4),
        (0.5, "max", [1, 1.4, 1.8, 2.2], 0),  # each is better by no more than 0.5 than the one before it
        (0.5, "max", [1, 1.4, 2.0, 2.2], 2),
        (0.0, "max", [float("nan"), 1.0, float("nan")], 1),
        (0.0, "max", [], -1),
    ],
)
def test_the_last_improvement(tolerance, mode, values, expected):
    evaluation = cr.Evaluation(monitor="own", mode=mode, tolerance=tolerance, patience=1)
    assert last_improvement(evaluation, curve(*values)) == expected


@pytest.mark.parametrize(
    ("tolerance", "values", "expected"),
    [(0.0, [1, 2, 2, 1], 2), (0.5, [1, 1.5, 1.75], 1), (0.0, [float("nan"), float("nan")], 0)],
)
def test_with_ties_an_improvement_of_the_tolerance_itself_counts(tolerance, values, expected):
    evaluation = cr.Evaluation(monitor="own", mode="max", tolerance=tolerance, ties=True, patience=1)
    assert last_improvement(evaluation, curve(*values)) == expected


def test_a_hook_measures_what_is_monitored_and_the_best_row_is_kept():
    hook = Given({5: VALUES[5]})
    evaluation = cr.Evaluation(monitor="own", mode="max", patience=3, keep="best")
    run = cr.train(cr.mlp([8]), DIGITS, hooks=[hook], evaluation=evaluation, **HOW)
    assert [row["own"] for row in run.history] == VALUES[5]
    assert hook.rows == run.history
    assert run.metrics["model"]["epoch"] == 5.0
    assert np.array_equal(run.model.parameters["0.b"], hook.seen[4])


def test_runs_trained_together_are_each_measured_and_stop_by_themselves():
    evaluation = cr.Evaluation(monitor="own", mode="max", patience=3)
    hook = Given()
    first, second = cr.train(cr.mlp([8]), DIGITS, hooks=[hook], evaluation=evaluation, seeds=2, **HOW)
    assert [row["own"] for row in second.history] == [9.0, 0.0, 0.0, 0.0]
    assert [row["own"] for row in first.history][:4] == [0.0, 3.0, 1.0, 4.0]
    assert hook.rows == first.history


def test_tolerance_stops_a_run_that_creeps():
    how = HOW | {"training": cr.Training(epochs=30), "optimizer": cr.SGD(1e-7)}
    creeping = cr.train(cr.mlp([8]), DIGITS, evaluation=cr.Evaluation(patience=2), **how)
    stopped = cr.train(cr.mlp([8]), DIGITS, evaluation=cr.Evaluation(patience=2, tolerance=0.1), **how)
    assert (len(creeping.history), len(stopped.history)) == (30, 3)


def test_the_batches_loss_can_be_monitored_without_validation_rows():
    evaluation = cr.Evaluation(monitor="batch_loss", patience=2, tolerance=10.0)
    run = cr.train(cr.mlp([8]), DIGITS, evaluation=evaluation, split=cr.Split(validation=0), **HOW)
    assert len(run.history) == 3


def test_a_column_that_nothing_measures_is_refused():
    with pytest.raises(
        cr.ConfigError, match=r"'own' is no column; expected one of .*, or one that a hook measures, with"
    ):
        cr.train(cr.mlp([8]), DIGITS, evaluation=cr.Evaluation(monitor="own", patience=1), **HOW)
    with pytest.raises(cr.ConfigError, match="'own' was measured by no hook; the columns are step, epoch, lr"):
        cr.train(cr.mlp([8]), DIGITS, evaluation=cr.Evaluation(monitor="own", mode="max", patience=1), **HOW)


@pytest.mark.parametrize("seeds", [None, 2])
def test_every_row_counts_alike_in_the_batches_loss(seeds):
    """With a rate of almost 0 the loss of the batches, the last one of 14 rows, is that of all rows."""
    how = {"optimizer": cr.SGD(1e-12), "evaluation": cr.Evaluation(train_rows=0), "seeds": seeds,
           "training": cr.Training(epochs=1, batch_size=64), "compute": cr.Compute("numpy", precision="float64")}  # fmt: skip
    run = cr.train(cr.mlp([8]), DIGITS, **how)
    row = (run[1] if seeds else run).history[0]
    assert row["batch_loss"] == pytest.approx(row["train_loss"], rel=1e-9)


def test_training_rows_left_to_their_batches():
    how = {"evaluation": cr.Evaluation(train_metrics=False, monitor="objective", patience=50),
           "training": cr.Training(epochs=3, penalty=0.01)}  # fmt: skip
    run = cr.train(cr.mlp([8]), DIGITS, split=cr.Split(validation=0), **how)
    measured = cr.train(cr.mlp([8]), DIGITS, split=cr.Split(validation=0), training=how["training"])
    np.testing.assert_array_equal(run.model.parameters["0.W"], measured.model.parameters["0.W"])
    assert not [name for name in run.history[0] if name.startswith(("train_", "validation_"))]
    for row, other in zip(run.history, measured.history, strict=True):
        assert row["batch_loss"] == other["batch_loss"]
        assert row["objective"] == row["batch_loss"] + row["penalty"]
    with pytest.raises(cr.ConfigError, match="'train_loss' is no column"):
        cr.train(cr.mlp([8]), DIGITS, evaluation=cr.Evaluation(train_metrics=False, monitor="train_loss"))


def test_a_diagnosis_does_without_training_metrics():
    class Warned(cr.Listening):
        def __init__(self):
            self.found = []

        def warned(self, finding):
            self.found.append(finding)

    hook = Warned()
    how = {"optimizer": cr.SGD(1e-9), "training": cr.Training(epochs=4)}
    cr.train(cr.mlp([8] * 6, activation="sigmoid"), DIGITS, split=cr.Split(validation=0), hooks=[hook],
             evaluation=cr.Evaluation(train_metrics=False), **how)  # fmt: skip
    assert [finding.name for finding in hook.found] == ["signal-fades"]
