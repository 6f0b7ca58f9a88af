"""Ranks that keep step: what one of them wants between two steps, all do there.

Which steps those are depends on rank 0's clock and on signals at any rank, so they ask each other, some times a second.
"""

from time import perf_counter

from chainrule.backends import World
from chainrule.errors import Followed
from chainrule.runs.interrupts import Interrupts
from chainrule.runs.keeper import Keeper, distances
from chainrule.training.loop import ended
from chainrule.training.measure import Row
from chainrule.training.plan import Plan
from chainrule.training.position import Divergence, Progress
from chainrule.training.step import Resident
from chainrule.training.watch import Watch

ASKING = 0.2
"""Seconds of steps between two times that the ranks ask each other."""


class Follower(Watch):
    """Keeps nothing, and ends where rank 0 does. interrupts, deadline: as agreed, see `InStep`."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.interrupts, self.deadline = plan, Interrupts(), float("inf")

    def keep(self, progress: Progress) -> None:
        """End, where that was agreed on."""
        if ended(self.plan, progress):
            return
        if self.interrupts.received:
            raise Followed(128 + self.interrupts.received)
        if self.deadline < perf_counter():
            raise Followed(124)


class InStep(Watch):
    """Does what `watch` does, but at the same steps at all ranks: a checkpoint that rank 0 wants, and an early end.

    interrupts, deadline: this rank's own; `watch` gets to know of a signal or of the end once all have agreed on it.
    """

    def __init__(self, world: World, plan: Plan, watch: Keeper | Follower, interrupts: Interrupts,
                 deadline: float) -> None:  # fmt: skip
        self.world, self.watch, self.interrupts, self.deadline = world, watch, interrupts, deadline
        self.distances = distances(plan)
        self.due, self.next = False, 0
        self.asked = (0, perf_counter())

    def wants(self, step: int) -> bool:
        """Whether any rank does; most steps need no question, the next one that does is rank 0's to say."""
        self.due = self.watch.wants(step) or self.due
        if step < self.next and not any(step % n == 0 for n in self.distances):
            return False
        now = perf_counter()
        mine = [self.interrupts.received, now >= self.deadline, self.due, self._next(step, now)]
        received, over, due, self.next = map(int, self.world.largest([float(x) for x in mine]))
        self.asked, self.due = (step, now), False
        self.watch.interrupts.received = received
        if over:
            self.watch.deadline = 0.0
        return bool(received or over or due)

    def _next(self, step: int, now: float) -> int:
        if self.world.rank:
            return 0
        steps, seconds = step - self.asked[0], now - self.asked[1]
        return step + max(1, min(2 * steps, int(ASKING * steps / max(seconds, 1e-9))))

    def keep(self, progress: Progress) -> None:
        """As `watch`."""
        self.watch.keep(progress)

    def measured(self, progress: Progress) -> Row:
        """As `watch`."""
        return self.watch.measured(progress)

    def row(self, progress: Progress, data: Resident) -> None:
        """As `watch`."""
        self.watch.row(progress, data)

    def setback(self, progress: Progress) -> None:
        """As `watch`."""
        self.watch.setback(progress)

    def diverged(self, ended: Divergence) -> None:
        """As `watch`."""
        self.watch.diverged(ended)
