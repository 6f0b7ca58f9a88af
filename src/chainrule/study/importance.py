"""How much each option of a study mattered."""

import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from chainrule.errors import ConfigError
from chainrule.study.conduct import opened
from chainrule.study.config import Study
from chainrule.study.ledger import Trial
from chainrule.study.proposals import Told, as_optuna
from chainrule.text import number

FEWEST = 10


def nothing_to_explain(study: Study, finished: Sequence[Trial]) -> str | None:
    """Why the finished trials of a search say nothing of what mattered; None where they do."""
    if len(finished) < FEWEST:
        return f"{len(finished)} finished trials; importances mean something from {FEWEST} on"
    if len({one.value for one in finished}) == 1:
        return (
            f"{len(finished)} finished trials that all came to {study.metric} {number(finished[0].value or 0.0)}, so "
            "there is nothing to explain; let other options vary, or judge by a search.metric that tells them apart"
        )
    return None


def importances(directory: Path, database: str | None = None) -> dict[str, float]:
    """Shares that sum to 1, the greatest first: PED-ANOVA (Watanabe 2023), Optuna's, of the last search's trials.

    It asks what sets the better tenth of the trials apart from the rest. Raises a ConfigError for fewer than 10 trials,
    and where all came to the same.
    """
    study, ledger = opened(directory, database)
    with closing(ledger):
        trials = [one for one in ledger.trials() if one.finalist_of is None and one.state == "finished"]
    last = max((one.search for one in trials), default=0)
    own = [one for one in trials if one.search == last]
    if (why := nothing_to_explain(study, own)) is not None:
        raise ConfigError(f"{directory} has {why}")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sign = -1.0 if study.maximise else 1.0
    told = [Told(one.number, one.params, sign * (one.value or 0.0)) for one in own]
    found = optuna.create_study()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found.add_trials(as_optuna(study.space, told))
        shares = optuna.importance.get_param_importances(found)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
