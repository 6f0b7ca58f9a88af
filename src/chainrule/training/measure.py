"""A row of history: metrics in evaluation mode, the norm of the gradient, and the time it took."""

from time import perf_counter
from typing import Any

from chainrule import optim
from chainrule.arrays import Array
from chainrule.backprop import Parameters
from chainrule.objective import penalty_value
from chainrule.training.evaluate import logits
from chainrule.training.metrics import score
from chainrule.training.plan import Plan

Row = dict[str, Any]


class Clock:
    """Seconds since the start, and since the last row without the time that measuring took."""

    def __init__(self) -> None:
        self.start = self.resumed = perf_counter()

    def read(self) -> tuple[float, float]:
        """Seconds since the start, seconds of training since the last row."""
        now = perf_counter()
        return now - self.start, now - self.resumed

    def resume(self) -> None:
        """Training goes on now."""
        self.resumed = perf_counter()


def measure(plan: Plan, X: Array, parameters: Parameters, gradients: Parameters, step: int, batch_loss: float,
            clock: Clock) -> Row:  # fmt: skip
    """A row of history: metrics in evaluation mode over all validation rows and the training sample."""
    backend, per_epoch, options = plan.backend, plan.batches.per_epoch, plan.config.training
    backend.wait()
    seconds, training = clock.read()
    done = (step % plan.every) + 1
    norm = optim.gradient_norm(gradients, plan.network.ranks, backend.xp)
    penalty = float(penalty_value(parameters, plan.network.weights, options.penalty, backend.xp))
    row: Row = {"step": step + 1, "epoch": (step + 1) / per_epoch, "lr": plan.lr(step), "batch_loss": batch_loss}
    for part, rows in (("train", plan.train_sample), ("validation", plan.rows.validation)):
        if len(rows):
            z = logits(plan.network, parameters, plan.preprocessing, backend, X, rows)
            weight = None if plan.data.weight is None else plan.data.weight[rows]
            values = score(z, plan.data.y[rows], plan.loss, plan.target, plan.metrics, weight)
            row |= {f"{part}_{name}": value for name, value in values.items()}
    row |= {"penalty": penalty, "objective": row["train_loss"] + penalty, "gradient_norm": float(norm)}
    row |= {"seconds": seconds, "rows_per_second": done * plan.batches.size / training}
    clock.resume()
    return row
