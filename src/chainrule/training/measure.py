"""A row of history: metrics in evaluation mode, the norm of the gradient, and the time it took."""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.backends import EVALUATION_BLOCK
from chainrule.backprop import Parameters
from chainrule.objective import penalty_value
from chainrule.training.evaluate import combined, logits, logits_on_device
from chainrule.training.metrics import judged, score, scores
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
    row: Row = {}
    for part, rows in _parts(plan):
        if plan.backend.device == "cpu":
            z = logits(
                plan.network, plan.loss, parameters, plan.preprocessing, plan.backend, X, rows, _block(plan, rows)
            )
            row |= _named(part, score(z, plan.data.y[rows], plan.loss, plan.target, plan.metrics, _weight(plan, rows)))
        else:
            row |= _scored(plan, part, rows, *_judged(plan, X, parameters, rows, _block(plan, rows)))
    penalty = penalty_value(parameters, plan.network.weights, plan.config.training.penalty, plan.backend.xp)
    return row | {"penalty": float(penalty)}


def seen_together(plans: Sequence[Plan], X: Array, parameters: Parameters) -> list[Row]:
    """The same of each of P networks, whose arrays (P, ...) are stacked and whose plans are alike."""
    first, backend = plans[0], plans[0].backend
    found: list[Row] = [{} for _ in plans]
    for part, rows in _parts(first):
        block = max(EVALUATION_BLOCK, _block(first, rows) // len(plans))
        each = _judged(first, X, parameters, rows, min(len(rows), block))
        for row, loss, prediction in zip(found, *each, strict=True):
            row |= _scored(first, part, rows, loss, prediction)
    penalties = backend.array(np.array([plan.config.training.penalty for plan in plans]), backend.master)
    penalty = penalty_value(parameters, first.network.weights, penalties, backend.xp)
    totals = np.broadcast_to(backend.numpy(penalty) if first.network.weights else 0.0, len(plans))
    return [row | {"penalty": float(total)} for row, total in zip(found, totals, strict=True)]


def _judged(plan: Plan, X: Array, parameters: Parameters, rows: NDArray[np.int64],
            block: int) -> tuple[NDArray[Any], NDArray[Any]]:  # fmt: skip
    """The loss (...) and the predictions (..., rows) or (..., rows, n_out), computed in float64 on the device."""
    backend, xp = plan.backend, plan.backend.xp
    z = logits_on_device(plan.network, parameters, plan.preprocessing, backend, X, rows, block)
    z = combined(plan.network, plan.loss, xp.astype(z, xp.float64), xp)  # (..., rows, n_out)
    found = judged(z, plan.data.y[rows], plan.loss, plan.target, _weight(plan, rows), xp, backend.array)
    return backend.numpy(found[0]), backend.numpy(found[1])


def _scored(plan: Plan, part: str, rows: NDArray[np.int64], loss: Any, prediction: NDArray[Any]) -> Row:
    y, weight = plan.data.y[rows], _weight(plan, rows)
    return _named(part, scores(float(loss), prediction, y, plan.target, plan.metrics, weight))


def _named(part: str, found: Mapping[str, float]) -> Row:
    return {f"{part}_{name}": value for name, value in found.items()}


def _parts(plan: Plan) -> list[tuple[str, NDArray[np.int64]]]:
    """The rows that are measured, by their part's name."""
    asked = [("train", plan.train_sample)] if plan.config.evaluation.train_metrics else []
    return [(part, rows) for part, rows in (*asked, ("validation", plan.rows.validation)) if len(rows)]


def _block(plan: Plan, rows: NDArray[np.int64]) -> int:
    return min(len(rows), plan.backend.evaluation_block)


def _weight(plan: Plan, rows: NDArray[np.int64]) -> NDArray[np.float64] | None:
    return None if plan.data.weight is None else plan.data.weight[rows]


def measure(plan: Plan, progress: "Progress", found: Row) -> Row:
    """The row of history at this position, of whose parameters `found` is what was `seen`."""
    now, done = progress.now, progress.now.step - progress.measured
    row: Row = {
        "step": now.step,
        "epoch": now.step / plan.batches.per_epoch,
        "lr": plan.lr(now.step - 1) * progress.lr_scale,
        "batch_loss": float(now.batch_losses) / plan.batches.shares(now.step - done, now.step),
    }
    row |= found
    row["objective"] = row["train_loss" if "train_loss" in row else "batch_loss"] + row["penalty"]
    row |= now.norms.columns if now.norms else {}
    seconds, training = progress.seconds
    return row | {"seconds": seconds, "rows_per_second": done * plan.batches.size / training}
