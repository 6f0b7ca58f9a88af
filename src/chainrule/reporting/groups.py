"""Runs that differ in nothing but the seed, as a page shows them: their name, colour and what they measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean
from typing import Any

from chainrule.comparing.groups import grouped
from chainrule.errors import ConfigError
from chainrule.intervals import mean_interval, proportion_interval
from chainrule.losses import Loss
from chainrule.network import Network
from chainrule.reporting.blocks import Interval
from chainrule.reporting.sources import Subject
from chainrule.runs.run import Run
from chainrule.training.measure import Row
from chainrule.training.metrics import bounds


@dataclass(frozen=True, eq=False)
class Group:
    """subjects: by seed. colour: a number, the same in every figure."""

    name: str
    subjects: tuple[Subject, ...]
    colour: int

    @property
    def finished(self) -> list[Run]:
        """Those that have ended."""
        return [one.run for one in self.subjects if one.run is not None]

    @property
    def first(self) -> Subject:
        """The one shown where one must stand for all: the lowest seed, of those that have ended if any has."""
        return next((one for one in self.subjects if one.run is not None), self.subjects[0])

    @property
    def network(self) -> Network | None:
        """Sized; known when a run has ended."""
        return self.finished[0].model.network if self.finished else None


def groups_of(subjects: Sequence[Subject]) -> list[Group]:
    """In the order in which they were named. Raises a ConfigError for a run that is there twice."""
    found = grouped([(one.name, one) for one in subjects])
    for name, runs in found:
        if len({one.config.training.seed for one in runs}) < len(runs):
            raise ConfigError(f"{name}: two runs have the same seed and configuration; a run counts once")
    return [
        Group(name, tuple(sorted(runs, key=lambda one: one.config.training.seed)), colour)
        for colour, (name, runs) in enumerate(found)
    ]


def metrics_of(rows: Sequence[Row]) -> list[str]:
    """The names of what histories measured, without their part, the loss first."""
    found = dict.fromkeys(
        name.partition("_")[2] for row in rows for name in row if name.startswith(("train_", "validation_"))
    )
    return list(found)


def part_of(rows: Sequence[Row]) -> str:
    """The part whose metrics judge: validation, or train where there are no validation rows."""
    return "validation" if any("validation_loss" in row for row in rows) else "train"


def last_rows(group: Group) -> list[Row]:
    """What each run came to: the row of the model kept, or the last row so far."""
    rows = (one.run.metrics["model"] if one.run else (one.history or [{}])[-1] for one in group.subjects)
    return [row for row in rows if row]


def main_metric(rows: Sequence[Row]) -> str:
    """Accuracy, label accuracy or root mean squared error: the first that is no loss."""
    names = metrics_of(rows)
    return next((name for name in names if name != "loss"), "loss")


def over_seeds(group: Group, column: str) -> tuple[float, Interval | None] | None:
    """Mean and Student's interval over runs, which one run has not; None where nothing finite was measured."""
    rows = last_rows(group)
    losses = [one.run.model.loss if one.run else one.config.loss for one in group.subjects]
    values = [row[column] for row in rows if isinstance(row.get(column), (int, float)) and isfinite(row[column])]
    if not values:
        return None
    return fmean(values), interval(values, column, losses)


def interval(values: Sequence[float], column: str, losses: Sequence[Loss | None]) -> Interval | None:
    """Student's interval of a metric over runs, within its bounds; None for one run."""
    return Interval(*mean_interval(values, bounds(column, losses))[1:]) if len(values) > 1 else None


def over_rows(group: Group, column: str, mean: float) -> Interval | None:
    """Wilson's interval over the rows, for an accuracy of rows that all count alike."""
    if not column.endswith("_accuracy") or column.endswith("label_accuracy") or not group.finished:
        return None
    part = column.partition("_")[0]
    counted: dict[str, Any] = group.finished[0].metrics["rows"]
    return Interval(*proportion_interval(mean, counted[part])) if part == "validation" and counted[part] else None
