"""What a page is about: runs, finished or not, and studies, read from their directories."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from os.path import commonpath
from pathlib import Path
from typing import Any

from chainrule.comparing.groups import folders
from chainrule.data import Dataset
from chainrule.errors import ConfigError, DamagedError, DataError
from chainrule.runs.directory import CONFIG, ENVIRONMENT, HISTORY, METRICS
from chainrule.runs.named import unfinished
from chainrule.runs.run import Given, Run, load_run, read_given
from chainrule.runs.sealed import MANIFEST
from chainrule.spec import from_plain
from chainrule.study.conduct import STUDY
from chainrule.training.config import Config, DataOptions
from chainrule.training.measure import Row


@dataclass(frozen=True, eq=False)
class Subject:
    """A run as far as it has come. run: None while it has not ended. directory: None for one in memory alone."""

    name: str
    directory: Path | None
    config: Config
    history: Sequence[Row]
    environment: dict[str, Any]
    run: Run | None


@dataclass(frozen=True)
class Source:
    """What was asked for: runs, or the directory of a study."""

    name: str
    runs: tuple[Subject, ...] = ()
    study: Path | None = None


def sources(asked: Sequence[Path | str | Run]) -> list[Source]:
    """Each of `asked`: a run directory, a folder of seed-* directories, a study's directory, or a run in memory."""
    if not asked:
        raise ConfigError("nothing to report on; name runs, folders of seed-* runs, or studies")
    paths = [one.directory if isinstance(one, Run) else Path(one) for one in asked]
    known = [path for path in paths if path is not None]
    told = short_names([*map(str, known), *(name for path in known for name, _ in folders(path))]) if known else {}
    return [_source(one, path, told) for one, path in zip(asked, paths, strict=True)]


def short_names(paths: Sequence[str]) -> dict[str, str]:
    """Each path without the folders that all have in common, so that a page is the same wherever its runs lie.

    >>> short_names(["runs/wide", "runs/wide/seed-0", "runs/deep"])
    {'runs/wide': 'wide', 'runs/wide/seed-0': 'wide/seed-0', 'runs/deep': 'deep'}
    """
    whole = {path: Path(path).absolute() for path in paths}
    above = Path(commonpath([one.parent for one in whole.values()]))
    return {path: one.relative_to(above).as_posix() for path, one in whole.items()}


def _source(asked: Path | str | Run, path: Path | None, told: Mapping[str, str]) -> Source:
    if isinstance(asked, Run):
        name = "run" if path is None else told[str(path)]
        return Source(name, (Subject(name, path, asked.config, asked.history, asked.environment, asked),))
    assert path is not None  # noqa: S101
    if (path / STUDY).is_file():
        return Source(told[str(path)], study=path)
    return Source(told[str(path)], tuple(subject(told[name], folder) for name, folder in folders(path)))


def subject(name: str, directory: Path) -> Subject:
    """The run in `directory`, finished or not.

    Raises a ConfigError where there is none, a DamagedError where it is not as it was written.
    """
    if (directory / MANIFEST).is_file() or not (directory / CONFIG).is_file():
        run = load_run(directory)
        return Subject(name, directory, run.config, run.history, run.environment, run)
    if (directory / METRICS).is_file():
        raise unfinished(directory)
    try:
        config = from_plain(Config, tomllib.loads((directory / CONFIG).read_text(encoding="utf-8-sig")))
        about = json.loads(_text(directory / ENVIRONMENT) or "{}")
        history = [json.loads(line) for line in _whole_lines(directory / HISTORY)]
    except ValueError as error:
        raise DamagedError(f"{directory} is not a run of this version: {error}") from None
    if not isinstance(about, dict):
        raise DamagedError(f"{directory / ENVIRONMENT} holds no table; the run is damaged, or another program's.")
    for i, row in enumerate(history):
        if not isinstance(row, dict) or not isinstance(row.get("step"), int):
            raise DamagedError(
                f"{directory / HISTORY}: row {i + 1} has no step; the run is damaged, or another program's."
            )
    return Subject(name, directory, config, history, about, None)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _whole_lines(path: Path) -> list[str]:
    """Lines that have their end: the last one may be in writing."""
    return _text(path).split("\n")[:-1]


def data_of(one: Subject, given: Given) -> tuple[Dataset | None, str]:
    """The data that the run was trained on, or None and why they cannot be had.

    Raises a DataError where data were given and are others.
    """
    trained_on = one.environment.get("data_sha256")
    if given is not None:
        given = given if isinstance(given, Dataset) else _read(given, one.config.data)
        if given.digest != trained_on:
            raise DataError(
                f"{given.name}: these are not the data that {one.name} was trained on; their digest differs."
            )
        return given, ""
    try:
        data = _read(None, one.config.data)
    except DataError as error:
        return None, str(error)
    if data.digest != trained_on:
        return None, f"{data.name} is not what it was when the run was trained: its digest has changed."
    return data, ""


@lru_cache(maxsize=2)
def _read(source: str | None, options: DataOptions) -> Dataset:
    return read_given(source, options)
