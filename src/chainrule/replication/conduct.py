"""The replication from beginning to end: studies that go on where they were, then figures, verdicts and files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from chainrule.diagnosis.finding import plain
from chainrule.errors import ChainruleError, ConfigError
from chainrule.replication.conclusions import conclusions
from chainrule.replication.experiments import Experiment, experiments, quick
from chainrule.replication.first_questions import gradients, overfitting
from chainrule.replication.measured import Measured, measured
from chainrule.replication.page import composed
from chainrule.reporting.blocks import Page
from chainrule.reporting.figures import save
from chainrule.reporting.markdown import markdown
from chainrule.reporting.page import html
from chainrule.runs.diagnosing import diagnose_run
from chainrule.runs.directory import make
from chainrule.runs.files import format_json, parse_json, write
from chainrule.runs.run import read_data
from chainrule.study.conduct import run_study
from chainrule.study.config import study
from chainrule.study.coordinator import View
from chainrule.study.ledger import ENDED, Trial
from chainrule.study.text import failures
from chainrule.training.config import DataOptions

MARK, RESULTS, PAGE, TEXT, FIGURES = "replication.json", "results.json", "report.html", "README.md", "figures"


def silent(text: str) -> None:
    """Tells no one."""


def replicate(
    output: Path,
    *,
    data: str | None = None,
    in_two_minutes: bool = False,
    seeds: int = 5,
    workers: int = 1,
    tell: Callable[[str], None] = silent,
) -> dict[str, Any]:
    """Run everything in `output`, or go on with it there; safe to repeat. Returns what results.json holds.

    data: where CIFAR-10 is; None looks in the usual places. in_two_minutes: on the digits, narrower and shorter.
    """
    if in_two_minutes and data is not None:
        raise ConfigError(
            f"data {data!r} would not be read: the quick replication is on the digits; leave one of them out"
        )
    _claim(output, {"report": "aml-hw1", "quick": in_two_minutes, "seeds": seeds})
    source: dict[str, Any] = {"source": "digits"} if in_two_minutes else {"source": "cifar10", "path": data}
    asked = [_with_data(one, source) for one in experiments(seeds)]
    asked = [quick(one) for one in asked] if in_two_minutes else asked
    read = read_data(DataOptions(**source))
    found: dict[tuple[str, str], Measured] = {}
    for one in asked:
        n = len(one.networks)
        tell(f"{one.title}: {n} network{'s' if n > 1 else ''}, {one.seeds} seeds each")
        made, folder = study(one.study, one.name), output / one.name
        outcome = run_study(made, folder, workers=workers, resume=True, view=_progress(one, tell))
        if failed := outcome.summary["failures"]:
            raise ChainruleError("\n  ".join([f"{one.title}: a network could not be trained:", *failures(failed)]))
        found |= {(one.name, each.network): each for each in measured(one, output / one.name, read)}
    results = summarised(found, data=read.name, digest=read.digest, tell=tell)
    write(output / RESULTS, format_json(results))
    page = composed(results, found, asked)
    write(output / PAGE, html(page).encode())
    write(output / TEXT, markdown(page, _figures(page, output, tell)).encode())
    return results


def _claim(output: Path, asked: dict[str, Any]) -> None:
    """Raise a ConfigError where the directory holds anything but this replication; else mark it as its own."""
    mark = output / MARK
    if output.exists() and not output.is_dir():
        raise ConfigError(f"output {output} is a file; name a directory")
    if mark.is_file():
        held = parse_json(mark.read_bytes(), mark)
        if held != asked:
            raise ConfigError(f"{output} holds the replication {held}, asked is {asked}; name another directory")
        return
    if output.is_dir() and any(output.iterdir()):
        raise ConfigError(f"output {output} is not empty, and holds no replication; name another directory")
    make(output)
    write(mark, format_json(asked))


def _figures(page: Page, output: Path, tell: Callable[[str], None]) -> dict[str, str]:
    """Files of all figures, for the text; none where matplotlib is not installed."""
    try:
        drawn = save(page, output / FIGURES)
    except ConfigError as error:
        tell(f"no figures as files: {error}")
        return {}
    return {name: path.relative_to(output).as_posix() for name, path in drawn.items()}


def _progress(one: Experiment, tell: Callable[[str], None]) -> View:
    """A line for each network, as its last seed ends."""
    names, told = list(one.networks), set[int]()

    def view(trials: list[Trial], total: int | None) -> None:
        for trial in trials:
            if trial.state in ENDED and trial.number not in told:
                told.add(trial.number)
                came = f"validation {trial.value:.4f}" if trial.value is not None else f"{trial.state}: {trial.reason}"
                tell(f"  {len(told)}/{total} {names[trial.number]}: {came}")

    return view


def _with_data(one: Experiment, source: dict[str, Any]) -> Experiment:
    given = {key: value for key, value in source.items() if value is not None}
    return replace(one, train=dict(one.train) | {"data": dict(one.train["data"]) | given})


def summarised(
    found: dict[tuple[str, str], Measured], data: str, digest: str, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Everything that was measured, as plain values."""
    first = next(iter(found.values()))
    environment = first.runs[0].environment
    return {
        "data": {"name": data, "sha256": digest},
        "environment": {key: environment[key] for key in ("versions", "system", "cpu", "cores", "threads")},
        "gradients": gradients(),
        "toy": overfitting(),
        "diagnosis": _diagnosis(first, tell),
        "networks": [one.plain for one in found.values()],
        "conclusions": [one.plain for one in conclusions(found)],
    }


def _diagnosis(one: Measured, warn: Callable[[str], None]) -> list[dict[str, Any]]:
    """What `diagnose` says of the default network's first seed."""
    return plain(diagnose_run(one.folders[0], warn))
