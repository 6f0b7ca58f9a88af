"""Whole studies on the digits: the same on every executor, resumed, extended, and honest about the test rows."""

import json
import os
import shutil
import signal
import time
from contextlib import closing
from dataclasses import replace

import pytest

import chainrule as cr
from chainrule.comparing import gather
from chainrule.errors import BusyError, ConfigError, Interrupted
from chainrule.reporting.options import seeds_interval
from chainrule.runs.lock import locked
from chainrule.study import conduct, coordinator, run_study, task
from chainrule.study.conduct import opened, run_folders
from chainrule.study.executors import InProcess
from chainrule.study.processes import Processes
from chainrule.study.task import Ended, Row
from chainrule.study.text import Progress
from study.small import TRAIN, asked, values


def test_every_executor_gives_the_same_trials(tmp_path):
    here = run_study(asked(), tmp_path / "here")
    there = run_study(asked(), tmp_path / "there", workers=2)
    assert values(here) == values(there)
    assert here.summary["best"] == there.summary["best"]
    assert here.summary["finalists"] == there.summary["finalists"]
    finalist = here.trials[4]
    assert finalist.finalist_of == here.summary["best"][0]["trial"]
    assert len(finalist.seed_values) == 2
    seeds = [
        json.loads((path / "metrics.json").read_text()) and path.name
        for path in run_folders(tmp_path / "here", finalist)
    ]
    assert seeds == ["seed-1000000", "seed-1000001"]  # which had no part in the choice


def test_a_finished_study_is_not_trained_again_and_can_be_extended(tmp_path):
    first = run_study(asked(), tmp_path / "one")
    again = run_study(asked(), tmp_path / "one", resume=True)
    assert values(first) == values(again)
    more = run_study(asked(search={"trials": 6}, finalists={"n": 0}), tmp_path / "one", resume=True)
    assert [one.number for one in more.trials if one.finalist_of is None] == [0, 1, 2, 3, 5, 6]
    straight = run_study(asked(search={"trials": 6}, finalists={"n": 0}), tmp_path / "two")
    own = [one.value for one in more.trials if one.finalist_of is None]
    assert own == [one.value for one in straight.trials]


def test_another_space_is_another_search_kept_apart(tmp_path):
    run_study(asked(finalists={"n": 0}), tmp_path / "one")
    other = asked(space={"network.hidden": [[7]]}, search={"trials": 1}, finalists={"n": 0})
    found = run_study(other, tmp_path / "one", resume=True)
    assert (found.search, found.summary["searches_before"]) == (1, 1)
    assert [one["trial"] for one in found.summary["best"]] == [4]
    assert [one.search for one in found.trials] == [0, 0, 0, 0, 1]


def test_what_another_search_left_at_work_is_given_up(tmp_path):
    class Dies(InProcess):
        def poll(self, seconds):
            raise OSError("the machine is gone")

    with pytest.raises(OSError, match="the machine is gone"):
        run_study(asked(), tmp_path / "one", executor=Dies())
    other = asked(space={"network.hidden": [[7]]}, search={"trials": 1}, finalists={"n": 0})
    found = run_study(other, tmp_path / "one", resume=True)
    assert {one.state for one in found.trials if one.search == 0} == {"failed"}
    assert [one.state for one in found.trials if one.search == 1] == ["finished"]
    assert found.trials[0].reason == "given up: the study went on with another space or training"


def test_failures_keep_their_reason(tmp_path):
    space = {"optimizer.lr": [1e-3, 1e30]}
    train = TRAIN | {"optimizer": {"kind": "sgd"}, "data": {"preprocessing": "none"}}
    found = run_study(
        asked(space, train, search={"sampler": "grid", "trials": None}, finalists={"n": 0}), tmp_path / "one"
    )
    good, bad = found.trials
    assert (good.state, bad.state) == ("finished", "failed")
    assert bad.reason.startswith("DivergenceError: ")
    assert "not finite" in bad.reason
    assert found.summary["failures"][0]["trial"] == 1


def test_what_does_not_fit_the_data_fails_with_its_reason(tmp_path):
    found = run_study(
        asked({"training.batch_size": [10_000]}, search={"trials": 1}, finalists={"n": 2}), tmp_path / "one"
    )
    assert found.trials[0].reason.startswith("ConfigError: training.batch_size 10000 is more than the")
    assert found.summary["best"] == found.summary["finalists"] == []


def test_a_full_disk_is_a_reason(tmp_path):
    class Full(InProcess):
        def poll(self, seconds):
            if not self.tasks:
                return []
            reason = "OutputError: x could not be written: No space left"
            return [Ended(one.trial, one.attempt, "failed", reason) for one in self.tasks.popleft().all]

    found = run_study(asked(search={"trials": 1}, finalists={"n": 0}), tmp_path / "one", executor=Full())
    assert "No space left" in found.trials[0].reason


RATES = {"optimizer.lr": {"low": 1e-3, "high": 1e-1, "log": True}, "training.penalty": [0.0, 1e-3]}


@pytest.mark.parametrize("workers", [1, 2])
def test_candidates_that_differ_in_scalars_share_their_steps_and_keep_their_values(tmp_path, monkeypatch, workers):
    made, shared, train_alike = asked(RATES, search={"trials": 7}, finalists={"n": 0}), [], task.train_alike

    def watched(configs, *rest):
        runs = train_alike(configs, *rest)
        shared.append(0 if runs is None else len(runs))
        return runs

    monkeypatch.setattr(task, "train_alike", watched)
    found = run_study(made, tmp_path / "together", workers=workers)
    assert shared == ([7] if workers == 1 else [])  # with two workers it is they who share
    monkeypatch.setattr(coordinator, "TOGETHER", 1)
    assert values(found) == values(run_study(made, tmp_path / "alone"))


def test_one_that_fails_among_those_that_share_their_steps_fails_alone(tmp_path):
    space = {"optimizer.lr": [1e-3, 1e30, 1e-2, 1e-1]}
    train = TRAIN | {"optimizer": {"kind": "sgd"}, "data": {"preprocessing": "none"}}
    tables = {"search": {"sampler": "grid", "trials": None}, "finalists": {"n": 0}}
    found = run_study(asked(space, train, **tables), tmp_path / "one")
    assert [one.state for one in found.trials][:2] == ["finished", "failed"]
    assert found.trials[1].reason.startswith("DivergenceError: ")
    assert all(one.attempt == 1 for one in found.trials)


def test_seeds_are_repeated_and_their_mean_counts(tmp_path):
    found = run_study(asked(search={"trials": 2, "seeds": 3}, finalists={"n": 0}), tmp_path / "one")
    assert found.summary["epochs"] == 12
    for one in found.trials:
        assert len(set(one.seed_values)) == 3
        assert one.value == pytest.approx(sum(one.seed_values) / 3)
    assert found.summary["best"][0]["interval_95"] is not None


@pytest.mark.parametrize(("loss", "lowest"), [({}, 0.0), ({"kind": "huber"}, 0.0), ({"kind": "poisson"}, -11.0209)])
def test_intervals_of_a_loss_that_cannot_be_negative_end_at_0(tmp_path, capsys, loss, lowest):
    class Told(InProcess):
        def poll(self, seconds):
            return [Ended(self.tasks.popleft().trial, 1, "finished", None, (0.1, 2.0))] if self.tasks else []

    train = TRAIN | ({"loss": loss} if loss else {})
    made = asked({"network.hidden": [[5]]}, train, search={"trials": 1, "seeds": 2}, finalists={"n": 0})
    found = run_study(made, tmp_path / "one", executor=Told(), view=Progress(made, 1))
    assert found.summary["best"][0]["interval_95"] == pytest.approx((lowest, 13.1209), abs=1e-4)
    low, high = found.summary["best"][0]["interval_95"]
    assert f"best 1.0500 [{low:.4f}, {high:.4f}] (trial 0)" in capsys.readouterr().err
    assert seeds_interval(made, found.trials[0]) == (low, high)


def test_pruned_trials_keep_their_curve_and_reason(tmp_path):
    space = {"optimizer.lr": [1e-2, 1e-7, 1e-7, 1e-7]}
    tables = {
        "pruning": {"kind": "asha", "first": 1},
        "search": {"sampler": "grid", "trials": None},
        "finalists": {"n": 0},
    }
    found = run_study(asked(space, TRAIN | {"training": {"epochs": 5, "batch_size": 64}}, **tables), tmp_path / "one")
    assert [one.state for one in found.trials] == ["finished", "pruned"]  # equal candidates of a grid are one
    assert found.trials[1].reason == "at row 1 it is not among the best 1 of 2"
    assert len(found.trials[1].curve) == 1
    assert found.summary["epochs"] == 6


def test_budgets_end_a_search(tmp_path):
    found = run_study(asked(search={"trials": None, "epochs": 5}, finalists={"n": 0}), tmp_path / "one")
    assert len(found.trials) == 3  # of two epochs each
    found = run_study(asked(search={"trials": None, "seconds": 1e-9}, finalists={"n": 0}), tmp_path / "two")
    assert found.trials == []


def test_a_directory_is_one_coordinators(tmp_path):
    run_study(asked(search={"trials": 1}, finalists={"n": 0}), str(tmp_path / "one"))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"^output .*/file/two: .*/file is a file; name a directory$"):
        run_study(asked(search={"trials": 1}, finalists={"n": 0}), tmp_path / "file" / "two")
    with pytest.raises(ConfigError, match="is not empty; name another directory, or give --resume"):
        run_study(asked(), tmp_path / "one")
    with locked(tmp_path / "one"), pytest.raises(BusyError, match="is in use by"):
        run_study(asked(), tmp_path / "one", resume=True)
    made, ledger = opened(tmp_path / "one")
    with closing(ledger):
        assert (made.name, len(ledger.trials())) == ("small", 1)


def test_results_of_an_attempt_that_was_given_up_are_refused(tmp_path):
    class Late(InProcess):
        """Gives trial 0 up once; its first worker wakes and reports while the second one is at work."""

        def poll(self, seconds):
            if not self.tasks:
                return []
            task = self.tasks.popleft()
            if task.attempt == 1:
                return [Ended(one.trial, 1, "lost", "nothing was heard of the worker for 60 s") for one in task.all]
            assert not task.others  # what was lost is tried again by itself
            assert task.earlier.endswith("/1")
            assert task.directory.endswith("/2")
            stale = [Row(task.trial, 1, 1, -99.0, 1.0), Ended(task.trial, 1, "finished", None, (-99.0,))]
            return [*stale, Ended(task.trial, 2, "finished", None, (0.5,)), *stale]

    found = run_study(asked(search={"trials": 2}, finalists={"n": 0}), tmp_path / "one", executor=Late())
    assert [(one.value, one.attempt, one.curve) for one in found.trials] == [(0.5, 2, []), (0.5, 2, [])]


def test_a_stopped_worker_loses_its_trial_and_another_goes_on(tmp_path):
    """SIGSTOP, as a machine that hangs."""

    class Watched(Processes):
        stopped = 0

        def poll(self, seconds):
            busy = [worker for worker in self.workers if worker.task is not None]
            if busy and not self.stopped and (tmp_path / "one/trials").exists():
                self.stopped = busy[0].process.pid
                os.kill(self.stopped, signal.SIGSTOP)
            return super().poll(seconds)

    executor = Watched(2, 1, lease=10.0)  # more than a worker is silent for on a busy machine
    long = TRAIN | {"training": {"epochs": 30, "batch_size": 16}}
    found = run_study(asked(train=long, search={"trials": 3}, finalists={"n": 0}), tmp_path / "one", executor=executor)
    assert executor.stopped
    assert {one.attempt for one in found.trials} == {1, 2}
    assert values(found) == values(
        run_study(asked(train=long, search={"trials": 3}, finalists={"n": 0}), tmp_path / "two")
    )
    _, ledger = opened(tmp_path / "one")
    with closing(ledger):
        assert any(one["outcome"] == "nothing was heard of the worker for 10 s" for one in ledger.attempts())


def test_a_study_of_one_trial_is_quick(tmp_path):
    begin = time.perf_counter()
    run_study(asked(search={"trials": 1}, finalists={"n": 0}), tmp_path / "one")
    assert time.perf_counter() - begin < 10


def test_a_signal_at_the_very_end_is_not_swallowed(tmp_path, monkeypatch):
    run_study(asked(finalists={"n": 0}), tmp_path / "study")
    made = conduct.summarised

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return made(*arguments)

    monkeypatch.setattr(conduct, "summarised", interrupted)
    with pytest.raises(Interrupted, match=r"as the study in .* ended; nothing is lost") as caught:
        run_study(asked(finalists={"n": 0}), tmp_path / "study", resume=True)
    assert caught.value.exit_code == 143


def test_a_signal_between_two_trials_is_not_swallowed(tmp_path, monkeypatch):
    """It came as a trial was being written down, too late to end its training."""

    class Signals(cr.Hook):
        def finished(self, run):
            os.kill(os.getpid(), signal.SIGTERM)

    train = task.train_seeds
    monkeypatch.setattr(task, "train_seeds", lambda *a, hooks, **k: train(*a, hooks=(*hooks, Signals()), **k))
    torch = TRAIN | {"compute": {"backend": "torch", "precision": "float32", "threads": 1}}
    with pytest.raises(Interrupted, match="interrupted with 0 trials at work; go on with --resume"):
        run_study(asked(train=torch), tmp_path / "study")
    monkeypatch.setattr(task, "train_seeds", train)
    assert len(run_study(asked(train=torch), tmp_path / "study", resume=True).trials) == 5


def test_an_interrupted_trial_gives_no_advice_on_itself_alone(tmp_path):
    class Stops(InProcess):
        def poll(self, seconds):
            raise Interrupted("go on with: chainrule train --resume x", signal.SIGINT)

    with pytest.raises(Interrupted) as caught:
        run_study(asked(), tmp_path / "study", executor=Stops())
    assert str(caught.value) == "interrupted with 2 trials at work; go on with --resume"
    assert caught.value.exit_code == 130


@pytest.mark.parametrize("apart", [False, True], ids=["own ledger", "a database apart"])
def test_a_study_is_moved_with_its_folder(tmp_path, apart):
    database = f"sqlite:///{tmp_path}/apart.sqlite" if apart else None
    first = run_study(asked(), tmp_path / "here", database=database)
    (tmp_path / "here").rename(tmp_path / "there")
    again = run_study(asked(), tmp_path / "there", resume=True, database=database)
    assert values(again) == values(first)
    more = run_study(asked(search={"trials": 5}), tmp_path / "there", resume=True, again=True, database=database)
    assert len(more.trials) > len(first.trials)
    assert not (tmp_path / "here").exists()
    [group, *_] = gather([tmp_path / "there"], database=database)
    assert group.seeds == (1_000_000, 1_000_001)
    assert "holds no ledger" not in cr.report(tmp_path / "there", database=database)
    if apart:
        with pytest.raises(ConfigError, match="name another study"):
            run_study(asked(), tmp_path / "new", database=database)
        shutil.copytree(tmp_path / "there", tmp_path / "copy")
        with pytest.raises(ConfigError, match="name another study"):
            run_study(asked(), tmp_path / "copy", resume=True, database=database)


def test_a_study_without_its_ledger_is_refused_and_gets_none(tmp_path):
    run_study(asked(finalists={"n": 0}), tmp_path / "study")
    (tmp_path / "study" / "ledger.sqlite").unlink()
    with pytest.raises(ConfigError, match=r"holds no ledger: it has no ledger\.sqlite\. If it is in another database"):
        opened(tmp_path / "study")
    assert not (tmp_path / "study" / "ledger.sqlite").exists()


def test_a_database_that_refuses_leaves_no_directory(tmp_path):
    for database in ("nonsense", f"sqlite:///{tmp_path}/none/x.sqlite"):
        with pytest.raises(cr.ChainruleError, match="database"):
            run_study(asked(), tmp_path / "above" / "study", database=database)
        assert [*tmp_path.iterdir()] == []
    (tmp_path / "own").mkdir()
    with pytest.raises(cr.ChainruleError, match="cannot be used: unable to open"):
        run_study(asked(), tmp_path / "own", database=database)
    assert [*(tmp_path / "own").iterdir()] == []  # which was there before


def test_a_database_without_the_study_is_refused(tmp_path):
    run_study(asked(finalists={"n": 0}), tmp_path / "study")
    (tmp_path / "study" / "ledger.sqlite").write_bytes(b"")
    refusal = (
        r"^the study's database sqlite:///.*/study/ledger\.sqlite holds no study 'small'; bring the ledger back from a "
        r"copy, or name its database with --database$"
    )
    with pytest.raises(ConfigError, match=refusal):
        opened(tmp_path / "study")
    with pytest.raises(ConfigError, match=refusal):  # its trials would be taken for those of a new one
        run_study(asked(finalists={"n": 0}), tmp_path / "study", resume=True)


def test_a_directory_of_something_else_is_left_as_it_is(tmp_path):
    def contents(folder):
        return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def refused(folder, message, **options):
        before = contents(folder)
        with pytest.raises(ConfigError, match=message):
            run_study(asked(), folder, resume=True, **options)
        assert contents(folder) == before

    one, run, own = tmp_path / "one", tmp_path / "run", tmp_path / "own"
    run_study(replace(asked(search={"trials": 1}), name="other"), one)
    refused(one, r"one holds the study 'other', not 'small' \(the name of the file\); name another directory$")
    (one / "ledger.sqlite").unlink()
    (one / "study.toml").write_text((one / "study.toml").read_text().replace("other", "small"))
    refused(one, r"no ledger: it has no ledger\.sqlite\. If it is in another database, name that with --database$")
    cr.train_config(cr.Config(training=cr.Training(epochs=1)), run)
    refused(run, r"run is not empty and holds no study to go on with; name another directory$")
    own.mkdir()
    (own / "study.toml").write_text("[space] # mine")
    refused(own, r"study\.toml is no study's record: it has no name\. Name what `chainrule study --output` wrote$")
    (own / "study.toml").write_text("[")
    refused(own, r"study\.toml cannot be read as TOML: ")
    with pytest.raises(ConfigError, match=r"study\.toml cannot be read as TOML: "):
        opened(own)


def test_what_is_no_study_is_refused_before_any_work(tmp_path):
    with pytest.raises(cr.ConfigError, match=r"^asked is 'one.toml'; expected a Study: what `load_study` gives$"):
        cr.run_study("one.toml", tmp_path / "study")
    assert not (tmp_path / "study").exists()
