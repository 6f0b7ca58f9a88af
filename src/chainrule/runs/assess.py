"""A finished run held against rows of a data set: metrics in evaluation mode, each share with its interval."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.backends import COMPUTE, Compute
from chainrule.data import Dataset, split
from chainrule.data.dataset import DATASET
from chainrule.data.streaming import Shards, excerpt
from chainrule.errors import ConfigError, DataError
from chainrule.intervals import proportion_interval
from chainrule.runs.model import Model
from chainrule.runs.other_data import as_trained
from chainrule.runs.run import Run, read_data
from chainrule.spec import expect
from chainrule.training.metrics import names, score

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Assessment:
    """What a model is worth on `n` rows, called `part`. metrics: the loss and those of the history, by name.

    interval: 95 % of the accuracy, over rows (Wilson 1927); None without one, and for rows with weights.
    notes: what a reader must know.
    """

    part: str
    n: int
    metrics: dict[str, float]
    interval: tuple[float, float] | None
    notes: tuple[str, ...] = ()


def assess_run(
    run: Run, part: str = "test", data: Dataset | Shards | None = None, *, best: bool = False,
    compute: Compute | None = None,
) -> Assessment:  # fmt: skip
    """Metrics on one part of the run's own data, or on the test rows of other `data` (all rows where it names none).

    part: "train", "validation" or "test". `data` with the digest of the training data are the run's own, already in
    memory. Of a streamed set the rows are those that are held. best: of the best row's model.
    Raises a ConfigError for another part and for `best` without validation rows, a DataError where there are no such
    rows, or the columns or targets are not the model's.

    >>> from chainrule import mlp, read, train
    >>> assess_run(train(mlp([16]), read("digits"))).n
    359
    """
    expect("run", run, isinstance(run, Run), "a Run: what `train` or `load_run` gives")
    expect("data", data, data is None or isinstance(data, Dataset | Shards), DATASET)
    expect("compute", compute, compute is None or isinstance(compute, Compute), COMPUTE)
    if part not in PARTS:
        raise ConfigError(f"part is {part!r}; expected one of {', '.join(PARTS)}")
    if isinstance(data, Shards):
        data = excerpt(data, run.config.data.split)
        if data.digest != run.environment["data_sha256"]:
            raise DataError(
                f"{data.name}: is too large to be held in memory, and not what the run was trained on. Evaluate on a "
                "part that fits."
            )
    if best and run.best is None:
        raise ConfigError("the run has no best row apart: it had no validation rows; evaluate it without --best")
    model = run.best if best and run.best is not None else run.model
    compute = run.config.compute if compute is None else compute
    more = run.config.evaluation.metrics
    if data is not None and data.digest != run.environment["data_sha256"]:
        rows = np.arange(data.n_rows)[-data.n_test if data.n_test else 0 :]
        return assess(model, data, rows, f"{data.name}, {'test' if data.n_test else 'all'}", more, compute)
    own = read_data(run.config.data) if data is None else data
    changed = own.digest != run.environment["data_sha256"]
    rows = split(own, run.config.data.split)[part]
    if len(rows) == 0:
        raise DataError(f"{own.name}: the run's split has no {part} rows; evaluate another part, or give other data.")
    found = assess(model, own, rows, part, more, compute)
    note = ("the data are not those of the training: their digest has changed, and so may have the split",)
    return Assessment(found.part, found.n, found.metrics, found.interval, note if changed else ())


def assess(
    model: Model, data: Dataset, rows: NDArray[np.int64], part: str, more: tuple[str, ...], compute: Compute
) -> Assessment:
    """Metrics of `model` on the named rows; columns and classes are found by their names."""
    data = as_trained(model, data)
    if (data.task, data.target_names) != (model.task, model.target_names):
        raise DataError(
            f"{data.name}: the targets are {data.task} of {_short(data.target_names)}, but the model was trained for "
            f"{model.task} of {_short(model.target_names)}."
        )
    weight = None if data.weight is None else data.weight[rows]
    z = model.logits(data.take(rows), compute)
    metrics = score(z, data.y[rows], model.loss, model.target, names(data.task, more), weight)
    accuracy = metrics.get("accuracy")
    interval = None if accuracy is None or weight is not None else proportion_interval(accuracy, len(rows))
    return Assessment(part, len(rows), metrics, interval)


def _short(values: tuple[Any, ...]) -> str:
    shown = ", ".join(str(value) for value in values[:5])
    return f"{shown}, ... ({len(values)})" if len(values) > 5 else shown
