"""Steps on a GPU. A step of full size is recorded once and replayed: its launches cost more than its work.

Nothing is read from the device and little is sent to it: what is drawn for the batches of many steps, and the rates of
each, go there together, and a recorded step finds its own by counting.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from chainrule import optim
from chainrule.arrays import Array
from chainrule.backprop import Parameters
from chainrule.data import Batches
from chainrule.kernels import takes
from chainrule.layers import (
    Activation,
    BatchNorm,
    Dropout,
    LayerNorm,
    Linear,
    MemberLinear,
    PeriodicEmbedding,
    Residual,
)
from chainrule.layers.residual import flat
from chainrule.network import own_layers
from chainrule.objective import objective, with_penalty
from chainrule.spec import is_own
from chainrule.training.norms import Norms, norms
from chainrule.training.plan import Plan
from chainrule.training.step import Draw, Resident, State, Step, batch, draw

AHEAD = 256
"""Steps whose draws and rates are sent to the device at a time."""

WARM = 2
"""Steps launched one by one first, so that all is built and allocated that a recording must not do."""

TRIED = (Linear, MemberLinear, PeriodicEmbedding, Dropout, BatchNorm, LayerNorm, Residual, *get_args(Activation))
"""Layers whose recorded steps were held against launched ones on a GPU; others are launched."""


def recordable(plan: Plan) -> bool:
    """Whether steps are recorded: where the backend's kernels read a step from the device, and all parts are ours."""
    ours = not is_own(plan.loss) and takes(plan.config.optimizer)
    bytes_moved = plan.config.data.augment.on_images and plan.X.dtype not in (np.uint8, np.float32)
    layers = [inner for layer in plan.network.layers for inner in flat(layer)]
    known = all(isinstance(layer, TRIED) for layer in layers) and not own_layers(plan.network.layers)
    whole = plan.scan is None and plan.world.size == 1
    return plan.backend.records and whole and ours and known and not bytes_moved


class Host(NamedTuple):
    """Of each of several steps: draws, and numbers (steps, n_networks, 4) of the update."""

    drawn: Draw
    numbers: NDArray[np.float32]


class Tables(NamedTuple):
    """On the device, of each of several steps: draws, and numbers (steps, n_networks, 4) of the update.

    counters: which of them is next, and the number of that step in the run, (2,).
    """

    drawn: Draw
    numbers: Array
    counters: Array

    @property
    def place(self) -> Array:
        """Which of the steps is next, (1,)."""
        return self.counters[:1]


class Recorded:
    """Steps in place on a copy of the arrays they start from. plans: one, or those of P stacked networks.

    The same kernels run whether a step is replayed or launched, so the bits are the same.
    """

    def __init__(self, plans: Sequence[Plan], data: Resident, state: State, *, stacked: bool = False) -> None:
        self.plans, self.first, self.data, self.stacked = plans, plans[0], data, stacked
        backend, seeds = self.first.backend, tuple(plan.config.training.seed for plan in plans)
        self.seed: int | tuple[int, ...] = seeds if stacked else seeds[0]
        self.state = self._roomy(state)
        self.working = self._worked()
        self.batches = [plan.batches for plan in plans if isinstance(plan.batches, Batches)]  # none is streamed
        self.order = lru_cache(maxsize=3)(self._order)
        self.coming = dict[tuple[range, float], Host]()  # drawn ahead
        scalars = {(plan.config.optimizer.lr, plan.config.training.penalty) for plan in plans}
        self.rates = len(plans) if len(scalars) > 1 else 1  # networks with rates of their own
        penalties = np.array([plan.config.training.penalty for plan in plans])
        self.penalty: Any = backend.array(penalties, backend.master) if stacked else float(penalties[0])
        self.given: State | None = state
        self.tables: Tables | None = None
        self.next: tuple[int, float] | None = None
        self.end = self.warm = 0
        self.replay: Any = None

    def begin(self, state: State) -> None:
        """Go on from `state`, which nothing has to be done for where it is the one that the last step gave."""
        if state is self.given:
            return
        fill = self.first.backend.kernels.fill
        for name, value in state.parameters.items():
            fill(self.state.parameters[name], value)
            if self.working[name] is not self.state.parameters[name]:
                fill(self.working[name], value)
        for name, held in state.slots.items():
            for ours, theirs in zip(self.state.slots[name], held, strict=True):
                fill(ours, theirs)

    def _roomy(self, state: State) -> State:
        """A copy of the state, its weights and what the optimiser keeps of them padded."""
        backend, weights = self.first.backend, self.first.network.weights

        def copy(name: str, array: Array) -> Array:
            return backend.kernels.roomy(array) if name in weights else backend.copy(array)

        parameters = {name: copy(name, value) for name, value in state.parameters.items()}
        return State(parameters, {name: tuple(copy(name, a) for a in held) for name, held in state.slots.items()})

    def _worked(self) -> Parameters:
        """The working copies of the state's parameters, padded as they are."""
        backend, network, parameters = self.first.backend, self.first.network, self.state.parameters
        narrow = backend.working(parameters, network.parameters)
        copied = [name for name in network.weights if narrow[name] is not parameters[name]]
        return narrow | {name: backend.kernels.roomy(narrow[name]) for name in copied}

    def __call__(self, step: int, lr_scale: float = 1.0) -> Step:
        """The next step. Its state is overwritten by the next but where a row of history is due: that is a copy."""
        self.given = None
        if not self._repeats(step):
            loss, measured = self._work(self._moved(self._drawn([step], lr_scale), step), due=self.first.due(step))
            self.given = self.state.copied(self.first.backend.copy) if self.first.due(step) else None
            return Step(self.given or self.state, loss, {}, measured)
        tables = self.tables if self.tables and self.next == (step, lr_scale) else self._send(step, lr_scale)
        if self.warm < WARM:
            loss, _ = self._work(tables, due=False)
            self.warm += 1
        else:
            if self.replay is None:
                self.replay, (self.loss, _) = self.first.backend.record(lambda: self._work(tables, due=False))
            self.replay()
            loss = self.loss
        self.next = (step + 1, lr_scale) if step + 1 < self.end else None
        if self.next is None:
            self._draw_ahead(step + 1, lr_scale)
        return Step(self.state, loss, {}, None)

    def _repeats(self, step: int) -> bool:
        """Whether the step is like most others: a full batch, and no row of history after it."""
        return not self.first.due(step) and self.first.batches.share(step) == 1

    def _send(self, step: int, lr_scale: float) -> Tables:
        """The tables of the next steps that are alike, to where the recorded step reads them."""
        steps = self._alike(step)
        made = self._moved(self.coming.get((steps, lr_scale)) or self._drawn(steps, lr_scale), step)
        if self.tables is None:
            self.tables = self._moved(self._drawn([step] * AHEAD, lr_scale), step)
        for ours, theirs in zip((*self.tables.drawn, *self.tables[1:]), (*made.drawn, *made[1:]), strict=True):
            if ours is not None:
                ours[: len(theirs)] = theirs
        self.end = steps.stop
        return self.tables

    def _draw_ahead(self, step: int, lr_scale: float) -> None:
        """Draw for the next steps that are alike, while the device still has to do those that were sent to it."""
        while step < self.first.n_steps and not self._repeats(step):
            step += 1
        if step < self.first.n_steps:
            steps = self._alike(step)
            self.coming = {(steps, lr_scale): self._drawn(steps, lr_scale)}

    def _alike(self, step: int) -> range:
        """Steps from `step` on that are like it."""
        end = step + 1
        while end < step + AHEAD and self._repeats(end):
            end += 1
        return range(step, end)

    def _drawn(self, steps: Sequence[int], lr_scale: float) -> Host:
        """What the tables of these steps hold, on the host."""
        draws = [self._draw(step) for step in steps]
        drawn = Draw(*(None if part[0] is None else np.stack(part) for part in zip(*draws, strict=True)))
        numbers = np.array([self._numbers(step, lr_scale) for step in steps], np.float32)  # (steps, 1 or P, 4)
        return Host(drawn, np.broadcast_to(numbers, (len(steps), len(self.plans), 4)))

    def _moved(self, host: Host, step: int) -> Tables:
        """The same on the device, for steps from `step` on."""
        send = self.first.backend.send
        drawn = Draw(*(None if part is None else send(part) for part in host.drawn))
        return Tables(drawn, send(host.numbers), send(np.array([0, step])))

    def _numbers(self, step: int, lr_scale: float) -> list[Any]:
        """Of each network, or of the first where all share their rate and penalty."""
        return [self.first.backend.kernels.numbers_of(self.first.config.optimizer, plan.lr(step) * lr_scale,
                                                      plan.updates(step), plan.config.training.penalty)
                for plan in self.plans[: self.rates]]  # fmt: skip

    def _draw(self, step: int) -> Draw:
        if not self.stacked:
            return draw(self.first, step, self.batches[0].rows(step))
        if self.first.batches.replacement:
            return Draw(np.stack([one.rows(step) for one in self.batches]))  # (P, batch)
        epoch, begin, end = self.first.batches.place(step)
        return Draw(self.order(epoch)[:, begin:end])  # (P, batch)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        with ThreadPoolExecutor(self.first.backend.threads) as threads:
            return np.stack(list(threads.map(lambda one: one.order(epoch), self.batches)))  # (P, n_train)

    def _batch(self, drawn: Draw) -> tuple[Array, Array, Array | None]:
        if not self.stacked:
            return batch(self.first, self.data, drawn)
        x, target, weight = batch(self.first, self.data, Draw(drawn.rows.reshape(-1)))  # (P * batch, ...)
        shape = drawn.rows.shape
        target = target.reshape(*shape, *target.shape[1:])  # (P, batch, ...)
        weight = None if weight is None else weight.reshape(shape)  # (P, batch)
        return x.reshape(*shape, x.shape[-1]), target, weight  # x (P, batch, n_in)

    def _work(self, tables: Tables, *, due: bool) -> tuple[Array, Norms | None]:
        """Forward, back and update of the step that `tables` are at."""
        first, xp, (parameters, slots) = self.first, self.first.backend.xp, self.state
        network, options, kernels = first.network, first.config.training, first.backend.kernels
        drawn = Draw(*(None if part is None else first.backend.gather(part, tables.place)[0] for part in tables.drawn))
        context = first.backend.context(training=True, seed=self.seed, step=tables.counters[1:])
        found = objective(network.layers, self.working, first.loss, *self._batch(drawn), context)
        whole, scale = {}, None
        if due or options.clip_norm is not None:
            whole = with_penalty(found.gradients, parameters, network.weights, self.penalty)
        if options.clip_norm is not None:
            norm = optim.gradient_norm(whole, network.ranks, xp).reshape(-1)  # (n_networks,)
            scale = optim.clip_scale(norm, options.clip_norm, xp)
        before = {name: first.backend.copy(parameters[name]) for name in network.weights} if due else {}
        kernels.update(first.config.optimizer, found.gradients, parameters, slots, self.working, network.weights,
                       tables.numbers, tables.place, scale)  # fmt: skip
        for name, value in found.statistics.items():
            parameters[name][...] = value
        counters = tables.counters
        counters += 1
        return found.loss, norms(whole, before, parameters, network.ranks, xp) if due else None
