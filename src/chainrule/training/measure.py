"""A row of history: metrics in evaluation mode, the norm of the gradient, and the time it took."""

from time import perf_counter
from typing import TYPE_CHECKING, Any

from chainrule.arrays import Array
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


def measure(plan: Plan, X: Array, progress: "Progress") -> Row:
    """A row of history: metrics in evaluation mode over all validation rows and the training sample."""
    backend, options, now = plan.backend, plan.config.training, progress.now
    parameters, done = now.state.parameters, now.step - progress.measured
    row: Row = {
        "step": now.step,
        "epoch": now.step / plan.batches.per_epoch,
        "lr": plan.lr(now.step - 1) * progress.lr_scale,
        "batch_loss": float(now.batch_losses) / sum(map(plan.batches.share, range(now.step - done, now.step))),
    }
    for part, rows in (("train", plan.train_sample), ("validation", plan.rows.validation)):
        if len(rows) and (part == "validation" or plan.config.evaluation.train_metrics):
            block = min(len(rows), EVALUATION_BLOCK)
            z = logits(plan.network, plan.loss, parameters, plan.preprocessing, backend, X, rows, block)
            weight = None if plan.data.weight is None else plan.data.weight[rows]
            values = score(z, plan.data.y[rows], plan.loss, plan.target, plan.metrics, weight)
            row |= {f"{part}_{name}": value for name, value in values.items()}
    penalty = float(penalty_value(parameters, plan.network.weights, options.penalty, backend.xp))
    loss = "train_loss" if "train_loss" in row else "batch_loss"
    row |= {"penalty": penalty, "objective": row[loss] + penalty}
    row |= now.norms.columns if now.norms else {}
    seconds, training = progress.seconds
    return row | {"seconds": seconds, "rows_per_second": done * plan.batches.size / training}
