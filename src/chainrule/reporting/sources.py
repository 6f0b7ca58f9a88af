"""What a page is about: runs, finished or not, and studies, read from their directories."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from chainrule.comparing.groups import folders
from chainrule.data import Dataset
from chainrule.errors import ConfigError, DamagedError, DataError
from chainrule.runs.directory import CONFIG, ENVIRONMENT, HISTORY
from chainrule.runs.run import Run, load_run, read_data
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
    return [_source(one) for one in asked]


def _source(asked: Path | str | Run) -> Source:
    if isinstance(asked, Run):
        name = "run" if asked.directory is None else str(asked.directory)
        own = Subject(name, asked.directory, asked.config, asked.history, asked.environment, asked)
        return Source(name, (own,))
    path = Path(asked)
    if (path / STUDY).is_file():
        return Source(str(path), study=path)
    return Source(str(path), tuple(subject(name, folder) for name, folder in folders(path)))


def subject(name: str, directory: Path) -> Subject:
    """The run in `directory`. Raises a DamagedError where there is none, or it is not as it was written."""
    if (directory / MANIFEST).is_file() or not (directory / CONFIG).is_file():
        run = load_run(directory)
        return Subject(name, directory, run.config, run.history, run.environment, run)
    try:
        config = from_plain(Config, tomllib.loads((directory / CONFIG).read_text(encoding="utf-8")))
        about = json.loads(_text(directory / ENVIRONMENT) or "{}")
        history = [json.loads(line) for line in _whole_lines(directory / HISTORY)]
    except ValueError as error:
        raise DamagedError(f"{directory} is not a run of this version: {error}") from None
    return Subject(name, directory, config, history, about, None)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _whole_lines(path: Path) -> list[str]:
    """Lines that have their end: the last one may be in writing."""
    return _text(path).split("\n")[:-1]


def data_of(one: Subject, given: Dataset | None) -> tuple[Dataset | None, str]:
    """The data that the run was trained on, or None and why they cannot be had.

    Raises a DataError where data were given and are others.
    """
    trained_on = one.environment.get("data_sha256")
    if given is not None:
        if given.digest != trained_on:
            raise DataError(
                f"{given.name}: these are not the data that {one.name} was trained on; their digest differs."
            )
        return given, ""
    try:
        data = _read(one.config.data)
    except DataError as error:
        return None, str(error)
    if data.digest != trained_on:
        return None, f"{data.name} is not what it was when the run was trained: its digest has changed."
    return data, ""


@lru_cache(maxsize=2)
def _read(options: DataOptions) -> Dataset:
    return read_data(options)
