"""Runs in groups: those whose configurations differ in nothing but the seed; each with its score of every row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import inf
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from chainrule.backends import Compute
from chainrule.comparing.statistics import Scores
from chainrule.data import Dataset, split
from chainrule.errors import ConfigError, DataError
from chainrule.intervals import Bounds, mean_interval, proportion_interval
from chainrule.runs.model import Model
from chainrule.runs.run import Given, Run, load_run, read_given
from chainrule.study.conduct import STUDY, opened, run_folders
from chainrule.study.config import shown
from chainrule.training.config import Checkpoint, Config, DataOptions

SCORES = {"classification": "accuracy", "multilabel": "label_accuracy", "regression": "squared error"}
"""What is compared, a number a row: whether it is right, the share of its labels that are, its squared error."""


@dataclass(frozen=True, eq=False)
class Group:
    """Runs of one configuration. scores (n_seeds, n_rows): of `metric`, a row each; seeds: in the same order."""

    name: str
    metric: str
    part: str
    seeds: tuple[int, ...]
    scores: Scores

    @property
    def greater_is_better(self) -> bool:
        """Whether more is better."""
        return self.metric != "squared error"

    @property
    def bounds(self) -> Bounds:
        """Between what a score lies: shares within [0, 1], squared errors from 0 on."""
        return (0.0, 1.0 if self.greater_is_better else inf)

    def over_seeds(self) -> tuple[float, float, float]:
        """Mean over seeds and rows, and its interval over seeds."""
        return mean_interval(self.scores.mean(axis=1).tolist(), self.bounds)

    def over_rows(self) -> tuple[float, float] | None:
        """Wilson's interval of the mean accuracy over rows; None for what is no share."""
        n = self.scores.shape[1]
        return proportion_interval(float(self.scores.mean()), n) if self.metric == "accuracy" else None


def gather(
    paths: Sequence[Path], part: str = "validation", data: Given = None, database: str | None = None
) -> list[Group]:
    """Groups of the runs at `paths`: run directories, folders of seed-* directories, or studies (their finalists).

    database: of studies whose ledger is not in their directory.
    Raises a ConfigError where the runs were not trained on the same rows of the same data.
    """
    named = [(name, load_run(folder)) for path in paths for name, folder in _runs(path, database)]
    if len(named) < 2:
        raise ConfigError(f"{len(named)} run to compare; name at least two, or a folder that holds seed-* directories")
    check_comparable(named)
    return [scored(name, runs, part, data) for name, runs in grouped(named)]


class Configured(Protocol):
    """What has a configuration: a run, finished or not."""

    @property
    def config(self) -> Config:
        """The resolved configuration."""
        ...


T = TypeVar("T", bound=Configured)


def grouped(named: Sequence[tuple[str, T]]) -> list[tuple[str, list[T]]]:
    """Runs, each with a name, in groups that differ in nothing but the seed, by the name of the first."""
    groups: dict[str, tuple[str, list[T]]] = {}
    for name, run in named:
        groups.setdefault(_identity(run.config), (name, []))[1].append(run)
    return _distinct(groups.values())


def _runs(path: Path, database: str | None) -> list[tuple[str, Path]]:
    """(name of the group, run directory)."""
    if (path / STUDY).is_file():
        _, ledger = opened(path, database)
        finalists = [one for one in ledger.trials() if one.finalist_of is not None and one.state == "finished"]
        ledger.close()
        if not finalists:
            raise ConfigError(f"the study in {path} has no finalists to compare; finish it, or set finalists.n")
        return [(f"{path.name}: {shown(one.params)}", folder) for one in finalists for folder in run_folders(path, one)]
    return folders(path)


def folders(path: Path) -> list[tuple[str, Path]]:
    """(name of the group, run directory) of a run directory or a folder of seed-* directories."""
    inner = sorted(path.glob("seed-*"))
    if inner and not (path / "config.toml").is_file():
        return [(str(path), folder) for folder in inner]
    return [(str(path.parent) if path.name.startswith("seed-") else str(path), path)]


def _identity(config: Config) -> str:
    """The configuration but for its seed and what decides no figure; written out, as own layers cannot be plain."""
    training = replace(config.training, seed=0)
    return repr(replace(config, training=training, checkpoint=Checkpoint(), compute=Compute()))


def _distinct(groups: Iterable[tuple[str, list[T]]]) -> list[tuple[str, list[T]]]:
    """Two configurations under one name, because their runs lie in one folder, are told apart by a number."""
    found: list[tuple[str, list[T]]] = []
    for name, runs in groups:
        n = sum(one.partition(" #")[0] == name for one, _ in found)
        found.append((f"{name} #{n + 1}" if n else name, runs))
    return found


def check_comparable(named: Sequence[tuple[str, Run]]) -> None:
    """Raise a ConfigError unless all runs were trained on the same rows of the same data."""
    for name, run in named[1:]:
        _check_pair(*named[0], name, run)


def _check_pair(name: str, run: Run, other_name: str, other: Run) -> None:
    if run.environment["data_sha256"] != other.environment["data_sha256"]:
        raise ConfigError(f"{name} and {other_name} were trained on different data; they cannot be compared")
    if run.config.data.split != other.config.data.split:
        raise ConfigError(
            f"{name} and {other_name} part their data otherwise, {run.config.data.split} and "
            f"{other.config.data.split}, so one was trained on rows that the other is judged by; train them with the "
            "same data.split"
        )


def scored(name: str, runs: Sequence[Run], part: str, data: Given = None) -> Group:
    """The runs of one configuration with the score of each row; their own data are read unless given."""
    own = data if isinstance(data, Dataset) else _read(data, runs[0].config.data)
    if own.digest != runs[0].environment["data_sha256"]:
        raise DataError(f"{own.name}: these are not the data that {name} was trained on; their digest differs.")
    rows = split(own, runs[0].config.data.split)[part]
    if len(rows) < 2:
        held = f"{len(rows) or 'no'} {part} row{'' if len(rows) == 1 else 's'}"
        raise DataError(f"{own.name}: the split has {held} to compare runs on; at least 2 are needed.")
    ordered = sorted(runs, key=lambda run: run.config.training.seed)
    seeds = tuple(run.config.training.seed for run in ordered)
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"{name}: two runs have the same seed and configuration; a run counts once")
    scores = np.stack([score_rows(run.model, own.take(rows), own.y[rows]) for run in ordered])  # (n_seeds, n_rows)
    return Group(name, SCORES[runs[0].model.task], part, seeds, scores)


def score_rows(model: Model, X: Any, y: Any) -> Scores:
    """The score of each row, (n_rows,)."""
    p = model.scores(X)
    if model.task == "classification":
        return np.asarray(p.argmax(axis=1) == y, dtype=np.float64)
    y = y.reshape(len(y), -1)  # (n_rows, n_out)
    if model.task == "multilabel":
        return np.asarray(((p >= 0.5) == y).mean(axis=1), dtype=np.float64)
    return np.asarray(((p.reshape(len(p), -1) - y) ** 2).mean(axis=1), dtype=np.float64)


@lru_cache(maxsize=1)
def _read(source: str | None, options: DataOptions) -> Dataset:
    return read_given(source, options)
