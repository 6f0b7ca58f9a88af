"""Diagnosis of a run by its directory, finished or not: at its newest sound checkpoint, and at its start."""

from collections.abc import Callable
from pathlib import Path
from shlex import quote

from chainrule.data import Dataset
from chainrule.diagnosis import Finding, diagnose
from chainrule.diagnosis.finding import ordered
from chainrule.errors import DamagedError
from chainrule.runs import checkpoint
from chainrule.runs.checkpoint import Saved
from chainrule.runs.directory import CONFIG
from chainrule.runs.named import divergence_in, nothing_at
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
        findings = diagnose(decided, rows, now.state, now.step, progress.history, start, progress.lr_scale)
    return ordered([*_end(directory, now.step), *findings])


def _end(directory: Path, step: int) -> list[Finding]:
    """What its newest checkpoint, of `step`, does not show of a run: that it diverged after it, or has not begun."""
    ended = divergence_in(directory)
    if ended is not None:
        why = (
            "Training ended there, for no step leads back from such numbers. The newest checkpoint is the last finite "
            f"one, of step {step:,}; whatever else is said here is of it."
        )
        return [Finding("diverged", ended.where, ended.measured, why, ended.change, "problem")]
    if step:
        return []
    return [
        Finding(
            "not-begun",
            "",
            "The newest checkpoint is of step 0.",
            "There is nothing of the training to judge yet; only the data and the initial network were looked at.",
            "Diagnose again later; a run that was stopped goes on with: "
            f"chainrule train --resume {quote(str(directory))}",
            "hint",
        )
    ]
