"""Numbers that stop being finite: found at the next look at the loss, then traced to their step and layer.

The loss is read from the device only where a row of history or a checkpoint is due. From the last finite position the
steps are then repeated one by one, which gives the same bits, until the first value that is not finite appears.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import Any, NamedTuple

from chainrule.arrays import Array
from chainrule.backends import ALONE
from chainrule.backprop import Context, Parameters, forward
from chainrule.errors import DivergenceError
from chainrule.network.network import kind_of
from chainrule.training.plan import Plan
from chainrule.training.position import Divergence, Position, Progress, Setback
from chainrule.training.step import Resident, State, batch, placed, train_step
from chainrule.training.watch import Watch

HALVINGS = 10
"""After so many setbacks the learning rate is a thousandth: if that did not help, another half will not."""


class NotFiniteError(Exception):
    """Between the anchor of `progress` and its position, `column` became `value`."""

    def __init__(self, progress: Progress, column: str, value: float) -> None:
        super().__init__(column)
        self.progress, self.column, self.value = progress, column, value


class Origin(NamedTuple):
    """Where the first value that is not finite came from. step: counted from 1, as in the history."""

    step: int
    where: str


def go_back(plan: Plan, data: Resident, found: NotFiniteError, watch: Watch) -> Progress:
    """The anchor, with half the learning rate. Raises a DivergenceError where that is not asked for, or did not help.

    Before it raises, the last finite position is kept, and the watch is told what ended the run.
    """
    progress = found.progress
    anchor = replace(progress, now=progress.anchor)
    origin = locate(plan, data, progress)
    reduce = plan.config.training.on_divergence == "reduce-lr"
    if not reduce or len(progress.setbacks) >= HALVINGS:
        watch.keep(anchor)
        ended = divergence(plan, found, origin)
        watch.diverged(ended)
        raise DivergenceError(f"{ended.measured} {ended.change}")
    setback = Setback(origin.step, progress.anchor.step, origin.where)
    anchor = replace(anchor, setbacks=(*progress.setbacks, setback))
    watch.setback(anchor)
    return anchor


def divergence(plan: Plan, found: NotFiniteError, origin: Origin) -> Divergence:
    """What diverged, where, at which rate, and what to try."""
    progress, options = found.progress, plan.config.training
    lr = plan.lr(origin.step - 1) * progress.lr_scale
    tries = [f"lower optimizer.lr tenfold (the rate was {lr:.3g})"]
    if plan.config.data.preprocessing == "none":
        tries.insert(0, "scale the inputs (data.preprocessing = 'standardise')")
    if options.clip_norm is None:
        tries.append("set training.clip_norm = 1")
    if plan.backend.precision == "bfloat16":
        tries.append("set compute.precision = 'float32'")
    if options.on_divergence == "stop":
        tries.append("let --on-divergence reduce-lr go back and halve the rate by itself")
        halved = ""
    else:
        halved = f" The learning rate was halved {len(progress.setbacks)} times."
    measured = (
        f"{found.column} is {found.value} at step {progress.now.step:,}; expected a finite number. "
        f"The first value that is not finite: {origin.where}, at step {origin.step:,} "
        f"(epoch {origin.step / plan.batches.per_epoch:.2f}, learning rate {lr:.3g}).{halved}"
    )
    change = f"Try, one at a time: {'; '.join(tries)}."
    if not isfinite(lr):  # built-in ones give none such
        own = type(plan.config.schedule).__name__
        change = f"Mend schedule {own}, whose factor makes that rate at step {origin.step - 1:,} of {plan.n_steps:,}."
    return Divergence(progress.now.step, found.column, origin.where, measured, change)


def locate(plan: Plan, data: Resident, progress: Progress) -> Origin:
    """Repeat the steps from the anchor to the position, and name the first value that is not finite."""
    position, xp = progress.anchor, plan.backend.xp
    for step in range(position.step, progress.now.step):
        before = position.state
        after, loss, gradients, _ = train_step(plan, data, before, step, progress.lr_scale)
        bad = _first_bad(after.parameters, xp)
        if not _finite(loss, xp) or _first_bad(gradients, xp) or bad:
            where = _in_pass(plan, data, before, step) or _in_backward(plan, gradients, loss) or f"the update of {bad}"
            return Origin(step + 1, where)
        position = Position(step + 1, after)
    found = _in_evaluation(plan, data, progress.now.state.parameters)
    return Origin(progress.now.step, found or "not found again when the steps were repeated")


def _finite(x: Array, xp: Any) -> bool:
    return bool(xp.all(xp.isfinite(x)))


def _first_bad(arrays: Mapping[str, Array], xp: Any) -> str | None:
    return next((name for name, array in arrays.items() if not _finite(array, xp)), None)


def _in_pass(plan: Plan, data: Resident, state: State, step: int) -> str | None:
    backend = plan.backend
    whole = replace(plan, world=ALONE)  # all ranks look at all rows, and find the same
    x = batch(whole, *placed(whole, data, step))[0]
    context = backend.context(training=True, seed=plan.config.training.seed, step=step)
    return _layer(plan, backend.working(state.parameters, plan.network.parameters), x, context)


def _layer(plan: Plan, working: Parameters, x: Array, context: Context) -> str | None:
    """The first layer whose output is not finite: the chain is run up to each layer in turn."""
    if not _finite(x, context.xp):
        return "the prepared input rows"
    for i, layer in enumerate(plan.network.layers):
        own = {name: value for name, value in working.items() if int(name.partition(".")[0]) <= i}
        if not _finite(forward(plan.network.layers[: i + 1], own, x, context).y, context.xp):
            return f"the output of layer {i} ({kind_of(layer)})"
    return None


def _in_backward(plan: Plan, gradients: Parameters, loss: Array) -> str | None:
    if not _finite(loss, plan.backend.xp):
        return "the loss, or its penalty"
    # The backward pass begins at the output, so the last layer in the network's order is the first to go wrong.
    name = _first_bad({name: gradients[name] for name in reversed(plan.network.trainable) if name in gradients},
                      plan.backend.xp)  # fmt: skip
    if name is None:
        return None
    i = int(name.partition(".")[0])
    return f"the gradient of {name}, layer {i} ({kind_of(plan.network.layers[i])})"


def _in_evaluation(plan: Plan, data: Resident, parameters: Parameters) -> str | None:
    backend = plan.backend
    working = backend.working(parameters, plan.network.parameters)
    context = backend.context(training=False)
    for part, rows in (("training", plan.train_sample), ("validation", plan.rows.validation)):
        if len(rows):
            x = backend.prepare_rows(data.X, rows, data.shift, data.scale)
            where = _layer(plan, working, x, context)
            if where:
                return f"{where} on {part} rows in evaluation mode"
    return None
