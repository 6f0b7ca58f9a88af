"""The model that a training starts from, found again wherever the run goes on; and a run decided, with its start."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chainrule.data import Dataset
from chainrule.data.streaming import Shards
from chainrule.errors import ConfigError
from chainrule.network import Network
from chainrule.runs.directory import START
from chainrule.runs.model import Model, find_model, load_model
from chainrule.runs.run import PYTHON, training_data
from chainrule.training.config import Config, NetworkOptions, Start, load
from chainrule.training.initial import Initial
from chainrule.training.plan import Plan, plan


def starting(config: Config, start: Model | Path | str | None) -> Config:
    """`config` for a training from `start`: a model, or the directory of one or of a run."""
    if start is None:
        return config
    if isinstance(start, Model):
        return replace(config, start=Start(PYTHON, start.digest))
    return replace(config, start=Start(str(start)))


def configured(path: Path | None, changes: Sequence[str] = ()) -> Config:
    """`load`; but a run's own configuration starts from the copy that the run keeps, wherever the model is now."""
    config = load(path, changes)
    copy = None if path is None else path.parent / START
    named = any(change.partition("=")[0].split(".")[0].strip() == "start" for change in changes)
    if config.start is None or copy is None or named or not copy.is_dir():
        return config
    kept = config.start.sha256 == load_model(copy).digest
    return replace(config, start=Start(str(copy), config.start.sha256)) if kept else config


def planned(config: Config, data: Dataset | Shards | None = None, network: Network | None = None,
            start: Model | None = None, directory: Path | None = None,
            initial: Initial | None = None, *, ranks: int = 1) -> Plan:  # fmt: skip
    """Decide the run of `config`; `data`, `network` and `start`, where given, stand in for its own.

    directory: of the run, which holds a copy of its start. initial: arrays that it goes on from instead.
    ranks: see `plan`. Raises ConfigError, DataError and DamagedError.
    """
    data = training_data(config.data) if data is None else data
    if config.start is None:
        return plan(config, data, config.network.build() if network is None else network, initial, ranks=ranks)
    named = config.start
    model = _found(named, start, directory)
    if (model.task, model.target_names) != (data.task, data.target_names):
        raise ConfigError(
            f"the start's outputs are {model.task} of {_few(model.target_names)}, those of {data.name} are {data.task} "
            f"of {_few(data.target_names)}; start from a model for these targets, such as from_torch(module, data)"
        )
    if model.feature_names and data.feature_names and model.feature_names != data.feature_names:
        raise ConfigError(
            f"the start's columns are {_few(model.feature_names)}, those of {data.name} are "
            f"{_few(data.feature_names)}; bring the columns into the start's order"
        )
    if network is None and config.network == NetworkOptions():
        network = model.network
        config = replace(config, network=NetworkOptions(layers=network.layers))
    loss: Any = config.loss or model.loss
    config = replace(config, start=Start(named.model, model.digest), loss=loss)
    network = config.network.build() if network is None else network
    return plan(config, data, network, Initial(model.parameters, model.preprocessing, model.target), ranks=ranks)


def _found(start: Start, given: Model | None, directory: Path | None) -> Model:
    """The model with the digest that `start` names: the one given, the run's copy, or the one at its path."""
    if given is None and directory is not None and (directory / START).is_dir():
        copy = load_model(directory / START)
        given = copy if start.sha256 in (None, copy.digest) else None
    if given is None:
        if start.model.startswith(PYTHON):
            raise ConfigError(
                "start.model: the run started from a model that was given in Python, which its configuration cannot "
                "name; its copy is in the run directory: --set start.model=RUN/start"
            )
        given = find_model(Path(start.model))
    if start.sha256 not in (None, given.digest):
        raise ConfigError(
            f"start.sha256 is {start.sha256}, but the model at {start.model} has {given.digest}; give the model that "
            "the run started from, or leave sha256 out to start from this one"
        )
    return given


def _few(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:5])}, ... ({len(names)})" if len(names) > 5 else ", ".join(names)
