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
from chainrule.study.space import Parameter, Params, from_unit, grid

NEWEST, BEST = 70, 20
"""TPE looks at the newest trials, 70 to 140 of them, and the best of all before: its time grows with their number."""


class Told(NamedTuple):
    """A trial as the sampler may know it. value: None while it runs. It counts as better the smaller it is."""

    number: int
    params: Params
    value: float | None


Proposer = Callable[[int, Callable[[], Sequence[Told]]], Params | None]
"""number, what is known by then -> the candidate, or None where there are no more."""


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

    def propose(number: int, _: Any) -> Params:
        while number >= len(points):  # doubling: a Sobol sequence is balanced at powers of two
            sequence = Sobol(len(study.space), rng=seed)
            points[:] = sequence.random(max(64, 2 * len(points)))
        return from_unit(study.space, points[number])

    return propose


def as_optuna(space: Sequence[Parameter], told: Sequence[Told]) -> list[Any]:
    """Trials as Optuna's; those without a value run."""
    import optuna

    by_path = {parameter.path: parameter for parameter in space}
    distributions = {path: distribution(parameter) for path, parameter in by_path.items()}

    def number(path: str, value: Any) -> Any:
        choices = by_path[path].choices
        return choices.index(value) if choices else value

    return [
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING if one.value is None else optuna.trial.TrialState.COMPLETE,
            value=one.value,
            params={path: number(path, value) for path, value in one.params.items()},
            distributions={path: distributions[path] for path in one.params},
        )
        for one in told
    ]


def distribution(one: Parameter) -> Any:
    """The parameter as Optuna's distribution; choices by their places, as a choice may be a list."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if one.choices:
        return CategoricalDistribution(tuple(range(len(one.choices))))
    if one.integer:
        return IntDistribution(int(one.low), int(one.high), log=one.log, step=1 if one.log else int(one.step or 1))
    return FloatDistribution(one.low, one.high, log=one.log, step=None if one.log else one.step)


class _Known:
    """Trials in an Optuna study, kept up to date: to tell it all again would cost more than to ask."""

    def __init__(self, space: Sequence[Parameter], begin: int) -> None:
        import optuna

        self.space, self.begin = space, begin
        self.study = optuna.create_study()
        self.places: dict[int, int] = {}  # by our number, Optuna's
        self.running: set[int] = set()

    def learn(self, told: Sequence[Told]) -> None:
        """New trials, and running ones that have ended; a running one that is not told of any more has failed."""
        import optuna

        for one in told:
            if one.number in self.running and one.value is not None:
                self.study.tell(self.places[one.number], one.value)
                self.running.discard(one.number)
        for number in self.running - {one.number for one in told}:
            self.study.tell(self.places[number], state=optuna.trial.TrialState.FAIL)
            self.running.discard(number)
        new = [one for one in told if one.number not in self.places]
        for one, trial in zip(new, as_optuna(self.space, new), strict=True):
            self.places[one.number] = len(self.places)
            self.study.add_trial(trial)
            if one.value is None:
                self.running.add(one.number)


def _tpe(study: Study) -> Proposer:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    conditional = any(parameter.when for parameter in study.space)
    known = _Known(study.space, 0)

    def propose(number: int, told: Callable[[], Sequence[Told]]) -> Params:
        nonlocal known
        all_told = told()
        ended = [one for one in all_told if one.value is not None]
        begin = max(0, (len(ended) // NEWEST - 1) * NEWEST)
        if begin != known.begin:
            known = _Known(study.space, begin)
            known.learn(sorted(ended[:begin], key=lambda one: (one.value, one.number))[:BEST])
        known.learn([*ended[begin:], *(one for one in all_told if one.value is None)])
        seed = int(stream(study.options.search.seed, "study/tpe", number).integers(2**31))
        with warnings.catch_warnings():  # that parts of a sampler may change is known: its version is pinned
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            known.study.sampler = optuna.samplers.TPESampler(
                seed=seed, multivariate=True, group=conditional, constant_liar=True
            )
        drawn, chosen = known.study.ask(), Params()
        for parameter in study.space:
            if parameter.exists(chosen):
                value = drawn._suggest(parameter.path, distribution(parameter))
                chosen[parameter.path] = parameter.choices[value] if parameter.choices else value
        known.places[number] = drawn.number
        known.running.add(number)
        return chosen

    return propose
