"""Samplers: the same candidates whenever they are asked for, all of a grid, and learning where it is promised."""

import pytest

from chainrule.study.config import study
from chainrule.study.proposals import Told, n_candidates, proposer

SPACE = {"optimizer.lr": {"low": 1e-4, "high": 1e-1, "log": True}, "training.batch_size": {"low": 8, "high": 64}}


def made(sampler, space=SPACE, seed=0):
    return study({"space": space, "search": {"sampler": sampler, "trials": 50, "seed": seed}}, "made")


@pytest.mark.parametrize("sampler", ["random", "quasi-random", "tpe"])
def test_a_candidate_depends_on_seed_and_number_alone(sampler):
    first, again = proposer(made(sampler)), proposer(made(sampler))
    found = [first(number, list) for number in range(12)]
    assert [again(number, list) for number in (11, 3)] == [found[11], found[3]]
    assert len({str(one) for one in found}) == 12
    assert proposer(made(sampler, seed=1))(0, list) != found[0]


def test_a_grid_ends():
    space = {"optimizer.lr": [1e-3, 1e-2], "training.batch_size": [8, 16, 32]}
    propose = proposer(made("grid", space))
    found = [propose(number, list) for number in range(7)]
    assert found[-1] is None
    assert len({str(one) for one in found[:-1]}) == 6 == n_candidates(made("grid", space))


def test_quasi_random_candidates_fill_the_space_evenly():
    propose = proposer(made("quasi-random"))
    tenths = {int(10 * (propose(number, list)["training.batch_size"] - 8) / 57) for number in range(16)}
    assert len(tenths) >= 9


def test_tpe_goes_where_values_are_better():
    propose, told = proposer(made("tpe")), []
    for number in range(60):
        params = propose(number, lambda: told)
        told.append(Told(number, params, abs(params["training.batch_size"] - 20)))
    early = [one.value for one in told[:15]]
    late = [one.value for one in told[-15:]]
    assert sum(late) < 0.5 * sum(early)


def test_tpe_takes_conditions_choices_that_are_lists_and_running_trials():
    space = {
        "network.hidden": [[10], [20, 20]],
        "optimizer.kind": ["sgd", "adam"],
        "optimizer.momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer.kind": "sgd"}},
    }
    propose, told = proposer(made("tpe", space)), []
    for number in range(25):
        params = propose(number, lambda: told)
        assert ("optimizer.momentum" in params) == (params["optimizer.kind"] == "sgd")
        assert params["network.hidden"] in ([10], [20, 20])
        told.append(Told(number, params, None if number % 5 == 4 else float(number % 7)))


def test_tpe_proposes_the_same_when_it_is_told_all_at_once():
    """As after a coordinator was killed; also beyond what it looks at."""
    propose, told = proposer(made("tpe")), []
    for number in range(40):
        params = propose(number, lambda: told)
        told.append(Told(number, params, abs(params["training.batch_size"] - 20)))
    assert proposer(made("tpe"))(40, lambda: told) == propose(40, lambda: told)


def test_tpe_forgets_what_has_failed_and_hears_what_has_ended():
    propose = proposer(made("tpe"))
    first, second = (propose(number, list) for number in range(2))
    told = [Told(0, first, None), Told(1, second, None)]
    propose(2, lambda: told)
    assert propose(3, lambda: [Told(0, first, 0.5)])  # 1 and 2 have failed
    assert propose(4, lambda: [Told(0, first, 0.5), Told(3, second, None)])
