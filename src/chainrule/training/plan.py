"""Everything about a run that is decided before the first step; all bad input is refused here."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.backends import ALONE, Backend, World, choose, derived
from chainrule.backprop import Part
from chainrule.data import Affine, Batches, Dataset, Preprocessing, Rows, split
from chainrule.data.preprocessing import Kind, differ, fit, fit_target, identity, settled
from chainrule.data.streaming import Scan, Shards, Windows, drawn, scan
from chainrule.data.streaming.windows import windowed
from chainrule.errors import ConfigError, DataError
from chainrule.kernels import ACTIVATIONS, NUMBERS_LOSSES, PREPARES, takes
from chainrule.layers import BatchNorm, Dropout, Embedding, LayerNorm, Linear, MemberLinear, PeriodicEmbedding, Residual
from chainrule.layers.residual import flat
from chainrule.losses import Huber, Loss, Poisson, SoftmaxCrossEntropy, SquaredError, default_loss
from chainrule.network import Network, kind_of
from chainrule.network.audit import check_task
from chainrule.optim import audit_rule, audit_schedule
from chainrule.seeds import stream
from chainrule.training.config import Config, Evaluation, with_seed
from chainrule.training.initial import Initial
from chainrule.training.metrics import names
from chainrule.training.tables import notes_on_table, with_embedding

BATCH_SIZE = 128
"""Where the configuration says nothing."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A run before it starts: the sized network, rows of each part, fitted preprocessing, backend and lengths.

    data, rows: those in memory; of a streamed set, those that are held, the training rows being a sample. X: the rows
    of data as they go to the device.
    train_sample: the training rows on which training metrics are computed. notes: what the user should know.
    start: what the run goes on from, or None. world: the processes that share every batch. scan: of a streamed set,
    where its training rows are.
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
    batches: Batches | Windows
    n_steps: int
    every: int
    metrics: tuple[str, ...]
    train_sample: NDArray[np.int64]
    notes: tuple[str, ...]
    start: Initial | None = None
    world: World = ALONE
    scan: Scan | None = None

    @cached_property
    def targets(self) -> NDArray[Any]:
        """What the loss is given for every row: labels (n_rows,), or numbers (n_rows, n_out), standardised if asked."""
        return self._prepared(self.data.y)

    def _prepared(self, y: NDArray[Any]) -> NDArray[Any]:
        if self.data.task == "classification":
            return y
        y = y.reshape(len(y), -1)  # (n_rows, n_out)
        return np.asarray(self.target(y)) if self.data.task == "regression" else y

    def on_device(self, y: NDArray[Any]) -> Array:
        """What the loss is given for rows with the targets y."""
        return self.backend.array(
            self._prepared(y), None if self.data.task == "classification" else self.backend.master
        )

    @property
    def sizes(self) -> dict[str, int]:
        """How many rows each part has."""
        return {"train": self.batches.n_rows, "validation": len(self.rows.validation), "test": len(self.rows.test)}

    def lr(self, step: int) -> float:
        """The learning rate of `step`."""
        config = self.config
        return config.optimizer.lr * config.schedule.factor(step, self.n_steps, self.batches.per_epoch)

    def updates(self, step: int) -> int:
        """How many updates the optimiser's slots have seen before `step`."""
        return step + (self.start.step if self.start else 0)

    def part(self, step: int) -> Part | None:
        """What this process has of the batch of `step`, or None where it has all of it."""
        return None if self.world.size == 1 else self.world.part(self.batches.size_of(step))

    def due(self, step: int) -> bool:
        """Whether a row of the history follows `step`."""
        return (step + 1) % self.every == 0 or step + 1 == self.n_steps

    def before_due(self, step: int) -> int:
        """How many steps from `step` on no row of the history follows."""
        return min(self.every - step % self.every, self.n_steps - step) - 1


def plan(config: Config, data: Dataset | Shards, network: Network, start: Initial | None = None, *,
         ranks: int = 1) -> Plan:  # fmt: skip
    """Decide a run of `config` on `data`. Raises ConfigError and DataError, all before any training.

    start: arrays to go on from, with the preprocessing that they were trained on. ranks: the processes that have
    `training.batch_size` rows of a batch each; the plan's own is that of all together.
    """
    loss = _loss(config, data)
    audit_rule(config.optimizer)
    config.data.augment.check(data.row_shape)
    rows = _parted(config, data)
    config = replace(config, loss=loss, data=replace(config.data, preprocessing=_kind(config, data)))
    prepared = _prepared(config, data, rows, start)
    network = _sized(config, data, network, prepared)
    n_train = len(rows.train) if isinstance(data, Dataset) else data.n_rows - len(rows.validation) - len(rows.test)
    size = _batch_size(config, network, n_train, ranks)
    config = replace(config, training=replace(config.training, batch_size=size))
    evaluation = config.evaluation
    metrics = names(data.task, evaluation.metrics)
    _check_monitor(config, metrics, len(rows.validation))
    if start is not None:
        start.check(network, config.optimizer)
    found = None
    if isinstance(data, Shards):  # all that can be refused sooner has been
        found = scan(data, config.data.split)
        data, rows = found.held, split(found.held, config.data.split)
    _check_targets(data, loss, found)
    _check_weights(data, rows)
    batches = _batches(config, rows, found)
    n_steps = _n_steps(config, batches)
    preprocessing = prepared or _looked(config, found)
    target = _target(config, data, rows, found) if start is None else _started(loss, start)
    sample = _sample(rows.train, evaluation.train_rows, config.data.split.seed)
    plain = ranks == 1 and found is None and is_plain(config, network, data)
    flops = 3 * network.flops_per_row * batches.size
    backend = choose(config.compute, flops, n_steps, network.n_parameters, plain=plain,
                     derived=derived(network.layers, network.widths[0]))  # fmt: skip
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
        _notes(data, rows.train, batches, preprocessing, sample if evaluation.train_metrics else rows.train),
        start,
        scan=found,
    )


PLAIN = (Linear, MemberLinear, Embedding, PeriodicEmbedding, *ACTIVATIONS, Dropout, BatchNorm, LayerNorm, Residual)
"""Layers that steps written as programs may have."""


def is_plain(config: Config, network: Network, data: Dataset) -> bool:
    """Whether steps of this training can be written as programs."""
    loss = type(config.loss)
    plain = all(type(inner) in PLAIN for layer in network.layers for inner in flat(layer))
    layers = plain and takes(config.optimizer)
    classes = loss is SoftmaxCrossEntropy and data.y.dtype == np.int64 and data.y.ndim == 1
    rows = data.X.dtype.type in PREPARES and not config.data.augment
    return layers and rows and (classes or loss in NUMBERS_LOSSES)


def _loss(config: Config, data: Dataset | Shards) -> Loss:
    loss = config.loss or default_loss(data.task)
    check_task(loss)
    if loss.task != data.task:
        raise ConfigError(f"loss {kind_of(loss)!r} is for {loss.task}, but the targets of {data.name} are {data.task}")
    return loss


def _started(loss: Loss, start: Initial) -> Affine:
    """The scale of the targets that the start was trained on."""
    if isinstance(loss, Poisson) and start.target.shift.any():
        raise ConfigError("loss 'poisson' needs targets as they are, but the start was trained on standardised ones")
    return start.target


def _kind(config: Config, data: Dataset | Shards) -> Kind:
    """The preprocessing that is meant. Of a streamed set only what one look can measure."""
    kind = config.data.preprocessing
    if isinstance(data, Dataset):
        return settled(kind, data)
    if kind == "robust":
        raise ConfigError(
            f"preprocessing 'robust' needs the quantiles of all rows, but {data.name} is streamed; use 'standardise', "
            "or set data.stream.when = 'never'"
        )
    return "standardise" if kind == "auto" else kind


def _prepared(config: Config, data: Dataset | Shards, rows: Rows, start: Initial | None) -> Preprocessing | None:
    """The preprocessing, or None of a streamed set, for which all rows have to be looked at."""
    if start is not None:
        return start.prepares(data)
    return fit(config.data.preprocessing, data, rows.train) if isinstance(data, Dataset) else None


def _looked(config: Config, found: Scan | None) -> Preprocessing:
    """The preprocessing of a streamed set."""
    if found is None:
        raise AssertionError("rows in memory are prepared sooner")
    return found.preprocessing(config.data.preprocessing)


def _sized(config: Config, data: Dataset | Shards, network: Network, prepared: Preprocessing | None) -> Network:
    n_in = data.n_features
    if prepared is not None and isinstance(data, Dataset):
        network, n_in = with_embedding(network, prepared, config.data.augment, data), prepared.n_out
    network = network.sized(n_in, data.n_outputs)
    if not network.trainable:
        raise ConfigError(f"{network!r} has no parameters to train; give it a layer that has some, such as Linear()")
    return network


def _parted(config: Config, data: Dataset | Shards) -> Rows:
    if isinstance(data, Dataset):
        if data.excerpt is not None:
            raise DataError(
                f"{data.name}: these are the {data.n_rows:,} rows that are held of a streamed set; to train on all "
                f"{data.excerpt.n_rows:,}, give what `shards` returns."
            )
        return split(data, config.data.split)
    if config.training.replacement:
        raise ConfigError(
            f"training.replacement draws each batch from all rows, but {data.name} is streamed; leave it out, or set "
            "data.stream.when = 'never'"
        )
    return drawn(data, config.data.split)


def _batches(config: Config, rows: Rows, found: Scan | None) -> Batches | Windows:
    options, size = config.training, config.training.batch_size or 1
    if found is None:
        return Batches(rows.train, size, options.seed, options.replacement)
    return windowed(found.counts, size, options.seed, found.shards.window_rows)


def _n_steps(config: Config, batches: Batches | Windows) -> int:
    options = config.training
    n_steps = options.iterations or (options.epochs or 20) * batches.per_epoch
    audit_schedule(config.schedule, n_steps, batches.per_epoch)
    return n_steps


def check_warm_up(plan: Plan) -> None:
    """Raise a ConfigError where a training would end before its warm-up; one that was begun so may go on."""
    schedule = plan.config.schedule
    rising = schedule.rising(plan.batches.per_epoch)
    if rising > plan.n_steps:
        steps = f"{rising:,} steps, more" if rising < 10**12 else "more steps"
        raise ConfigError(
            f"schedule.warm_up {schedule.warm_up:g} is {steps} than the {plan.n_steps:,} of the run; set it lower, or "
            "train for longer"
        )


def _check_targets(data: Dataset, loss: Loss, found: Scan | None) -> None:
    if not isinstance(loss, Poisson):
        return
    if (data.y < 0).any() and found is None:
        row = int(np.argmax((data.y.reshape(len(data.y), -1) < 0).any(axis=1)))
        raise DataError(
            f"{data.name}: the target at row {row} is negative; the Poisson loss is for counts of at least 0."
        )
    if found is not None and (found.outputs.low < 0).any():
        raise DataError(
            f"{data.name}: the smallest target is {found.outputs.low.min():g}; the Poisson loss is for counts of at "
            "least 0."
        )


def _target(config: Config, data: Dataset, rows: Rows, found: Scan | None) -> Affine:
    if not (isinstance(config.loss, (SquaredError, Huber)) and config.data.standardise_target):
        return identity(data.n_outputs)
    return fit_target(data, rows.train) if found is None else found.target()


def reseeded(plan: Plan, seed: int, start: Initial | None = None) -> Plan:
    """The same run with another training seed, going on from arrays of its own where `start` gives them."""
    made = replace(plan, config=with_seed(plan.config, seed), batches=replace(plan.batches, seed=seed))
    if start is None:
        return made
    start.check(plan.network, plan.config.optimizer)
    X = start.prepares(plan.data).on_host(plan.data, plan.backend.host_dtype)
    return replace(made, X=X, start=start, preprocessing=start.preprocessing, target=start.target)


def _batch_size(config: Config, network: Network, n_train: int, ranks: int) -> int:
    asked = config.training.batch_size
    size = min(BATCH_SIZE * ranks, n_train) if asked is None else asked * ranks
    if size > n_train >= ranks:
        shared = f" for each of {ranks} processes, {size} together," if ranks > 1 else ""
        raise ConfigError(
            f"training.batch_size {asked}{shared} is more than the {n_train} training rows; set it to at most "
            f"{n_train // ranks}"
        )
    size = min(size, n_train)  # `runs.ranks` refuses fewer rows than processes
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


def columns(evaluation: Evaluation, metrics: tuple[str, ...]) -> list[str]:
    """What a row of the history has that can be monitored, but for what hooks measure."""
    parts = ("train", "validation") if evaluation.train_metrics else ("validation",)
    return [*(f"{part}_{name}" for part in parts for name in ("loss", *metrics)), "batch_loss", "objective"]


def _check_monitor(config: Config, metrics: tuple[str, ...], n_validation: int) -> None:
    evaluation, known = config.evaluation, columns(config.evaluation, metrics)
    needed = evaluation.keep == "best" or evaluation.patience is not None
    if evaluation.monitor not in known and evaluation.mode == "auto":
        raise ConfigError(
            f"evaluation.monitor {evaluation.monitor!r} is no column; expected one of {', '.join(known)}, or one "
            "that a hook measures, with evaluation.mode 'max' or 'min'"
        )
    if needed and evaluation.monitor.startswith("validation") and n_validation == 0:
        raise ConfigError(
            f"evaluation.monitor {evaluation.monitor!r} needs validation rows, but data.split.validation is 0; "
            "set it to 0.1, or drop evaluation.keep and evaluation.patience"
        )


def _named(data: Dataset, columns: list[int]) -> str:
    names = [data.feature_names[i] if data.feature_names else str(i) for i in columns[:5]]
    return f"{', '.join(names)}{', ...' if len(columns) > len(names) else ''}"


def _notes(
    data: Dataset, train: NDArray[np.int64], batches: Batches | Windows, preprocessing: Preprocessing,
    sample: NDArray[np.int64],
) -> tuple[str, ...]:  # fmt: skip
    notes = [] if isinstance(batches, Batches) else [batches.described]
    notes += notes_on_table(data, preprocessing)
    becomes = "shifted to 0, not scaled" if isinstance(preprocessing, Affine) else "given as 0"
    close = [i for i in preprocessing.constant if data.X.dtype.kind in "iu" and differ(data.X, train, i)]
    equal = [i for i in preprocessing.constant if i not in close]
    if equal:
        told = f"{len(equal)} column{'s are' if len(equal) > 1 else ' is'} constant over the training rows"
        notes.append(f"{told} ({_named(data, equal)}): {becomes}")
    if close:
        told = f"{len(close)} column{'s hold' if len(close) > 1 else ' holds'} integers that float64 cannot tell apart"
        notes.append(f"{told} ({_named(data, close)}): {becomes}; subtract the smallest from them")
    if len(sample) < batches.n_rows:
        notes.append(f"training metrics are of a fixed {len(sample):,} of the {batches.n_rows:,} training rows")
    return tuple(notes)
