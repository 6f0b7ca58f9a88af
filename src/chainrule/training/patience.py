"""Which row of the history is the best, and which was the last to improve on those before it."""

from collections.abc import Sequence
from math import inf, isfinite, nan

from chainrule.errors import ConfigError
from chainrule.training.config import Evaluation
from chainrule.training.measure import Row
from chainrule.training.metrics import greater_is_better


def monitored(evaluation: Evaluation, row: Row) -> float:
    """The monitored value, turned so that larger is better; -inf where it is missing or not finite."""
    greater = greater_is_better(evaluation.monitor) if evaluation.mode == "auto" else evaluation.mode == "max"
    value = row.get(evaluation.monitor, nan)
    return (value if greater else -value) if isfinite(value) else -inf


def is_better(evaluation: Evaluation, row: Row, best: Row, by: float = 0.0) -> bool:
    """Whether `row` beats `best` by more than `by` in the monitored column.

    Without that column the later row counts as better; raises a ConfigError where a hook should have measured it.
    """
    if evaluation.monitor in row:
        return monitored(evaluation, row) > monitored(evaluation, best) + by
    if evaluation.mode != "auto":
        raise ConfigError(
            f"evaluation.monitor {evaluation.monitor!r} was measured by no hook; the columns are {', '.join(row)}"
        )
    return True


def improves(evaluation: Evaluation, row: Row, best: Row) -> bool:
    """Whether `row` beats `best` by more than `tolerance` or, with `ties`, by as much."""
    if evaluation.ties and evaluation.monitor in row:
        value = monitored(evaluation, row)
        return value > -inf and value >= monitored(evaluation, best) + evaluation.tolerance
    return is_better(evaluation, row, best, evaluation.tolerance)


def last_improvement(evaluation: Evaluation, history: Sequence[Row]) -> int:
    """The last row that improved on the best before it, or -1."""
    best, found = -1, -1
    for i, row in enumerate(history):
        if best < 0 or improves(evaluation, row, history[best]):
            found = i
        if best < 0 or is_better(evaluation, row, history[best]):
            best = i
    return found


def stalled(evaluation: Evaluation, n_rows: int, improved_row: int) -> bool:
    """Whether `patience` rows have passed since the last improvement."""
    return evaluation.patience is not None and n_rows - 1 - improved_row >= evaluation.patience
