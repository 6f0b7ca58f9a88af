"""Diagnosis of a run by its directory, finished or not: at its newest sound checkpoint, and at its start."""

from collections.abc import Callable
from pathlib import Path

from chainrule.data import Dataset
from chainrule.diagnosis import Finding, diagnose
from chainrule.errors import DamagedError
from chainrule.runs import checkpoint
from chainrule.runs.checkpoint import Saved
from chainrule.runs.directory import CONFIG
from chainrule.runs.named import nothing_at
from chainrule.runs.start import planned
from chainrule.spec import from_plain
from chainrule.training.config import Config
from chainrule.training.loop import begin
from chainrule.training.step import on_device


def diagnose_run(directory: Path, warn: Callable[[str], None], data: Dataset | None = None) -> tuple[Finding, ...]:
    """Findings about the run in `directory`, most serious first.

    Raises a ConfigError where there is no run, a DamagedError where no checkpoint is sound.
    """
    saved, problems = None, list[str]()
    for found in checkpoint.newest_first(directory):
        if isinstance(found, Saved):
            saved = found
            break
        problems.append(str(found))
    if saved is None:
        if not problems and not (directory / CONFIG).is_file():
            raise nothing_at(directory, "run", CONFIG)
        raise DamagedError(" ".join(problems) or f"{directory} holds no checkpoint to diagnose; train it again.")
    for problem in problems:
        warn(f"{problem} The diagnosis is of {saved.path.name}.")
    config = from_plain(Config, saved.config)
    decided = planned(config, data, directory=directory)
    with decided.backend.scope(), on_device(decided) as rows:
        progress = checkpoint.restore(saved, decided)
        now, start = progress.now, begin(decided).now.state
        return diagnose(decided, rows, now.state, now.step, progress.history, start, progress.lr_scale)
