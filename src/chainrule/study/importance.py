"""How much each option of a study mattered."""

import warnings
from contextlib import closing
from pathlib import Path

from chainrule.errors import ConfigError
from chainrule.study.conduct import opened
from chainrule.study.proposals import Told, as_optuna

FEWEST = 10


def importances(directory: Path, database: str | None = None) -> dict[str, float]:
    """Shares that sum to 1, the greatest first: PED-ANOVA (Watanabe 2023), Optuna's, of the last search's trials.

    It asks what sets the better tenth of the trials apart from the rest. Raises a ConfigError for fewer than 10 trials.
    """
    study, ledger = opened(directory, database)
    with closing(ledger):
        trials = [one for one in ledger.trials() if one.finalist_of is None and one.state == "finished"]
    last = max((one.search for one in trials), default=0)
    own = [one for one in trials if one.search == last]
    if len(own) < FEWEST:
        raise ConfigError(f"{directory} has {len(own)} finished trials; importances mean something from {FEWEST} on")
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
