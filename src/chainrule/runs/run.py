"""A run: what a training leaves, in memory and in a directory."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from chainrule import notebook
from chainrule.data import Dataset
from chainrule.data.streaming import Shards, excerpt, open_data
from chainrule.errors import DamagedError, DataError
from chainrule.runs.card import card
from chainrule.runs.directory import BEST, CONFIG, ENVIRONMENT, HISTORY, METRICS, MODEL
from chainrule.runs.files import format_json, write
from chainrule.runs.integrity import read_run, seal_run
from chainrule.runs.model import Model, load_model
from chainrule.runs.named import nothing_at, unfinished
from chainrule.runs.row_intervals import row_intervals
from chainrule.runs.sealed import MANIFEST
from chainrule.spec import from_plain
from chainrule.text import number
from chainrule.training.config import Config, DataOptions
from chainrule.training.initial import Initial
from chainrule.training.loop import to_host
from chainrule.training.measure import Row
from chainrule.training.plan import Plan
from chainrule.training.position import Progress

Given = Dataset | str | None
"""What someone names in the place of a run's own data: in memory, by name or path, or not at all."""

PYTHON = "python:"
"""Before the name of a data set that was made in Python, in the place of what `read` would take."""


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run. model: as chosen by `evaluation.keep`. best: of the best row, or None without validation rows.

    config: with all that the data decided, as in `config.toml`. history: a row for each look, columns by name,
    `seconds` since the start. metrics: as in `metrics.json`, `seconds` of the whole training. environment:
    versions, hardware, the data's digest. directory: None of a run in memory.
    end: where another training can go on from, of a run in memory.
    """

    config: Config
    model: Model
    best: Model | None
    history: list[Row]
    metrics: dict[str, Any]
    environment: dict[str, Any]
    directory: Path | None = None
    end: Initial | None = None

    def __repr__(self) -> str:
        shown = [f"{name} {value:.4f}" for name, value in self.metrics["model"].items() if isinstance(value, float)]
        return f"Run({self.model.network!r}; {self.metrics['steps']:,} steps; {', '.join(shown)})"

    def _repr_html_(self) -> str:
        kept = self.metrics["model"]
        rows = {f"kept ({self.metrics['kept']})": kept, "best": self.metrics["best"], "last": self.history[-1]}
        cells = [
            [what, *(number(row[name]) if name in row else "" for name in kept)] for what, row in rows.items() if row
        ]
        seed, where = self.config.training.seed, self.directory or "in memory"
        about = f"seed {seed}; {self.metrics['steps']:,} steps in {self.metrics['seconds']:.1f} s; {where}; "
        return notebook.table(repr(self.model.network), ["", *(name.replace("_", " ") for name in kept)], cells,
                              range(1, len(kept) + 1), f"{about}data {self.environment['data_name']}")  # fmt: skip


def training_data(options: DataOptions) -> Dataset | Shards:
    """The data set that the options name, in memory or streamed."""
    if options.source.startswith(PYTHON):
        raise DataError(
            f"{options.source.removeprefix(PYTHON)}: the run was trained on data given in Python, which its directory "
            "does not hold; pass the data again (data=..., or --data with a file)."
        )
    return open_data(options.source, options.stream, path=options.path, target=options.target, task=options.task,
                     image_size=options.image_size, categorical=options.categorical)  # fmt: skip


def read_data(options: DataOptions) -> Dataset:
    """The same, to be looked at: of a streamed set the rows that are held."""
    data = training_data(options)
    return excerpt(data, options.split) if isinstance(data, Shards) else data


def read_given(given: Given, options: DataOptions) -> Dataset:
    """The data given in the place of the run's own: a data set, or what is read as the options have theirs read."""
    if given is None or isinstance(given, Dataset):
        return read_data(options) if given is None else given
    return read_data(replace(options, source=given, path=None))


def finished(decided: Plan, about: dict[str, Any], progress: Progress, directory: Path | None = None,
             checkpoints: dict[str, Any] | None = None) -> Run:  # fmt: skip
    """The run that has come to its end at `progress`."""
    has_validation = len(decided.rows.validation) > 0
    history = progress.history
    last = model_of(decided, to_host(decided, progress.now.state.parameters))
    best_parameters = to_host(decided, progress.best or {})
    best = model_of(decided, best_parameters) if has_validation else None
    kept_best = decided.config.evaluation.keep == "best" and best is not None
    best_row = history[progress.best_row]
    kept = best_row if kept_best else history[-1]
    shown = ("step", "epoch", *(name for name in kept if name.startswith(("train_", "validation_"))))
    metrics = {
        "kept": "best" if kept_best else "last",
        "monitor": decided.config.evaluation.monitor,
        "steps": history[-1]["step"],
        "seconds": history[-1]["seconds"],
        "model": {name: kept[name] for name in shown},
        "best": {name: best_row[name] for name in shown} if has_validation else None,
        "rows": decided.sizes,
        "setbacks": [setback._asdict() for setback in progress.setbacks],
        "checkpoints": checkpoints,
    }
    model = best if kept_best and best is not None else last
    best_intervals = row_intervals(decided, best_parameters, best_row) if best_parameters else None
    same = kept_best or best_row is history[-1]
    kept_intervals = best_intervals if same and best_parameters else row_intervals(decided, last.parameters, kept)
    metrics["intervals"] = {"model": kept_intervals, "best": best_intervals if has_validation else None}
    end = None if directory else _end(decided, model, progress)
    return Run(decided.config, model, best, list(history), metrics, about, directory, end)


def _end(decided: Plan, model: Model, progress: Progress) -> Initial:
    slots = {name: tuple(map(decided.backend.numpy, held)) for name, held in progress.now.state.slots.items()}
    return Initial(model.parameters, decided.preprocessing, decided.target, slots, decided.updates(progress.now.step))


def model_of(decided: Plan, parameters: Mapping[str, NDArray[Any]]) -> Model:
    """The network with these parameters, and all else of the plan that predicting needs."""
    data = decided.data
    return Model(decided.network, dict(parameters), decided.loss, data.task, decided.preprocessing, decided.target,
                 data.target_names, data.feature_names, data.row_shape)  # fmt: skip


def save_run(run: Run) -> None:
    """Write what a run that has ended adds to its directory; the manifest comes last and marks it as finished."""
    if run.directory is not None:
        run.model.save(run.directory / MODEL, card(run, "model"))
        if run.best is not None:
            run.best.save(run.directory / BEST, card(run, "best"))
        write(run.directory / METRICS, format_json(run.metrics))
        seal_run(run.directory)


def load_run(directory: Path | str) -> Run:
    """The finished run in `directory`, every file checked.

    Raises a ConfigError where there is no run, a DamagedError where it did not finish or is not as it was written.

    >>> from tempfile import mkdtemp
    >>> from chainrule import mlp, read, train
    >>> run = train(mlp([16]), read("digits"), output=Path(mkdtemp()) / "run")
    >>> load_run(run.directory).history == run.history
    True
    """
    directory = Path(directory)
    if not (directory / CONFIG).is_file() and not (directory / MANIFEST).is_file():
        raise nothing_at(directory, "run", CONFIG)
    if not (directory / MANIFEST).is_file():
        raise unfinished(directory)
    files = read_run(directory)
    best = load_model(directory / BEST) if f"{BEST}/{MANIFEST}" in files else None
    try:
        config = from_plain(Config, tomllib.loads(files[CONFIG].decode()))
        history = [json.loads(line) for line in files[HISTORY].splitlines()]
        metrics, about = json.loads(files[METRICS]), json.loads(files[ENVIRONMENT])
        if not isinstance(metrics, dict) or "model" not in metrics or "data_sha256" not in dict(about):
            raise ValueError(f"{METRICS} or {ENVIRONMENT} lacks what is needed")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedError(f"{directory} is not a run of this version: {error}") from None
    return Run(config, load_model(directory / MODEL), best, history, metrics, about, directory)
