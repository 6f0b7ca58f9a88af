"""How much options mattered, and where that cannot be told."""

from contextlib import closing

import pytest

from chainrule.errors import ConfigError
from chainrule.study import run_study
from chainrule.study.config import study
from chainrule.study.executors import InProcess
from chainrule.study.importance import importances
from chainrule.study.task import Ended

SPACE = {"training.penalty": {"low": 0.0, "high": 1.0}, "optimizer.lr": {"low": 1e-4, "high": 1e-1}}


def searched(folder, value, trials=12):
    """A study whose candidates come to `value` of their configuration, untrained."""

    class Told(InProcess):
        def poll(self, seconds):
            told = []
            while self.tasks:
                told += [
                    Ended(one.trial, 1, "finished", None, (value(one.config),)) for one in self.tasks.popleft().all
                ]
            return told

    search = {"sampler": "random", "trials": trials, "metric": "validation_accuracy"}
    with closing(Told()) as executor:
        run_study(study({"space": SPACE, "search": search, "finalists": {"n": 0}}, "made"), folder, executor=executor)
    return folder


def test_what_decides_the_metric_has_the_greater_share(tmp_path):
    shares = importances(searched(tmp_path / "one", lambda config: 1 - config["training"]["penalty"]))
    assert [*shares] == ["training.penalty", "optimizer.lr"]
    assert sum(shares.values()) == pytest.approx(1)


def test_nothing_is_told_of_few_trials_or_of_equal_ones(tmp_path):
    few, equal = searched(tmp_path / "few", lambda _: 0.5, 9), searched(tmp_path / "equal", lambda _: 0.5)
    with pytest.raises(ConfigError, match=r"few has 9 finished trials; importances mean something from 10 on$"):
        importances(few)
    with pytest.raises(ConfigError) as error:
        importances(equal)
    assert str(error.value) == (
        f"{equal} has 12 finished trials that all came to validation_accuracy 0.5000, so there is nothing to explain; let "
        "other options vary, or judge by a search.metric that tells them apart"
    )
