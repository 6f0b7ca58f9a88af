"""Small networks trained beside each other, each by its own program, on as many threads as there are."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.training.norms import Norms
from chainrule.training.plan import Plan
from chainrule.training.programmed import Programmed
from chainrule.training.step import Resident, State

ALONE = 2**18
"""Multiplications of a product of matrices up to which OpenBLAS uses one thread. Larger ones it shares among its own,
for which networks side by side would wait in turn."""


class SideBySide:
    """The members' steps, in place, on copies of their states; to the bits of each alone."""

    def __init__(self, plans: Sequence[Plan], data: Resident, states: Sequence[State]) -> None:
        self.plans, self.first = plans, plans[0]
        self.each = [Programmed(plan, data, state) for plan, state in zip(plans, states, strict=True)]
        network, batch = self.first.network, self.first.batches.size
        shapes = [network.parameters[name].shape for name in network.weights]
        small = all(n_in * n_out * batch * network.n_members <= ALONE for n_in, n_out in shapes)
        self.threads = min(self.first.backend.threads, len(plans)) if small else 1
        self.shared = len({(plan.config.optimizer.lr, plan.config.training.penalty) for plan in plans}) == 1

    def begin(self, states: Sequence[State]) -> None:
        """Go on from the members' states; see `Programmed.begin`."""
        for one, state in zip(self.each, states, strict=True):
            one.begin(state)

    def member(self, place: int) -> State:
        """One member's arrays."""
        return self.each[place].state

    def ahead(self, step: int, most: int) -> int:
        """How many steps are taken in one call."""
        return self.each[0].ahead(step, most)

    def run(self, step: int, n: int, losses: Any) -> NDArray[np.float32]:
        """n steps of all; `losses` (P,) and what they add to it."""
        found = np.zeros(len(self.each), np.float32) + np.asarray(losses, np.float32)  # (P,)
        alike = self.each[0].rules(step, n) if self.shared else None

        def work(places: range) -> None:
            for place in places:
                found[place] = self.each[place].run(step, n, found[place], rules=alike)

        if self.threads == 1:
            work(range(len(self.each)))
            return found
        groups = [range(first, len(self.each), self.threads) for first in range(self.threads)]
        with ThreadPoolExecutor(self.threads) as beside:
            for done in [beside.submit(work, group) for group in groups]:
                done.result()
        return found

    def __call__(self, step: int) -> tuple[NDArray[Any], Norms | None]:
        """One step of all: the batches' losses (P,) and, where a row is due, the norms, (P,) each."""
        done = [one(step) for one in self.each]
        measured = [one.norms for one in done if one.norms is not None]
        return np.array([one.loss for one in done]), _stacked(measured) if measured else None


def _stacked(found: Sequence[Norms]) -> Norms:
    gradients, updates = ({name: [one[part][name] for one in found] for name in found[0].gradients} for part in (1, 2))
    return Norms([one.gradient for one in found], gradients, updates)
