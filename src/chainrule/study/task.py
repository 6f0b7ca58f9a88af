"""One attempt at one trial, as a worker does it: plain values in, plain values out, an ordinary run in between."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import ceil, isfinite
from pathlib import Path
from typing import Any, Literal

from chainrule.data import Dataset
from chainrule.data.streaming import Shards
from chainrule.errors import ChainruleError, ConfigError, DamagedError
from chainrule.runs import checkpoint
from chainrule.runs.directory import ENVIRONMENT
from chainrule.runs.hooks import Begun, Hook
from chainrule.runs.run import Run, training_data
from chainrule.runs.seeds import train_alike, train_seeds
from chainrule.spec import from_plain, to_plain
from chainrule.training.config import Config, DataOptions
from chainrule.training.measure import Row as HistoryRow
from chainrule.training.plan import Plan, columns


@dataclass(frozen=True)
class Task:
    """What a worker is given. config: plain. directory: of this attempt. earlier: that of the attempt before it.

    others: tasks of the same kind, all new, that may share its steps.
    """

    trial: int
    attempt: int
    config: dict[str, Any]
    seeds: int
    metric: str
    directory: str
    earlier: str | None = None
    others: tuple["Task", ...] = ()

    @property
    def all(self) -> tuple["Task", ...]:
        """Itself and the others."""
        return (self, *self.others)


@dataclass(frozen=True)
class Row:
    """The first seed's metric at row `index` (from 1) of its history, after so many epochs."""

    trial: int
    attempt: int
    index: int
    value: float
    epochs: float


@dataclass(frozen=True)
class Ended:
    """What came of an attempt. values: the metric, a seed each. "lost": the worker died, or has not been heard of."""

    trial: int
    attempt: int
    outcome: Literal["finished", "pruned", "failed", "lost"]
    reason: str | None = None
    values: tuple[float, ...] = ()
    epochs: float = 0.0
    seconds: float = 0.0
    environment: dict[str, Any] | None = None


Event = Row | Ended


class _StopHere(Exception):  # noqa: N818
    """The coordinator has asked to stop."""


class _Reporter(Hook):
    def __init__(self, task: Task, report: Callable[[Row], None], stop: Callable[[], bool]) -> None:
        self.task, self.report, self.stop = task, report, stop
        self.begun, self.every, self.epochs = 0, 1, 0.0

    def started(self, begun: Begun) -> None:
        """Seeds that are trained one after the other begin one after the other; the first of them is judged.

        Rows before a checkpoint are reported again: what was told of them may have been lost with the process.
        """
        _check_metric(self.task.metric, begun.plan)
        self.begun, self.every = self.begun + 1, begun.plan.every
        for row in begun.history:
            self.logged(row)

    def logged(self, row: HistoryRow) -> None:
        """Report the row; stop where that was asked for."""
        self.epochs = row["epoch"]
        if self.begun == 1 and self.task.metric in row:
            index = ceil(row["step"] / self.every)
            self.report(Row(self.task.trial, self.task.attempt, index, row[self.task.metric], row["epoch"]))
        if self.stop():
            raise _StopHere


def _check_metric(metric: str, plan: Plan) -> None:
    known = columns(plan.config.evaluation, plan.metrics)
    known = [one for one in known if plan.sizes["validation"] or not one.startswith("validation_")]
    if metric not in known:
        raise ConfigError(f"search.metric {metric!r} is no column of the history; expected one of {', '.join(known)}")


def perform_all(task: Task, report: Callable[[Row], None], stop: Callable[[], bool]) -> list[Ended]:
    """The task and those that came with it: together where their steps can be shared, else one after the other."""
    if not task.others:
        return [perform(task, report, stop)]
    try:
        runs = _together(task.all, report, stop)
    except (ChainruleError, OSError, MemoryError, ArithmeticError):
        runs = None  # of one of them; each is told apart below, and goes on from its own checkpoint
    if runs is None:
        return [perform(one, report, stop) for one in task.all]
    return [_finished(one, [run]) for one, run in zip(task.all, runs, strict=True)]


def _together(tasks: Sequence[Task], report: Callable[[Row], None], stop: Callable[[], bool]) -> list[Run] | None:
    configs = [from_plain(Config, one.config) for one in tasks]
    folders = [Path(one.directory) / f"seed-{config.training.seed}" for one, config in zip(tasks, configs, strict=True)]
    data = _data(json.dumps(to_plain(configs[0].data)))
    return train_alike(configs, folders, data, [(_Reporter(one, report, stop),) for one in tasks])


def perform(task: Task, report: Callable[[Row], None], stop: Callable[[], bool]) -> Ended:
    """Train, from the checkpoint of the attempt before where there is one. Errors become an outcome with a reason."""
    reporter, directory = _Reporter(task, report, stop), Path(task.directory)
    try:
        config = from_plain(Config, task.config)
        if task.earlier is not None:
            inherit(Path(task.earlier), directory)
        data = _data(json.dumps(to_plain(config.data)))
        runs = _trained(config, task, directory, data, reporter)
    except _StopHere:
        begun = len(list(directory.glob("seed-*")))  # seeds that are stacked have come as far as the first
        return Ended(task.trial, task.attempt, "pruned", epochs=begun * reporter.epochs, environment=_environment(task))
    except (ChainruleError, OSError, MemoryError, ArithmeticError) as error:
        reason = f"{type(error).__name__}: {error}"
        return Ended(task.trial, task.attempt, "failed", reason, epochs=reporter.epochs, environment=_environment(task))
    return _finished(task, runs)


def _finished(task: Task, runs: Sequence[Run]) -> Ended:
    values = tuple(float(run.metrics["model"].get(task.metric, float("nan"))) for run in runs)
    epochs = sum(run.history[-1]["epoch"] for run in runs)
    seconds = sum(run.metrics["seconds"] for run in runs)
    bad = next((value for value in values if not isfinite(value)), None)
    if bad is not None:
        reason = f"{task.metric} is {bad}; expected a finite number"
        return Ended(task.trial, task.attempt, "failed", reason, (), epochs, seconds, runs[0].environment)
    return Ended(task.trial, task.attempt, "finished", None, values, epochs, seconds, runs[0].environment)


def _trained(config: Config, task: Task, directory: Path, data: Dataset | Shards, reporter: _Reporter) -> list[Run]:
    how: dict[str, Any] = {"data": data, "hooks": (reporter,), "warn": lambda _: None, "inexact": True}
    try:
        return train_seeds(config, task.seeds, directory, resume=True, **how)
    except DamagedError:  # nothing of the earlier attempt is sound
        return train_seeds(config, task.seeds, directory, overwrite=True, **how)


@lru_cache(maxsize=2)
def _data(options: str) -> Dataset | Shards:
    return training_data(from_plain(DataOptions, json.loads(options)))


def _environment(task: Task) -> dict[str, Any] | None:
    for path in sorted(Path(task.directory).glob(f"*/{ENVIRONMENT}")):
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    return None


def inherit(earlier: Path, directory: Path) -> None:
    """Copy the checkpoints of an earlier attempt. Its worker may live and write still: in its own directory alone.

    A checkpoint that goes away while it is copied is left out; one that is torn is found by its hash.
    """
    for folder in sorted(earlier.glob(f"*/{checkpoint.FOLDER}")):
        here = directory / folder.parent.name / checkpoint.FOLDER
        for one in checkpoint.listed(folder.parent):
            try:
                shutil.copytree(folder / one.name, here / one.name)
            except (OSError, shutil.Error):
                shutil.rmtree(here / one.name, ignore_errors=True)


def task(plain: dict[str, Any]) -> Task:
    """The task that `asdict` made plain."""
    return Task(**plain | {"others": tuple(task(one) for one in plain["others"])})


def plain(event: Event) -> dict[str, Any]:
    """An event as JSON can hold it."""
    return {"kind": type(event).__name__.lower()} | asdict(event)


def event(plain: dict[str, Any]) -> Event:
    """The event that `plain` made."""
    rest = {key: value for key, value in plain.items() if key != "kind"}
    return Row(**rest) if plain["kind"] == "row" else Ended(**rest | {"values": tuple(rest["values"])})
