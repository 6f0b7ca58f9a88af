"""What the one process that decides makes of what its workers tell."""

from contextlib import closing

from chainrule.study import run_study
from chainrule.study.conduct import opened
from chainrule.study.config import study
from chainrule.study.executors import InProcess
from chainrule.study.task import Ended, Row

TRAIN = {"training": {"epochs": 1, "batch_size": 256}, "compute": {"backend": "numpy", "threads": 1}}
SPACE = {"optimizer.lr": {"low": 1e-4, "high": 1e-1, "log": True}, "network.hidden": [[4], [8]]}


def asked(trials, n=0, **tables):
    search = {"sampler": "tpe", "trials": trials}
    return study(
        {"train": TRAIN, "space": SPACE, "search": search, "finalists": {"n": n, "seeds": 1}} | tables, "small"
    )


def candidates(outcome):
    return [(one.params, one.value) for one in outcome.trials if one.finalist_of is None]


def test_what_is_learnt_goes_on_after_finalists_as_without_them(tmp_path):
    run_study(asked(14, n=3), tmp_path / "one")
    extended = run_study(asked(30), tmp_path / "one", resume=True)
    assert len(extended.trials) == 33
    assert candidates(extended) == candidates(run_study(asked(30), tmp_path / "two"))


def test_the_curve_is_that_of_the_last_attempt(tmp_path):
    class Lost(InProcess):
        def poll(self, seconds):
            if not self.tasks:
                return []
            task = self.tasks.popleft()
            rows = [Row(0, task.attempt, i, 0.1 * i, float(i)) for i in range(1, 5 - task.attempt)]
            if task.attempt == 1:
                return [*rows, Ended(0, 1, "lost", "the worker died")]
            return [*rows, Ended(0, 2, "finished", None, (0.7,))]

    run_study(asked(1), tmp_path / "one", executor=Lost())
    _, ledger = opened(tmp_path / "one")
    with closing(ledger):
        assert [(one.attempt, one.value, one.curve) for one in ledger.trials()] == [(2, 0.7, [0.1, 0.2])]
