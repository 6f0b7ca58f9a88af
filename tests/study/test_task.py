"""One attempt at one trial."""

import pytest

from chainrule.study.task import Task, perform

CONFIG = {
    "network": {"hidden": [5]},
    "training": {"epochs": 6, "batch_size": 64},
    "compute": {"backend": "numpy", "threads": 1},
    "checkpoint": {"every_epochs": 2},
}


def attempt(folder, number, metric="validation_accuracy", rows=99, earlier=None):
    """Its outcome and the rows it told, stopped after so many."""
    told = []
    ended = perform(Task(0, number, CONFIG, 1, metric, str(folder), earlier), told.append, lambda: len(told) >= rows)
    return ended, [(one.index, one.value, one.epochs) for one in told]


def test_an_attempt_that_goes_on_tells_all_rows_again(tmp_path):
    whole, rows = attempt(tmp_path / "whole", 1)
    assert [index for index, *_ in rows] == [1, 2, 3, 4, 5, 6]
    stopped, few = attempt(tmp_path / "1", 1, rows=5)
    assert (stopped.outcome, few) == ("pruned", rows[:5])
    again, told = attempt(tmp_path / "2", 2, earlier=str(tmp_path / "1"))
    assert (again.outcome, again.values, told) == ("finished", whole.values, rows)
    finished, told = attempt(tmp_path / "3", 3, earlier=str(tmp_path / "2"))  # done, but that was never heard of
    assert (finished.outcome, finished.values, told) == ("finished", whole.values, rows)


def test_one_that_is_stopped_by_a_row_before_its_checkpoint_trains_no_step(tmp_path):
    attempt(tmp_path / "1", 1, rows=5)
    ended, rows = attempt(tmp_path / "2", 2, rows=3, earlier=str(tmp_path / "1"))
    assert (ended.outcome, ended.epochs, len(rows)) == ("pruned", 3.0, 3)


@pytest.mark.parametrize("metric", ["validation_acuracy", "train_r2", "validation_r2"])
def test_a_metric_that_no_row_has_is_refused_before_any_step(tmp_path, metric):
    ended, rows = attempt(tmp_path / "1", 1, metric)
    assert (ended.outcome, rows) == ("failed", [])
    assert ended.reason.startswith(
        f"ConfigError: search.metric {metric!r} is no column of the history; expected one of "
    )
