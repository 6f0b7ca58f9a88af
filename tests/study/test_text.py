"""What is said of trials that failed: each reason once, and that a study came to nothing."""

from chainrule.study.config import study
from chainrule.study.ledger import Trial
from chainrule.study.text import Progress, failures, fruitless


def test_progress_counts_the_trials_of_its_own_search(capsys):
    asked = study({"space": {"network.hidden": [[5], [6]]}, "search": {"sampler": "grid"}}, "small")
    before = [Trial(0, 0, {}, state="finished", value=0.1), Trial(1, 0, {}, state="finished", value=0.2)]
    tell = Progress(asked, 1)
    tell(before, 2)
    tell([*before, Trial(2, 1, {}, state="finished", value=0.5)], 2)
    said = capsys.readouterr().err
    assert said.startswith("1/2 | trial 2: 0.5")
    assert "best 0.5" in said


def test_progress_tells_a_finalist_again_that_got_more_seeds(capsys):
    asked = study({"space": {"network.hidden": [[5], [6]]}, "search": {"sampler": "grid"}}, "small")
    before, finalist = Trial(0, 0, {}, state="finished", value=0.1), Trial(1, 0, {}, 0, "finished", value=0.2)
    tell = Progress(asked, 1)
    tell([before, finalist], 1)
    finalist.state = "waiting"
    tell([before, finalist], 1)
    finalist.state = "finished"
    tell([before, finalist], 1)
    assert capsys.readouterr().err.startswith("1/1 | finalist 1 (of trial 0): 0.2")


def failed(*reasons):
    return [{"trial": i, "params": {"optimizer.lr": 0.5}, "reason": reason} for i, reason in enumerate(reasons)]


def summary(reasons, finished=0, finalists=()):
    counts = {"finished": finished, "pruned": 0, "failed": len(reasons)}
    return {"trials": counts, "failures": failed(*reasons), "finalists": list(finalists)}


def test_equal_reasons_are_one_line_the_commonest_first():
    assert failures(failed("a", "b", "b", *"ccccccc")) == [
        "7 trials (3, 4, 5, 6, 7, ...): c", "2 trials (1, 2): b", "trial 0 (optimizer.lr = 0.5): a",
    ]  # fmt: skip
    assert failures(failed(*"abcdefg"))[-1] == "2 other reasons"


def test_a_study_came_to_nothing_where_all_trials_or_all_finalists_failed():
    assert fruitless(summary(["a", "a"])) == "no trial finished:\n  2 trials (0, 1): a"
    assert fruitless(summary(["a", "a"], finished=1)) is None
    assert fruitless(summary([])) is None
    finalists = [{"trial": 7, "params": {}, "state": "failed", "reason": "b"}, {"trial": 8, "state": "finished"}]
    assert fruitless(summary([], 1, finalists[:1])) == "no finalist finished:\n  trial 7 (): b"
    assert fruitless(summary([], 1, finalists)) is None
