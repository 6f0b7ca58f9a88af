"""The training loop: a step, and a row of history when one is due."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chainrule.backprop import Parameters
from chainrule.errors import DivergenceError
from chainrule.training.measure import Clock, Row, measure
from chainrule.training.metrics import greater_is_better
from chainrule.training.plan import Plan
from chainrule.training.step import resident, start, train_step


class Fit(NamedTuple):
    """Result of the loop: parameters after the last step and at the best row, on the host, and the history."""

    last: dict[str, NDArray[Any]]
    best: dict[str, NDArray[Any]]
    history: list[Row]
    best_row: Row


def fit(plan: Plan, on_row: Callable[[Row], None], track: Callable[[range], Iterable[int]] = iter) -> Fit:
    """Train. `on_row` gets each row of history; `track` wraps the steps, for a progress bar."""
    backend = plan.backend
    history: list[Row] = []
    best, best_row = dict[str, NDArray[Any]](), Row()
    with backend.scope():
        data, state = resident(plan), start(plan)
        clock, batch_losses, before = Clock(), 0.0, -1
        for step in track(range(plan.n_steps)):
            state, loss, gradients = train_step(plan, data, state, step)
            batch_losses = batch_losses + loss
            if not plan.due(step):
                continue
            batch_loss = float(batch_losses) / (step - before)
            row = measure(plan, data.X, state.parameters, gradients, step, batch_loss, clock)
            history.append(row)
            check_finite(row)
            on_row(row)
            if not best_row or is_better(plan, row, best_row):
                best, best_row = to_host(plan, state.parameters), row
            if is_stalled(plan, history, best_row):
                break
            batch_losses, before = 0.0, step
        return Fit(to_host(plan, state.parameters), best, history, best_row)


def check_finite(row: Row) -> None:
    """Raise a DivergenceError for a loss or gradient that is not finite."""
    for name in ("batch_loss", "gradient_norm", "train_loss", "objective", "validation_loss"):
        if not np.isfinite(row.get(name, 0.0)):
            raise DivergenceError(
                f"{name} is {row[name]} at step {row['step']} (epoch {row['epoch']:.2f}, "
                f"learning rate {row['lr']:.3g}); "
                "expected a finite number. Lower optimizer.lr tenfold, scale the inputs (data.preprocessing = "
                "'standardise'), or set training.clip_norm = 1."
            )


def is_better(plan: Plan, row: Row, best: Row) -> bool:
    """Whether `row` beats `best` in the monitored column; without that column the later row counts as better."""
    monitor = plan.config.evaluation.monitor
    if monitor not in row:
        return True
    return bool(row[monitor] > best[monitor] if greater_is_better(monitor) else row[monitor] < best[monitor])


def is_stalled(plan: Plan, history: list[Row], best_row: Row) -> bool:
    """Whether `patience` rows have passed since the best."""
    patience = plan.config.evaluation.patience
    return patience is not None and len(history) - 1 - history.index(best_row) >= patience


def to_host(plan: Plan, parameters: Parameters) -> dict[str, NDArray[Any]]:
    """Copies of all arrays on the host."""
    return {name: plan.backend.numpy(value) for name, value in parameters.items()}
