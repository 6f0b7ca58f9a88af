"""Train a network, and the run that it leaves: in memory, and in a directory."""

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w
from pydantic_core import PydanticSerializationError

from chainrule.backends import Compute
from chainrule.data import Dataset, Split, read
from chainrule.data.dataset import Origin
from chainrule.data.preprocessing import Kind
from chainrule.errors import ConfigError, DamagedError, DataError
from chainrule.losses import AnyLoss
from chainrule.network import Network, own_layers
from chainrule.optim import Adam, AnyOptimizer, AnySchedule, Constant
from chainrule.spec import to_plain
from chainrule.training.config import Config, DataOptions, Evaluation, NetworkOptions, Training, load
from chainrule.runs.environment import environment
from chainrule.runs.files import read_json, write, write_json
from chainrule.runs.hooks import Hook
from chainrule.training.loop import Fit, fit
from chainrule.training.measure import Row
from chainrule.runs.model import Model, load_model
from chainrule.training.plan import Plan, plan

LAYOUT = ("config.toml", "environment.json", "history.jsonl", "metrics.json", "best", "model")
"""Names in a run directory. `--overwrite` removes these and nothing else."""


_PYTHON = "python:"


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run. model: as chosen by `evaluation.keep`. best: of the best row, or None without validation rows."""

    config: Config
    model: Model
    best: Model | None
    history: list[Row]
    metrics: dict[str, Any]
    environment: dict[str, Any]
    directory: Path | None = None

    def __repr__(self) -> str:
        shown = [f"{name} {value:.4f}" for name, value in self.metrics["model"].items() if isinstance(value, float)]
        return f"Run({self.model.network!r}; {self.metrics['steps']:,} steps; {', '.join(shown)})"


def train(
    network: Network,
    data: Dataset,
    *,
    loss: AnyLoss | None = None,
    optimizer: AnyOptimizer = Adam(),  # noqa: B008
    schedule: AnySchedule = Constant(),  # noqa: B008
    training: Training = Training(),  # noqa: B008
    evaluation: Evaluation = Evaluation(),  # noqa: B008
    compute: Compute = Compute(),  # noqa: B008
    split: Split = Split(),  # noqa: B008
    preprocessing: Kind = "standardise",
    standardise_target: bool = True,
    output: Path | str | None = None,
    overwrite: bool = False,
    hooks: Sequence[Hook] = (),
) -> Run:
    """Train `network` on `data`; the options are those of the configuration, section by section.

    output: a directory for the run's files, new or empty unless `overwrite`; None keeps the run in memory.
    Raises ConfigError and DataError before any training, DivergenceError when the loss stops being finite.

    >>> from chainrule import mlp, read
    >>> run = train(mlp([16]), read("digits"), training=Training(epochs=2))
    >>> sorted(run.history[-1])[:3]
    ['batch_loss', 'epoch', 'gradient_norm']
    """
    config = Config(
        DataOptions(
            **asdict(data.origin or Origin(f"{_PYTHON}{data.name}")),
            split=split,
            preprocessing=preprocessing,
            standardise_target=standardise_target,
        ),
        NetworkOptions(layers=network.layers),
        loss,
        optimizer,
        schedule,
        training,
        evaluation,
        compute,
    )
    return train_config(config, output, network=network, data=data, overwrite=overwrite, hooks=hooks)


def train_config(
    config: Config,
    output: Path | str | None = None,
    *,
    network: Network | None = None,
    data: Dataset | None = None,
    overwrite: bool = False,
    hooks: Sequence[Hook] = (),
    track: Callable[[range], Iterable[int]] = iter,
) -> Run:
    """Train what `config` describes; `network` and `data`, where given, stand in for its own. See `train`."""
    directory = None if output is None else Path(output)
    if directory is not None:
        check_free(directory, overwrite)
    data = read_data(config.data) if data is None else data
    decided = plan(config, data, config.network.build() if network is None else network)
    about = environment(decided.backend, data.digest)
    if directory is not None:
        directory, recorder = open_directory(directory, decided, about)
        hooks = (recorder, *hooks)
    for hook in hooks:
        hook.started(decided)

    def on_row(row: Row) -> None:
        for hook in hooks:
            hook.logged(row)

    run = _finish(decided, about, fit(decided, on_row, track), directory)
    for hook in hooks:
        hook.finished(run)
    return run


def read_data(options: DataOptions) -> Dataset:
    """The data set that the options name."""
    if options.source.startswith(_PYTHON):
        raise DataError(
            f"{options.source.removeprefix(_PYTHON)}: the run was trained on data given in Python, which its directory "
            "does not hold; pass the data again (data=..., or --data with a file)."
        )
    return read(options.source, path=options.path, target=options.target, task=options.task,
                image_size=options.image_size)  # fmt: skip


def load_run(directory: Path | str) -> Run:
    """The run in `directory`. Raises a DamagedError when it is none, or a part is missing."""
    directory = Path(directory)
    if not (directory / "config.toml").is_file():
        raise DamagedError(f"{directory} is no run directory: it has no config.toml. Name what `train --output` wrote.")
    if not (directory / "metrics.json").is_file():
        raise DamagedError(f"{directory} holds a run that did not finish: it has no metrics.json. Train it again.")
    try:
        history = [json.loads(line) for line in (directory / "history.jsonl").read_text(encoding="utf-8").splitlines()]
        config = load(directory / "config.toml")
    except (OSError, ValueError) as error:
        raise DamagedError(f"{directory}: {error}") from None
    best = load_model(directory / "best") if (directory / "best").is_dir() else None
    metrics, about = _facts(directory / "metrics.json", "model"), _facts(directory / "environment.json", "data_sha256")
    return Run(config, load_model(directory / "model"), best, history, metrics, about, directory)


def _facts(path: Path, needed: str) -> dict[str, Any]:
    facts = read_json(path)
    if not isinstance(facts, dict) or needed not in facts:
        raise DamagedError(f"{path} has no entry {needed!r}; expected what `train` wrote.")
    return facts


def check_free(directory: Path, overwrite: bool) -> None:
    """Raise a ConfigError for an output directory that is not free to write in."""
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"output {directory} is a file; name a directory")
    if directory.is_dir() and any(directory.iterdir()) and not overwrite:
        raise ConfigError(
            f"output {directory} is not empty; name another directory, or give --overwrite to replace its run"
        )


def open_directory(directory: Path, decided: Plan, about: dict[str, Any]) -> tuple[Path, "Recorder"]:
    """Write what is known before the first step."""
    try:
        text = tomli_w.dumps(to_plain(decided.config))
    except PydanticSerializationError:
        own = [type(layer).__name__ for layer in own_layers(decided.network.layers)]
        raise ConfigError(
            f"layers {', '.join(own)} are your own classes, which a run directory cannot name; train with output=None"
        ) from None
    directory.mkdir(parents=True, exist_ok=True)
    for name in LAYOUT:
        path = directory / name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    write(directory / "config.toml", text.encode())
    write_json(directory / "environment.json", about)
    return directory, Recorder(directory / "history.jsonl")


@dataclass(frozen=True)
class Recorder(Hook):
    """Appends each row of history to `history.jsonl`."""

    path: Path

    def logged(self, row: Row) -> None:
        """One JSON object, one line, on its way to disk at once."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _finish(decided: Plan, about: dict[str, Any], result: Fit, directory: Path | None) -> Run:
    has_validation = len(decided.rows.validation) > 0
    last = _model(decided, result.last)
    best = _model(decided, result.best) if has_validation else None
    kept_best = decided.config.evaluation.keep == "best" and best is not None
    kept = result.best_row if kept_best else result.history[-1]
    shown = ("step", "epoch", *(name for name in kept if name.startswith(("train_", "validation_"))))
    metrics = {
        "kept": "best" if kept_best else "last",
        "monitor": decided.config.evaluation.monitor,
        "steps": result.history[-1]["step"],
        "seconds": result.history[-1]["seconds"],
        "model": {name: kept[name] for name in shown},
        "best": {name: result.best_row[name] for name in shown} if has_validation else None,
        "rows": {part: len(decided.rows[part]) for part in ("train", "validation", "test")},
    }
    model = best if kept_best and best is not None else last
    if directory is not None:
        model.save(directory / "model")
        if best is not None:
            best.save(directory / "best")
        write_json(directory / "metrics.json", metrics)
    return Run(decided.config, model, best, result.history, metrics, about, directory)


def _model(decided: Plan, parameters: dict[str, Any]) -> Model:
    data = decided.data
    return Model(decided.network, parameters, decided.loss, data.task, decided.preprocessing, decided.target,
                 data.target_names, data.feature_names, data.row_shape)  # fmt: skip
