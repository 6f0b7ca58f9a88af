"""Steps of a plain network on the CPU. They are written down as a program once, and many of them run in one call:
between two of them there is no Python, which in a small network would take longer than their work.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data import Batches
from chainrule.data.streaming import Windows
from chainrule.kernels import PREPARES, Program, Rules, Update, array
from chainrule.training.plan import Plan, is_plain
from chainrule.training.step import Resident, State, Step, Stepper
from chainrule.training.writer import Writer

MOST, LONGEST = 64, 2e9
"""Steps of one call, and their operations, some tens of milliseconds: a signal, or a checkpoint by the clock, waits."""


def programmable(plan: Plan) -> bool:
    """Whether steps are programs."""
    rows = plan.X.ndim == 2 and plan.X.dtype.type in PREPARES
    alone = plan.scan is None and plan.world.size == 1
    return plan.backend.programs and rows and alone and is_plain(plan.config, plan.network, plan.data)


class Programmed:
    """Steps in place, on a copy of the arrays they start from, with the same bits as `train_step`."""

    def __init__(self, plan: Plan, data: Resident, state: State) -> None:
        self.plan, self.data = plan, data
        flops = 3 * plan.network.flops_per_row * plan.batches.size
        self.most = max(1, min(MOST, int(LONGEST / flops)))
        self._start(state)

    def _start(self, state: State) -> None:
        self.stepper = Stepper(self.plan, self.data, state)
        self.given: State | None = state
        self.programs: dict[int, Program] = {}
        self.gradients = {
            name: array(*self.stepper.state.parameters[name].shape) for name in self.plan.network.trainable
        }
        roles = self.plan.network.parameters
        self.running = {name: value for name, value in self.stepper.state.parameters.items()
                        if roles[name].role == "running"}  # fmt: skip

    @property
    def state(self) -> State:
        """Where the steps have come to; the next one overwrites it."""
        return self.given or self.stepper.state

    def begin(self, state: State) -> None:
        """Go on from `state`, which nothing has to be done for where it is the one that the last step gave."""
        if state is not self.given:
            self._start(state)

    def ahead(self, step: int, most: int) -> int:
        """How many steps from `step` on, `most` at the most, are alike: of one epoch, and no row of history in them."""
        plan, batches, per_epoch = self.plan, self.plan.batches, self.plan.batches.per_epoch
        left = per_epoch - step % per_epoch
        if left > 1 and batches.size_of(step + left - 1) != batches.size_of(step):
            left -= 1  # the epoch's last batch
        return min(left, plan.before_due(step), most, self.most)

    def rules(self, step: int, n: int, lr_scale: float = 1.0) -> Rules:
        """The numbers of the updates of n steps."""
        plan = self.plan
        lrs = [plan.lr(k) * lr_scale for k in range(step, step + n)]
        return self._update.rules_of(lrs, plan.updates(step), plan.config.training.penalty)

    def run(self, step: int, n: int, losses: Any, lr_scale: float = 1.0, rules: Rules | None = None) -> np.float32:
        """n steps; `losses` and what they add to it, each batch's loss times its share of a full one.

        rules: the numbers of their updates, where they are known.
        """
        batches, self.given = self.plan.batches, None
        size = batches.size_of(step)
        if size not in self.programs:
            self.programs[size] = self._written(size)
        rules = self.rules(step, n, lr_scale) if rules is None else rules
        return self.programs[size].run(rules, _rows(batches, step, n, size), step, batches.share(step), float(losses))

    def __call__(self, step: int, lr_scale: float = 1.0) -> Step:
        """One step by itself. Where a row of history is due its state is a copy that stays."""
        done = self.stepper(step, lr_scale)
        for name, value in self.running.items():  # the programs renew them where they were
            value[...] = done.state.parameters[name]
            self.stepper.state.parameters[name] = self.stepper.working[name] = value
        self.given = self.stepper.state.copied(self.plan.backend.copy) if self.plan.due(step) else None
        return done._replace(state=self.state)

    def _written(self, batch: int) -> Program:
        """The step of a batch of so many rows as a program on the arrays of the state."""
        plan, data = self.plan, self.data
        made = Writer(plan, self.stepper.state.parameters, self.gradients)
        x = array(batch, data.X.shape[1])
        made.program.add(PREPARES[data.X.dtype.type], data.X, data.shift, data.scale, x, n=x.shape)
        z, back = made.layers(plan.network.layers, "", x)
        dz, loss = made.loss(z, data.targets, data.weight)
        back(dz)
        made.program.end(self._update, self.gradients, loss, plan.config.training.clip_norm)
        return made.program

    @property
    def _update(self) -> Update:
        if self.stepper.update is None:
            raise AssertionError("programs are for optimisers that the kernels take: `programmable`")
        return self.stepper.update


def _rows(batches: Batches | Windows, step: int, n: int, size: int) -> NDArray[np.int64]:
    """Row numbers of n batches of one epoch, (n, size)."""
    if not isinstance(batches, Batches):
        raise AssertionError("programs are for rows in memory: `programmable`")
    if batches.replacement:
        return np.stack([batches.rows(k) for k in range(step, step + n)])
    epoch, begin, _ = batches.place(step)
    return np.ascontiguousarray(batches.order(epoch)[begin : begin + n * size]).reshape(n, size)
