"""The training loop: steps up to a row of history, the row, and so on; back to the last row where numbers diverge."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.backends import World
from chainrule.backprop import Parameters
from chainrule.training.divergence import NotFiniteError, go_back
from chainrule.training.measure import Clock, Row, measure, seen
from chainrule.training.patience import improves, is_better, stalled
from chainrule.training.plan import Plan
from chainrule.training.position import Position, Progress
from chainrule.training.programmed import Programmed, programmable
from chainrule.training.recorded import Recorded, recordable
from chainrule.training.step import Resident, State, Stepper, on_device, start
from chainrule.training.watch import Watch

Steps = Stepper | Recorded | Programmed


def fit(plan: Plan, restore: Callable[[Plan], Progress] | None = None, watch: Watch | None = None) -> Progress:
    """Train to the end of `plan`: from its start, or from where `restore` puts the run."""
    watch = watch or Watch()
    with plan.backend.scope(), on_device(plan) as data:
        progress = begin(plan) if restore is None else restore(plan)
        clock = Clock(*progress.seconds)
        watch.keep(progress)
        stepper: Steps | None = None
        while not ended(plan, progress):
            try:
                stepper = stepping(plan, data, progress.now.state, stepper)
                progress = advance(plan, stepper, progress, clock, watch)
                progress = with_row(plan, data, progress, watch)
            except NotFiniteError as found:
                progress = go_back(plan, data, found, watch)
                continue
            finally:
                clock.resume()
            watch.row(progress, data)
            if watch.wants(progress.now.step):
                watch.keep(progress)
        watch.keep(progress)
        return progress


def begin(plan: Plan) -> Progress:
    """Before the first step."""
    position = Position(0, start(plan))
    return Progress(position, position)


def ended(plan: Plan, progress: Progress) -> bool:
    """Whether all steps are done and measured, or `patience` rows have passed since the last improvement."""
    now = progress.now
    return now.norms is None and over(plan, now.step, len(progress.history), progress.improved_row)


def over(plan: Plan, step: int, n_rows: int, improved_row: int) -> bool:
    """The same of a position whose row, where one is due, is among the `n_rows`."""
    return stalled(plan.config.evaluation, n_rows, improved_row) or step >= plan.n_steps


def stepping(plan: Plan, data: Resident, state: State, last: Steps | None) -> Steps:
    """What steps from `state`, on a copy: the anchor is needed as it was. What was recorded or written is kept."""
    if isinstance(last, Recorded | Programmed):
        last.begin(state)
        return last
    if recordable(plan):
        return Recorded([plan], data, state)
    return Programmed(plan, data, state) if programmable(plan) else Stepper(plan, data, state)


def advance(plan: Plan, stepper: Steps, progress: Progress, clock: Clock, watch: Watch) -> Progress:
    """Steps until a row of history is due."""
    position, scale = progress.now, progress.lr_scale
    while position.norms is None:
        step, losses = position.step, position.batch_losses
        if isinstance(stepper, Programmed) and (many := stepper.ahead(step, watch.ahead(step))):
            losses = stepper.run(step, many, losses, scale)
            position = Position(step + many, stepper.state, losses)
        else:
            done = stepper(step, scale)
            norms = done.norms and done.norms.plain()
            position = Position(step + 1, done.state, losses + shared(done.loss, plan.batches.share(step)), norms)
        if position.norms is None and asked(watch, step, position.step):
            progress = replace(progress, now=position, seconds=clock.read())
            check_finite(plan, progress, position.state.parameters)
            watch.keep(progress)
    plan.backend.wait()
    return replace(progress, now=position, seconds=clock.read())


def asked(watch: Watch, before: int, now: int) -> bool:
    """Whether the watch wants the position after the steps `before` to `now`; it is told of every one."""
    wanted = [watch.wants(step) for step in range(before + 1, now + 1)]
    return any(wanted)


def shared(loss: Any, share: float) -> Any:
    """The loss of a batch times its share of a full one, so that every row counts alike in the sum."""
    return loss if share == 1 else loss * share


def with_row(plan: Plan, data: Resident, progress: Progress, watch: Watch, found: Row | None = None) -> Progress:
    """The row of history at this position, and what it decides. Only reads the state, so it can be broken off.

    found: what was `seen` of the parameters, which are finite; None where that is still to be done.
    """
    check_finite(plan, progress, {} if found else progress.now.state.parameters)

    def measured() -> Row:
        row = found or seen(plan, data.X, progress.now.state.parameters)
        return measure(plan, progress, row) | watch.measured(progress)

    try:
        with watch.measuring():
            row = told(plan.world, measured)
    except KeyboardInterrupt:
        watch.keep(progress)
        raise
    for name in ("train_loss", "objective", "validation_loss"):
        if not np.isfinite(row.get(name, 0.0)):
            raise NotFiniteError(progress, name, row[name])
    settled = Position(progress.now.step, progress.now.state)
    after = replace(progress, now=settled, anchor=settled, history=(*progress.history, row),
                    seconds=(progress.seconds[0], 0.0))  # fmt: skip
    here, best = len(progress.history), None if progress.best is None else progress.history[progress.best_row]
    if best is None or improves(plan.config.evaluation, row, best):
        after = replace(after, improved_row=here)
    if best is None or is_better(plan.config.evaluation, row, best):
        copies = {name: plan.backend.copy(value) for name, value in settled.state.parameters.items()}
        after = replace(after, best=copies, best_row=here)
    return after


def told(world: World, measured: Callable[[], Row]) -> Row:
    """The row that rank 0 measures, at every rank."""
    if world.size == 1:
        return measured()
    row: Row = json.loads(world.told(lambda: json.dumps(measured()).encode()))
    return row


def check_finite(plan: Plan, progress: Progress, parameters: Parameters) -> None:
    """Raise a NotFiniteError where the batches' losses, the gradient or one of the parameters are not finite."""
    now, xp = progress.now, plan.backend.xp
    norm = now.norms.gradient if now.norms else 0.0
    for name, value in (("batch_loss", float(now.batch_losses)), ("gradient_norm", norm)):
        if not np.isfinite(value):
            raise NotFiniteError(progress, name, value)
    for name, value in parameters.items():
        if not xp.all(xp.isfinite(value)):
            raise NotFiniteError(progress, f"parameter {name}", float(xp.sum(value)))


def to_host(plan: Plan, parameters: Parameters) -> dict[str, NDArray[Any]]:
    """Copies of all arrays on the host."""
    return {name: plan.backend.numpy(value) for name, value in parameters.items()}
