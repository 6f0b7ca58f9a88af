"""Finalists: the best candidates trained again, with more seeds too, and the test rows that they are judged on once."""

import shutil

import pytest

import chainrule as cr
from chainrule.comparing import gather
from chainrule.errors import ConfigError
from chainrule.reporting import about_study
from chainrule.study import run_study
from chainrule.study.conduct import run_folders
from study.small import TRAIN, asked, values


def test_the_test_rows_are_read_once(tmp_path):
    first = run_study(asked(search={"trials": 2}), tmp_path / "one")
    assert len(first.summary["test_readings"]) == 1
    assert first.summary["finalists"][0]["test"]["accuracy"]["runs"] == 2
    run_study(asked(search={"trials": 2}), tmp_path / "one", resume=True)  # nothing new to judge
    other = asked(search={"trials": 2}, finalists={"n": 2})
    with pytest.raises(ConfigError, match=r"the test rows were read at .* Give --again to read them again"):
        run_study(other, tmp_path / "one", resume=True)
    second = run_study(other, tmp_path / "one", resume=True, again=True)
    assert len(second.summary["test_readings"]) == 2


def test_more_seeds_of_finalists_are_trained_beside_those_that_were(tmp_path):
    train = TRAIN | {"data": {"split": {"test": 0}}}  # no test rows, so none that were looked at
    first = run_study(asked(train=train, search={"trials": 2}), tmp_path / "one")
    ended = []
    more = asked(train=train, search={"trials": 2}, finalists={"seeds": 4})
    second = run_study(more, tmp_path / "one", resume=True, view=lambda trials, _: ended.append(trials[2].state))
    assert values(second) == values(run_study(more, tmp_path / "two"))
    assert second.trials[2].seed_values[:2] == first.trials[2].seed_values
    assert [path.name for path in run_folders(tmp_path / "one", second.trials[2])] == [
        "seed-1000000", "seed-1000001", "seed-1000002", "seed-1000003",
    ]  # fmt: skip
    assert ended == ["finished", "waiting", "finished"]
    fewer = run_study(asked(train=train, search={"trials": 2}), tmp_path / "one", resume=True)
    assert values(fewer) == values(second)


def test_more_seeds_after_a_look_at_the_test_rows_are_refused_before_they_are_trained(tmp_path):
    run_study(asked(search={"trials": 2}), tmp_path / "one")
    more = asked(search={"trials": 2}, finalists={"seeds": 4})
    with pytest.raises(
        ConfigError,
        match=r"^the test rows were read at \S+, with 2 seeds of a finalist, and finalists\.seeds is 4 now; to add seeds "
        r"until the test rows please would be to fool oneself\. Set finalists\.seeds = 2, or give --again to train the "
        r"others and to read the test rows again, which every later summary will say$",
    ):
        run_study(more, tmp_path / "one", resume=True)
    assert not (tmp_path / "one" / "trials" / "00002" / "2").exists()
    found = run_study(more, tmp_path / "one", resume=True, again=True)
    assert len(found.summary["test_readings"]) == 2
    [finalist] = found.summary["finalists"]
    assert (len(finalist["seed_values"]), finalist["test"]["accuracy"]["runs"]) == (4, 4)
    on_page = about_study.tested(about_study.ledgered(tmp_path / "one", None), found.trials[2])
    assert on_page["accuracy"][0] == finalist["test"]["accuracy"]["mean"]


def test_candidates_of_the_same_values_are_one_finalist(tmp_path):
    found = run_study(asked({"network.hidden": [[5], [4]]}, search={"trials": 6}, finalists={"n": 3, "seeds": 1}),
                      tmp_path / "one")  # fmt: skip
    assert [one.params["network.hidden"] for one in found.trials].count([5]) > 1
    assert len(found.summary["finalists"]) == len(found.summary["best"]) == 2


def test_runs_of_a_finalist_that_are_gone_are_missed(tmp_path):
    found = run_study(asked(search={"trials": 1}), tmp_path / "one")
    shutil.rmtree(run_folders(tmp_path / "one", found.trials[1])[0])
    with pytest.raises(cr.DamagedError, match=r"00001/1 holds 1 of the 2 runs of trial 1; bring the others back"):
        gather([tmp_path / "one"])
