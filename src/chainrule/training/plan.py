"""Everything about a run that is decided before the first step; all bad input is refused here."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.backends import ALONE, Backend, World, choose
from chainrule.backprop import Part
from chainrule.data import Affine, Batches, Dataset, Preprocessing, Rows, split
from chainrule.data.preprocessing import fit, fit_target, identity, settled
from chainrule.errors import ConfigError, DataError
from chainrule.losses import Huber, Loss, Poisson, SquaredError, default_loss
from chainrule.network import Network
from chainrule.seeds import stream
from chainrule.training.config import Config, with_seed
from chainrule.training.initial import Initial
from chainrule.training.metrics import names
from chainrule.training.tables import notes_on_table, with_embedding

BATCH_SIZE = 128
"""Where the configuration says nothing."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A run before it starts: the sized network, rows of each part, fitted preprocessing, backend and lengths.

    X: all rows as they go to the device. train_sample: the training rows on which training metrics are computed.
    notes: what the user should know. start: what the run goes on from, or None. world: the processes that share every
    batch.
    """

    config: Config
    network: Network
    data: Dataset
    X: NDArray[Any]
    rows: Rows
    loss: Loss
    preprocessing: Preprocessing
    target: Affine
    backend: Backend
    batches: Batches
    n_steps: int
    every: int
    metrics: tuple[str, ...]
    train_sample: NDArray[np.int64]
    notes: tuple[str, ...]
    start: Initial | None = None
    world: World = ALONE

    @cached_property
    def targets(self) -> NDArray[Any]:
        """What the loss is given for every row: labels (n_rows,), or numbers (n_rows, n_out), standardised if asked."""
        if self.data.task == "classification":
            return self.data.y
        y = self.data.y.reshape(len(self.data.y), -1)  # (n_rows, n_out)
        return np.asarray(self.target(y)) if self.data.task == "regression" else y

    def lr(self, step: int) -> float:
        """The learning rate of `step`."""
        config = self.config
        return config.optimizer.lr * config.schedule.factor(step, self.n_steps, self.batches.per_epoch)

    def updates(self, step: int) -> int:
        """How many updates the optimiser's slots have seen before `step`."""
        return step + (self.start.step if self.start else 0)

    def part(self, step: int) -> Part | None:
        """What this process has of the batch of `step`, or None where it has all of it."""
        return self.world.part(self.batches.n_rows(step))

    def due(self, step: int) -> bool:
        """Whether a row of the history follows `step`."""
        return (step + 1) % self.every == 0 or step + 1 == self.n_steps


def plan(config: Config, data: Dataset, network: Network, start: Initial | None = None) -> Plan:
    """Decide a run of `config` on `data`. Raises ConfigError and DataError, all before any training.

    start: arrays to go on from, with the preprocessing that they were trained on.
    """
    loss = config.loss or default_loss(data.task)
    if loss.task != data.task:
        raise ConfigError(f"loss {loss.kind!r} is for {loss.task}, but the targets of {data.name} are {data.task}")
    if isinstance(loss, Poisson) and (data.y < 0).any():
        row = int(np.argmax((data.y.reshape(len(data.y), -1) < 0).any(axis=1)))
        raise DataError(
            f"{data.name}: the target at row {row} is negative; the Poisson loss is for counts of at least 0."
        )
    config.data.augment.check(data.row_shape)
    rows = split(data, config.data.split)
    options, evaluation = config.training, config.evaluation
    kind = settled(config.data.preprocessing, data)
    preprocessing = fit(kind, data, rows.train) if start is None else start.prepares(data)
    network = with_embedding(network, preprocessing, config.data.augment, data)
    network = network.sized(preprocessing.n_out, data.n_outputs)
    batches = Batches(rows.train, _batch_size(config, network, len(rows.train)), options.seed, options.replacement)
    _check_weights(data, rows)
    options = replace(options, batch_size=batches.size)
    prepared = replace(config.data, preprocessing=kind)
    config = replace(config, loss=loss, training=options, data=prepared)  # type: ignore[arg-type]
    n_steps = options.iterations or (options.epochs or 20) * batches.per_epoch
    if start is None:
        target = _target(config, data, rows, loss)
    else:
        start.check(network, config.optimizer)
        target = start.target
    if isinstance(loss, Poisson) and target.shift.any():
        raise ConfigError("loss 'poisson' needs targets as they are, but the start was trained on standardised ones")
    metrics = names(data.task, evaluation.metrics)
    _check_monitor(config, metrics, len(rows.validation))
    sample = _sample(rows.train, evaluation.train_rows, config.data.split.seed)
    backend = choose(config.compute, 3 * network.flops_per_row * batches.size, n_steps, network.n_parameters)
    return Plan(
        config,
        network,
        data,
        preprocessing.on_host(data, backend.host_dtype),
        rows,
        loss,
        preprocessing,
        target,
        backend,
        batches,
        n_steps,
        evaluation.every_steps or (evaluation.every_epochs or 1) * batches.per_epoch,
        metrics,
        sample,
        _notes(data, rows, preprocessing, sample if evaluation.train_metrics else rows.train),
        start,
    )


def _target(config: Config, data: Dataset, rows: Rows, loss: Loss) -> Affine:
    standardised = isinstance(loss, (SquaredError, Huber)) and config.data.standardise_target
    return fit_target(data, rows.train) if standardised else identity(data.n_outputs)


def reseeded(plan: Plan, seed: int, start: Initial | None = None) -> Plan:
    """The same run with another training seed, going on from arrays of its own where `start` gives them."""
    made = replace(plan, config=with_seed(plan.config, seed), batches=replace(plan.batches, seed=seed))
    if start is None:
        return made
    start.check(plan.network, plan.config.optimizer)
    X = start.prepares(plan.data).on_host(plan.data, plan.backend.host_dtype)
    return replace(made, X=X, start=start, preprocessing=start.preprocessing, target=start.target)


def _batch_size(config: Config, network: Network, n_train: int) -> int:
    size = config.training.batch_size or min(BATCH_SIZE, n_train)
    if size > n_train:
        raise ConfigError(
            f"training.batch_size {size} is more than the {n_train} training rows; set it to at most {n_train}"
        )
    if size == 1 and any(parameter.role == "running" for parameter in network.parameters.values()):
        raise ConfigError(
            "training.batch_size 1 with batch norm: one row standardises to 0, whatever it is; set training.batch_size "
            "to 2 or more, or use norm 'layer'"
        )
    return size


def _check_weights(data: Dataset, rows: Rows) -> None:
    for part in ("train", "validation", "test"):
        if data.weight is not None and len(rows[part]) and not data.weight[rows[part]].any():
            raise DataError(f"{data.name}: every {part} row has weight 0; at least one must count.")


def _sample(train: NDArray[np.int64], size: int, seed: int) -> NDArray[np.int64]:
    if size == 0 or size >= len(train):
        return train
    return np.sort(stream(seed, "split/train_sample").choice(train, size, replace=False))


def _check_monitor(config: Config, metrics: tuple[str, ...], n_validation: int) -> None:
    evaluation = config.evaluation
    parts = ("train", "validation") if evaluation.train_metrics else ("validation",)
    columns = [f"{part}_{name}" for part in parts for name in ("loss", *metrics)]
    columns += ["batch_loss", "objective"]
    needed = evaluation.keep == "best" or evaluation.patience is not None
    if evaluation.monitor not in columns and evaluation.mode == "auto":
        raise ConfigError(
            f"evaluation.monitor {evaluation.monitor!r} is no column; expected one of {', '.join(columns)}, or one "
            "that a hook measures, with evaluation.mode 'max' or 'min'"
        )
    if needed and evaluation.monitor.startswith("validation") and n_validation == 0:
        raise ConfigError(
            f"evaluation.monitor {evaluation.monitor!r} needs validation rows, but data.split.validation is 0; "
            "set it to 0.1, or drop evaluation.keep and evaluation.patience"
        )


def _notes(data: Dataset, rows: Rows, preprocessing: Preprocessing, sample: NDArray[np.int64]) -> tuple[str, ...]:
    notes = notes_on_table(data, preprocessing)
    if preprocessing.constant:
        n = len(preprocessing.constant)
        names = [data.feature_names[i] if data.feature_names else str(i) for i in preprocessing.constant[:5]]
        becomes = "shifted to 0, not scaled" if isinstance(preprocessing, Affine) else "given as 0"
        notes.append(
            f"{n} column{'s are' if n > 1 else ' is'} constant over the training rows ({', '.join(names)}"
            f"{', ...' if n > len(names) else ''}): {becomes}"
        )
    if len(sample) < len(rows.train):
        notes.append(f"training metrics are of a fixed {len(sample):,} of the {len(rows.train):,} training rows")
    return tuple(notes)
