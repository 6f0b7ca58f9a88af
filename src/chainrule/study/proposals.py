"""Who is tried next, by the name of the sampler.

Grid, random and quasi-random proposals are functions of the study's seed and the trial's number alone, so a study
proposes the same candidates however often it is interrupted and however many workers it has. TPE learns from the trials
that have ended when it is asked, so there the order in which workers finish decides too.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from chainrule.seeds import stream
from chainrule.study.config import Study
from chainrule.study.space import Params, from_unit, grid

LEARNT_FROM = 1000
"""Ended trials that TPE looks at, the newest: its time grows with their number."""


class Told(NamedTuple):
    """A trial as the sampler may know it. value: None while it runs. It counts as better the smaller it is."""

    number: int
    params: Params
    value: float | None


Proposer = Callable[[int, Sequence[Told]], Params | None]
"""number, what is known -> the candidate, or None where there are no more."""


def proposer(study: Study) -> Proposer:
    """The sampler that the study names."""
    search, space = study.options.search, study.space
    if search.sampler == "grid":
        candidates = grid(space)
        return lambda number, _: candidates[number] if number < len(candidates) else None
    if search.sampler == "random":
        return lambda number, _: from_unit(
            space, stream(search.seed, "study/random", number).random(len(space)).tolist()
        )
    if search.sampler == "quasi-random":
        return _sobol(study)
    return _tpe(study)


def n_candidates(study: Study) -> int | None:
    """Of a grid; None where there is no end."""
    return len(grid(study.space)) if study.options.search.sampler == "grid" else None


def _sobol(study: Study) -> Proposer:
    from scipy.stats.qmc import Sobol

    points: list[Any] = []
    seed = int(stream(study.options.search.seed, "study/sobol").integers(2**31))

    def propose(number: int, _: Sequence[Told]) -> Params:
        while number >= len(points):  # doubling: a Sobol sequence is balanced at powers of two
            sequence = Sobol(len(study.space), rng=seed)
            points[:] = sequence.random(max(64, 2 * len(points)))
        return from_unit(study.space, points[number])

    return propose


def _tpe(study: Study) -> Proposer:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {parameter.path: parameter for parameter in study.space}

    def distribution(path: str) -> BaseDistribution:
        one = space[path]
        if one.choices:  # by their places, as a choice may be a list
            return CategoricalDistribution(tuple(range(len(one.choices))))
        if one.integer:
            step = 1 if one.log else int(one.step or 1)
            return IntDistribution(int(one.low), int(one.high), log=one.log, step=step)
        return FloatDistribution(one.low, one.high, log=one.log, step=None if one.log else one.step)

    distributions = {path: distribution(path) for path in space}
    conditional = any(parameter.when for parameter in study.space)

    def as_optuna(params: Params) -> dict[str, Any]:
        return {
            path: space[path].choices.index(value) if space[path].choices else value for path, value in params.items()
        }

    def trial(told: Told) -> Any:
        running = told.value is None
        return optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING if running else optuna.trial.TrialState.COMPLETE,
            value=told.value,
            params=as_optuna(told.params),
            distributions={path: distributions[path] for path in told.params},
        )

    known: dict[int, Any] = {}  # ended trials as Optuna's; making one costs more than it should

    def propose(number: int, told: Sequence[Told]) -> Params:
        seed = int(stream(study.options.search.seed, "study/tpe", number).integers(2**31))
        with warnings.catch_warnings():  # that parts of a sampler may change is known: its version is pinned
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=conditional, constant_liar=True)
        asked = optuna.create_study(sampler=sampler)
        ended = [one for one in told if one.value is not None][-LEARNT_FROM:]
        for one in ended:
            if one.number not in known:
                known[one.number] = trial(one)
        asked.add_trials([*(known[one.number] for one in ended), *(trial(one) for one in told if one.value is None)])
        drawn, chosen = asked.ask(), Params()
        for path, parameter in space.items():
            if parameter.exists(chosen):
                value = drawn._suggest(path, distributions[path])
                chosen[path] = parameter.choices[value] if parameter.choices else value
        return chosen

    return propose
