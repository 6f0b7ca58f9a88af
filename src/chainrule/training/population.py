"""Several runs trained together: their arrays stacked along a leading axis, so that they share each call, or, where a
step is a program, side by side.

They differ in their seeds, learning rates and penalties alone.

On the CPU that gives every member the bits that it would have alone, so a member may leave at any row of history,
because it stops early or diverges, and go on by itself. On a GPU it may too, but its sums are in another order then.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule import optim
from chainrule.arrays import Array
from chainrule.data import Batches
from chainrule.data.preprocessing import same
from chainrule.kernels import Update, takes
from chainrule.layers import Embedding, MemberLinear, PeriodicEmbedding
from chainrule.layers.residual import flat
from chainrule.network import own_layers
from chainrule.objective import objective, with_penalty
from chainrule.spec import is_own
from chainrule.training.config import Config
from chainrule.training.divergence import NotFiniteError
from chainrule.training.loop import asked, begin, check_finite, ended, fit, shared, with_row
from chainrule.training.measure import Clock, Row, seen_together
from chainrule.training.norms import Norms, norms
from chainrule.training.plan import Plan
from chainrule.training.position import Position, Progress
from chainrule.training.programmed import programmable
from chainrule.training.recorded import Recorded, recordable
from chainrule.training.side_by_side import SideBySide
from chainrule.training.step import Resident, State, resident
from chainrule.training.watch import Watch

LARGEST_STEP = {"numpy": 2e7, "torch": 5e9}
"""Operations of one member's step above which stacking gains nothing: docs/performance.md."""


def alike(one: Plan, other: Plan) -> bool:
    """Whether two runs on the same data differ in nothing but their seeds, learning rates and penalties."""
    prepared = same(one.preprocessing, other.preprocessing) and same(one.target, other.target)
    configured = _common(one) == _common(other) and one.network == other.network
    return configured and prepared and one.updates(0) == other.updates(0)


def _common(plan: Plan) -> Config:
    config = plan.config
    training = replace(config.training, seed=0, penalty=0.0)
    optimizer = replace(config.optimizer, lr=1.0)  # type: ignore[type-var]  # one of ours, see `together`
    return replace(config, optimizer=optimizer, training=training)


def together(plan: Plan, n: int) -> bool:
    """Whether `n` runs like `plan` are trained together: where that is faster and, on the CPU, changes no bit."""
    flops = 3 * plan.network.flops_per_row * plan.batches.size
    ours = not (is_own(plan.loss) or is_own(plan.config.optimizer))
    small = flops <= LARGEST_STEP[plan.backend.name] and not plan.config.data.augment
    bound_by_calls = plan.backend.name == "numpy" or recordable(plan)
    ours = ours and not own_layers(plan.network.layers)
    return n > 1 and plan.scan is None and bound_by_calls and small and ours and _keeps_bits(plan)


ALONE = (MemberLinear, PeriodicEmbedding, Embedding)
"""Layers whose kernels take the arrays of one network only."""


def _keeps_bits(plan: Plan) -> bool:
    """Whether what is stacked has the kernels that one network has; on the CPU they may differ from Python in a bit."""
    if plan.backend.name != "numpy" or plan.backend.kernels is None or programmable(plan):
        return True
    alone = any(isinstance(inner, ALONE) for layer in plan.network.layers for inner in flat(layer))
    return plan.config.training.clip_norm is None and not alone


def fit_together(plans: Sequence[Plan], watches: Sequence[Watch]) -> list[Progress]:
    """Train every plan to its end; they are alike. The results are those of `fit`, bit for bit on the CPU.

    Seconds and rows per second in the history are of the whole population's time.
    """
    with plans[0].backend.scope():
        data, clock = resident(plans[0]), Clock()
        members = dict(enumerate(_begun(plans)))
        _keep_all(members, watches)
        left: dict[int, Progress] = {}
        stepper: Together | None = None
        while members:
            stepper = stepping(plans, data, members, stepper)
            measured = _measured(plans, data, watches, stepper, _advanced(stepper, members, watches, clock))
            for i, progress in measured.items():
                watches[i].row(progress, data)
            wanted = [watches[i].wants(progress.now.step) for i, progress in measured.items()]
            _keep_all({i: one for i, one in measured.items() if any(wanted) or ended(plans[i], one)}, watches)
            # Who diverged leaves from its last row, to meet the divergence again alone.
            left |= {i: progress for i, progress in members.items() if i not in measured}
            left |= {i: progress for i, progress in measured.items() if ended(plans[i], progress)}
            members = {i: progress for i, progress in measured.items() if i not in left}
            clock.resume()
    return [_finished(plan, left[i], watches[i]) for i, plan in enumerate(plans)]


def _finished(plan: Plan, progress: Progress, watch: Watch) -> Progress:
    """The run at its end, to which it may have to go by itself."""
    if not ended(plan, progress):
        return fit(plan, lambda _: progress, watch)
    watch.keep(progress)
    return progress


def _begun(plans: Sequence[Plan]) -> list[Progress]:
    """Each before its first step. Networks stacked on a GPU are many and large, so threads draw their weights."""
    if not recordable(plans[0]):
        return [begin(plan) for plan in plans]

    def begun(plan: Plan) -> Progress:
        with plan.backend.scope():  # much of which is a thread's own
            return begin(plan)

    with ThreadPoolExecutor(plans[0].backend.threads) as threads:
        return list(threads.map(begun, plans))


def stepping(
    plans: Sequence[Plan], data: Resident, members: dict[int, Progress], last: "Together | None"
) -> "Together":
    """What steps the members, on a copy of their states; what was recorded or written `last` for them is used again."""
    own, states = [plans[i] for i in members], [members[i].now.state for i in members]
    if isinstance(last, StackedOnGpu) and last.plans == own:
        return last
    if isinstance(last, SideBySide) and last.plans == own:
        last.begin(states)
        return last
    if recordable(own[0]):
        return StackedOnGpu(own, data, states)
    return SideBySide(own, data, states) if programmable(own[0]) else Stacked(own, data, states)


def _keep_all(members: dict[int, Progress], watches: Sequence[Watch]) -> None:
    """Every member's watch keeps it, also where an earlier one ends the run by raising."""
    stop: BaseException | None = None
    for i, progress in members.items():
        try:
            watches[i].keep(progress)
        except BaseException as error:
            stop = error
    if stop is not None:
        raise stop


def _advanced(
    stepper: "Together", members: dict[int, Progress], watches: Sequence[Watch], clock: Clock
) -> dict[int, Progress]:
    """Steps until a row of history is due."""
    step, found = next(iter(members.values())).now.step, None
    losses: Array = 0.0
    while found is None:
        before, watching = step, [watches[i] for i in members]
        if isinstance(stepper, SideBySide) and (many := _ahead(stepper, step, watching)):
            losses, step = stepper.run(step, many, losses), step + many
        else:
            loss, found = stepper(step)
            losses, step = losses + shared(loss, stepper.first.batches.share(step)), step + 1
        wanted = [asked(watch, before, step) for watch in watching] if found is None else []
        if any(wanted):
            _keep_all(_finite(stepper, _at(stepper, members, step, losses, None, clock)), watches)
    return _at(stepper, members, step, losses, found, clock)


def _ahead(stepper: SideBySide, step: int, watches: Sequence[Watch]) -> int:
    return stepper.ahead(step, min(watch.ahead(step) for watch in watches))


def _at(stepper: "Together", members: dict[int, Progress], step: int, losses: Array,
        found: Norms | None, clock: Clock) -> dict[int, Progress]:  # fmt: skip
    seconds = clock.read()
    found = found and found.moved(stepper.first.backend.numpy)
    return {
        i: replace(progress, now=Position(step, stepper.member(place), losses[place], found and found.plain(place)),
                   seconds=seconds)
        for place, (i, progress) in enumerate(members.items())
    }  # fmt: skip


def _finite(stepper: "Together", members: dict[int, Progress]) -> dict[int, Progress]:
    found = {}
    for plan, (i, progress) in zip(stepper.plans, members.items(), strict=True):
        with suppress(NotFiniteError):  # it leaves at the next row
            check_finite(plan, progress, progress.now.state.parameters)
            found[i] = progress
    return found


def _measured(plans: Sequence[Plan], data: Resident, watches: Sequence[Watch], stepper: "Together",
              members: dict[int, Progress]) -> dict[int, Progress]:  # fmt: skip
    """Those members that are finite, each with its row of history."""
    found, left = dict[int, Progress](), dict(members)
    try:
        rows: list[Row | None] = [None] * len(members)
        if isinstance(stepper, StackedOnGpu):
            with watches[next(iter(members))].measuring():
                rows = stepper.seen(data.X)
        for (i, progress), row in zip(members.items(), rows, strict=True):
            del left[i]
            with suppress(NotFiniteError):
                found[i] = with_row(plans[i], data, progress, watches[i], row)
    except BaseException:
        with suppress(BaseException):
            _keep_all(left, watches)
        raise
    return found


def stacked_state(states: Sequence[State], xp: Any) -> State:
    """The states as one, each array (P, ...)."""
    parameters = {name: xp.stack([state.parameters[name] for state in states]) for name in states[0].parameters}
    slots = {name: tuple(xp.stack([state.slots[name][k] for state in states]) for k in range(len(held)))
             for name, held in states[0].slots.items()}  # fmt: skip
    return State(parameters, slots)


def member_of(state: State, place: int) -> State:
    """Views of the arrays of one of the stacked networks."""
    parameters = {name: value[place] for name, value in state.parameters.items()}
    return State(parameters, {name: tuple(slot[place] for slot in held) for name, held in state.slots.items()})


class StackedOnGpu:
    """The members' steps, recorded."""

    def __init__(self, plans: Sequence[Plan], data: Resident, states: Sequence[State]) -> None:
        self.plans, self.first = plans, plans[0]
        self.state = stacked_state(states, self.first.backend.xp)
        self.steps = Recorded(plans, data, self.state, stacked=True)

    def member(self, place: int) -> State:
        """Views of one member's arrays: of a copy, where a row of history is due."""
        return member_of(self.state, place)

    def seen(self, X: Array) -> list[Row | None]:
        """What a row of history tells of each member's parameters; None of those that are not all finite."""
        parameters, xp, numpy = self.state.parameters, self.first.backend.xp, self.first.backend.numpy
        each = [xp.all(xp.isfinite(value.reshape(len(self.plans), -1)), axis=-1) for value in parameters.values()]
        finite = numpy(xp.all(xp.stack(each), axis=0))  # (P,)
        rows = seen_together(self.plans, X, parameters)
        return [row if fine else None for row, fine in zip(rows, finite, strict=True)]

    def __call__(self, step: int) -> tuple[Array, Norms | None]:
        """One step of all: the batches' losses (P,) and, where a row is due, the norms, (P,) each."""
        done = self.steps(step)
        self.state = done.state
        return done.loss, done.norms


class Stacked:
    """The members' steps, in place, on a stacked copy of their states (P, ...)."""

    def __init__(self, plans: Sequence[Plan], data: Resident, states: Sequence[State]) -> None:
        first = plans[0]
        self.plans, self.data, self.first = plans, data, first
        self.parameters, self.slots = stacked_state(states, np)
        self.batches = [plan.batches for plan in plans if isinstance(plan.batches, Batches)]  # none is streamed
        self.seeds = tuple(plan.config.training.seed for plan in plans)
        self._order = lru_cache(maxsize=2)(self._epoch_order)
        scalars = {(plan.config.optimizer.lr, plan.config.training.penalty) for plan in plans}
        self.networks = len(plans) if len(scalars) > 1 else 1  # with scalars of their own
        self.penalties = [plan.config.training.penalty for plan in plans]
        kernels, rule, self.update = first.backend.kernels, first.config.optimizer, None
        if kernels and takes(rule) and first.config.training.clip_norm is None:
            self.update = Update(kernels, rule, self.parameters, self.slots, self.parameters, first.network.weights,
                                 self.networks)  # fmt: skip

    def member(self, place: int) -> State:
        """Views of one member's arrays."""
        return member_of(State(self.parameters, self.slots), place)

    def __call__(self, step: int) -> tuple[NDArray[Any], Norms | None]:
        """One step of all: the batches' losses (P,) and, where a row is due, the norms, (P,) each."""
        first, backend, data, options = self.first, self.first.backend, self.data, self.first.config.training
        rows = self._rows(step)  # (P, batch)
        flat = rows.reshape(-1)  # (P * batch,)
        x = backend.prepare_rows(data.X, flat, data.shift, data.scale).reshape(*rows.shape, -1)  # (P, batch, n_in)
        target = backend.gather(data.targets, flat).reshape(*rows.shape, *data.targets.shape[1:])  # (P, batch, ...)
        weight = None if data.weight is None else backend.gather(data.weight, flat).reshape(rows.shape)  # (P, batch)
        context = backend.context(training=True, seed=self.seeds, step=step)
        found = objective(first.network.layers, self.parameters, first.loss, x, target, weight, context)
        due, weights = first.due(step), first.network.weights
        rates = [plan.lr(step) for plan in self.plans[: self.networks]]
        lr: Any = rates[0] if self.networks == 1 else np.array(rates)  # (P,)
        penalty: Any = self.penalties[0]
        if self.networks > 1:
            penalty = np.array(self.penalties, backend.master)  # (P,)
        ranks, whole, scale = first.network.ranks, {}, None
        if due or options.clip_norm is not None:
            whole = with_penalty(found.gradients, self.parameters, weights, penalty)
        if options.clip_norm is not None:
            scale = optim.clip_scale(optim.gradient_norm(whole, ranks, np), options.clip_norm, np)
        before = {name: self.parameters[name].copy() for name in weights} if due else {}
        if self.update is not None:
            self.update(found.gradients, rates, first.updates(step), self.penalties)
        else:
            self.parameters, self.slots = optim.update(
                first.config.optimizer, self.parameters, found.gradients, self.slots, lr, first.updates(step), weights,
                np, penalty, scale,
            )  # fmt: skip
        self.parameters |= found.statistics
        return found.loss, norms(whole, before, self.parameters, ranks, np) if due else None

    def _rows(self, step: int) -> NDArray[np.int64]:
        """Row numbers of the members' batches, (P, batch)."""
        if self.first.batches.replacement:
            return np.stack([one.rows(step) for one in self.batches])
        epoch, begin, end = self.first.batches.place(step)
        return np.ascontiguousarray(self._order(epoch)[:, begin:end])

    def _epoch_order(self, epoch: int) -> NDArray[np.int64]:
        return np.stack([one.order(epoch) for one in self.batches])  # (P, n_train)


Together = Stacked | StackedOnGpu | SideBySide
