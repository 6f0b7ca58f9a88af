"""Any of scikit-learn's scorers as a column of the history."""

from collections.abc import Callable, Mapping
from copy import copy
from numbers import Real
from typing import Any

from sklearn.metrics import get_scorer

from chainrule.errors import ConfigError
from chainrule.estimator.settings import SCORE
from chainrule.runs import Begun, Measuring, Model


def scorer(scoring: Any) -> Callable[..., float] | None:
    """What `scoring` names, or the callable (estimator, X, y) -> number that it is; None where `train` measures it."""
    if scoring is None or (isinstance(scoring, str) and scoring == "loss"):
        return None
    if not isinstance(scoring, str) and not callable(scoring):
        raise ConfigError(
            f"scoring is {scoring!r}; expected None, 'loss', a scorer's name or a callable (estimator, X, y)"
        )
    module = getattr(scoring, "__module__", None) or ""
    if module.startswith("sklearn.metrics.") and not module.startswith("sklearn.metrics._scorer"):
        name = getattr(scoring, "__name__", repr(scoring))
        raise ConfigError(
            f"scoring is the metric {name}; expected a scorer, (estimator, X, y) -> number: "
            f"wrap it, sklearn.metrics.make_scorer({name})"
        )
    found: Callable[..., float] = get_scorer(scoring)
    return found


class Scored(Measuring):
    """Scores the model on the validation rows, whole and unweighted, through a copy of its estimator."""

    def __init__(self, estimator: Any, score: Callable[..., float]) -> None:
        self.estimator, self.score = estimator, score

    def started(self, begun: Begun) -> None:
        """The validation rows are known, and the estimator has all that it predicts with but its models."""
        self.probe, data = copy(self.estimator), begun.plan.data
        rows = begun.plan.rows.validation
        self.probe.__dict__.pop("feature_names_in_", None)  # the rows below are plain arrays
        self.X, self.y = data.take(rows), self.probe._decoded(data.y[rows])

    def measured(self, model: Model) -> Mapping[str, float]:
        """The score of the model as it is now."""
        self.probe.models_ = (model,)
        score: Any = self.score(self.probe, self.X, self.y)
        number = score.item() if getattr(score, "size", None) == 1 else score
        if not isinstance(number, Real):
            raise ConfigError(f"scoring is {self.estimator.scoring!r}, which gave {score!r}; expected a number")
        return {SCORE: float(number)}
