"""A row of history: metrics in evaluation mode, the norm of the gradient, and the time it took."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.backprop import Parameters
from chainrule.objective import penalty_value
from chainrule.training.evaluate import EVALUATION_BLOCK, logits
from chainrule.training.metrics import score
from chainrule.training.plan import Plan

if TYPE_CHECKING:
    from chainrule.training.position import Progress

Row = dict[str, Any]


class Clock:
    """Seconds of the run, and of training since its last row of history; both go on where a resumed run left them."""

    def __init__(self, run: float = 0.0, training: float = 0.0) -> None:
        now = perf_counter()
        self.start, self.resumed = now - run, now - training

    def read(self) -> tuple[float, float]:
        """Seconds of the run, seconds of training since the last row."""
        now = perf_counter()
        return now - self.start, now - self.resumed

    def resume(self) -> None:
        """Training goes on now."""
        self.resumed = perf_counter()


def seen(plan: Plan, X: Array, parameters: Parameters) -> Row:
    """What a row of history tells of these parameters: metrics in evaluation mode over all validation rows and the
    training sample, and the penalty.
    """
    found = [_scored(plan, part, rows, _logits(plan, X, parameters, rows)) for part, rows in _parts(plan)]
    penalty = penalty_value(parameters, plan.network.weights, plan.config.training.penalty, plan.backend.xp)
    return _told(found, float(penalty))


def seen_together(plans: Sequence[Plan], X: Array, parameters: Parameters) -> list[Row]:
    """The same of each of several networks, whose arrays (P, ...) are stacked and whose plans are alike.

    Every block of rows goes through all networks at once; the metrics are computed by several threads.
    """
    first, backend = plans[0], plans[0].backend
    penalties = backend.array(np.array([plan.config.training.penalty for plan in plans]), backend.master)
    found = penalty_value(parameters, first.network.weights, penalties, backend.xp)
    totals = np.broadcast_to(backend.numpy(found) if first.network.weights else 0.0, len(plans))
    scored = [list[Row]() for _ in plans]
    with ThreadPoolExecutor(min(len(plans), os.cpu_count() or 1)) as threads:
        for part, rows in _parts(first):
            z = _logits(first, X, parameters, rows)  # (P, rows, n_out)
            one = partial(_scored, first, part, rows)
            for own, told in zip(scored, threads.map(one, z), strict=True):
                own.append(told)
    return [_told(own, float(total)) for own, total in zip(scored, totals, strict=True)]


def _parts(plan: Plan) -> list[tuple[str, NDArray[np.int64]]]:
    """The rows that are measured, by their part's name."""
    asked = [("train", plan.train_sample)] if plan.config.evaluation.train_metrics else []
    return [(part, rows) for part, rows in (*asked, ("validation", plan.rows.validation)) if len(rows)]


def _logits(plan: Plan, X: Array, parameters: Parameters, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    block = min(len(rows), EVALUATION_BLOCK)
    return logits(plan.network, plan.loss, parameters, plan.preprocessing, plan.backend, X, rows, block)


def _scored(plan: Plan, part: str, rows: NDArray[np.int64], z: NDArray[np.float64]) -> Row:
    weight = None if plan.data.weight is None else plan.data.weight[rows]
    with np.errstate(all="ignore"):  # which a thread does not have from the backend's scope
        values = score(z, plan.data.y[rows], plan.loss, plan.target, plan.metrics, weight)
    return {f"{part}_{name}": value for name, value in values.items()}


def _told(scored: Sequence[Row], penalty: float) -> Row:
    return {name: value for one in scored for name, value in one.items()} | {"penalty": penalty}


def measure(plan: Plan, progress: "Progress", found: Row) -> Row:
    """The row of history at this position, of whose parameters `found` is what was `seen`."""
    now, done = progress.now, progress.now.step - progress.measured
    row: Row = {
        "step": now.step,
        "epoch": now.step / plan.batches.per_epoch,
        "lr": plan.lr(now.step - 1) * progress.lr_scale,
        "batch_loss": float(now.batch_losses) / sum(map(plan.batches.share, range(now.step - done, now.step))),
    }
    row |= found
    row["objective"] = row["train_loss" if "train_loss" in row else "batch_loss"] + row["penalty"]
    row |= now.norms.columns if now.norms else {}
    seconds, training = progress.seconds
    return row | {"seconds": seconds, "rows_per_second": done * plan.batches.size / training}
