"""Findings about the size of a step: ‖ΔW‖/‖W‖ of each weight matrix, and what it says of the learning rate.

The step is taken with the full learning rate, without the schedule's factor, and scaled afterwards: every update
rule is linear in the learning rate, and at the end of a cosine schedule the step itself would be lost in rounding.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite, nan, sqrt
from statistics import median
from typing import NamedTuple

import numpy as np

from chainrule.arrays import Array, wide
from chainrule.diagnosis.finding import Finding, several
from chainrule.optim import Constant
from chainrule.training.measure import Row
from chainrule.training.plan import Plan
from chainrule.training.step import Resident, State, train_step

LOW, HEALTHY, HIGH = 1e-5, 1e-3, 1e-1
"""‖ΔW‖/‖W‖ of one step: about 1e-3 is healthy (Karpathy, CS231n notes, "ratio of weights:updates"). In 60 healthy
trainings 98 % were between 2e-4 and 3e-2."""

SMALL = 0.1
"""Weights shorter than this share of LeCun's initial ones, ‖W‖ = √n_out, still have to grow; large ratios are right."""

BEHIND = 1e-2
"""Share of the largest ratio in the network below which a matrix is left behind by the others."""

MOVED = 0.05
"""Part of the span from chance to perfect by which the training loss must have changed to count as moved."""

ALTERNATES, SWING = 0.4, 0.1
"""The loss oscillates when this share of its changes has another sign than the one before, and the typical change is
this part of that span. In 60 healthy trainings a training loss that turned so often changed by 0.023 at most."""


class Update(NamedTuple):
    """One weight matrix: its name, ‖ΔW‖/‖W‖ of a step at the full rate, and ‖W‖ over √n_out."""

    name: str
    ratio: float
    size: float


class Updates(NamedTuple):
    """All weight matrices. now, highest: the schedule's factor at this step, and its largest over the run."""

    matrices: tuple[Update, ...]
    now: float
    highest: float
    cold: bool

    @property
    def typical(self) -> float:
        """The median ratio at the schedule's highest rate."""
        finite = [one.ratio for one in self.matrices if isfinite(one.ratio)]
        return median(finite) * self.highest if finite else nan


def updates(plan: Plan, data: Resident, state: State, step: int, lr_scale: float) -> Updates:
    """The ratios of the step that `state` would take next, or of the last one where training is over."""
    step = min(step, plan.n_steps - 1)
    config, schedule = plan.config, plan.config.schedule
    full = replace(plan, config=replace(config, schedule=Constant()))
    after = train_step(full, data, state, step, lr_scale)[0].parameters
    xp, shapes = plan.backend.xp, plan.network.parameters
    found = []
    for name in plan.network.weights:
        W = wide(state.parameters[name], xp)
        norm, change = _norm(W, xp), _norm(wide(after[name], xp) - W, xp)
        # weights of zero take any step they are given
        found.append(Update(name, change / norm if norm else nan, norm / sqrt(shapes[name].shape[-1])))
    at = np.unique(np.linspace(0, plan.n_steps - 1, 64).astype(int))
    factors = [schedule.factor(int(s), plan.n_steps, plan.batches.per_epoch) for s in at]
    now = schedule.factor(step, plan.n_steps, plan.batches.per_epoch)
    return Updates(tuple(found), now, max(factors), _cold(plan, state, step))


def _norm(x: Array, xp: object) -> float:
    return float(xp.sqrt(xp.sum(x * x)))  # type: ignore[attr-defined]


def _cold(plan: Plan, state: State, step: int) -> bool:
    """Whether the optimiser's slots are new in the middle of training, as where a model was kept without them: Adam's
    steps are then three times too large, and a momentum's too small.
    """
    slots = [slot for name in plan.network.weights for slot in state.slots.get(name, ())]
    return step > 0 and bool(slots) and not any(bool(plan.backend.xp.any(slot != 0)) for slot in slots)


class Loss(NamedTuple):
    """The training loss so far.

    rows: of history; batches, gradients: its batch losses and gradient norms. chance: of the best constant;
    floor: of a perfect prediction. start: before training, or the mean over the first interval's batches.
    """

    rows: tuple[float, ...]
    batches: tuple[float, ...]
    gradients: tuple[float, ...]
    chance: float
    floor: float
    start: float | None

    @property
    def span(self) -> float:
        """What there is to explain, from chance to a perfect prediction."""
        return self.chance - self.floor

    @property
    def moved(self) -> bool:
        """Whether it is clearly elsewhere than at the start."""
        if not self.rows or self.start is None:
            return False
        return abs(self.start - self.rows[-1]) >= MOVED * self.span

    @property
    def learnt(self) -> float:
        """The part of that span which the network has explained, negative for one worse than the best constant."""
        return (self.chance - self.rows[-1]) / self.span if self.rows and self.span > 0 else 0.0

    @property
    def settled(self) -> bool:
        """Whether the gradient has become small against the first row's: there is nothing left to descend."""
        return len(self.gradients) > 1 and self.gradients[-1] < 0.1 * self.gradients[0]


def loss_of(history: Sequence[Row], chance: float, floor: float, initial: float | None) -> Loss:
    """What the history says of the training loss; values that are not finite are left out."""
    rows, batches, gradients = (
        tuple(float(row[name]) for row in history if isfinite(_value(row, name)))
        for name in ("train_loss", "batch_loss", "gradient_norm")
    )
    start = initial if initial is not None and isfinite(initial) else batches[0] if batches else None
    return Loss(rows, batches, gradients, chance, floor, start)


def _value(row: Row, name: str) -> float:
    value = row.get(name)
    return nan if value is None else float(value)


def update_findings(plan: Plan, found: Updates, loss: Loss, blocked: bool, after: bool) -> list[Finding]:
    """Findings on ratios and learning rate, once training has gone on for a while (`after`).

    blocked: signal or units already explain why nothing moves.
    """
    if not after:
        return []
    unstable = _unstable(plan, found, loss)
    if unstable:
        return unstable
    slow = [] if blocked else _slow(plan, found, loss)
    return slow or [*_jumps(plan, found, loss), *([] if blocked else _behind(found))]


def _unstable(plan: Plan, found: Updates, loss: Loss) -> list[Finding]:
    if len(loss.rows) < 2 or loss.span <= 0 or not found.typical >= LOW:
        return []
    last, least, chance, span = loss.rows[-1], min(loss.rows), loss.chance, loss.span
    changes = np.diff(loss.rows[-10:])
    signs = np.sign(changes)
    alternating = float(np.mean(signs[1:] != signs[:-1])) if len(signs) > 1 else 0.0
    swing = float(np.median(np.abs(changes)))
    if len(changes) >= 4 and alternating >= ALTERNATES and swing > SWING * span:
        what = (
            f"The training loss swings: over the last {len(changes) + 1} rows of history it typically changed by "
            f"{swing:.3g} and turned {alternating:.0%} of the time"
        )
    elif last - least > max(0.2 * span, 0.5 * (least - loss.floor)):
        what = f"The training loss has risen from {least:.4g} to {last:.4g}"
    elif min(last, loss.batches[-1] if loss.batches else last) > chance + 0.1 * span and last >= loss.rows[0]:
        what = f"The training loss, {last:.4g}, stays above the chance level and does not fall"
    else:
        return []
    return [
        Finding(
            "learning-rate-high",
            "",
            f"{what}; the best constant prediction has {chance:.4g}. One step changes the weights by "
            f"{_now(found):.1e} of their length (median over the matrices).",
            "Steps this large jump over what they should descend into.",
            f"Lower optimizer.lr, {plan.config.optimizer.lr:g}, tenfold; set training.clip_norm = 1; or let the rate "
            "rise slowly with schedule.warm_up = 1.",
            "problem",
        )
    ]


def _slow(plan: Plan, found: Updates, loss: Loss) -> list[Finding]:
    if loss.moved or loss.settled or loss.start is None or not loss.rows or not 0 < found.typical < 10 * LOW:
        return []
    factor = min(HEALTHY / found.typical, 1e4)
    return [
        Finding(
            "learning-rate-low",
            "",
            f"The training loss went from {loss.start:.4g} to {loss.rows[-1]:.4g}, hardly at all (the best constant "
            f"prediction has {loss.chance:.4g}), and one step at the highest rate changes the weights by "
            f"{found.typical:.1e} of their length (median over the matrices).",
            "Around 1e-3 is healthy; at this size the weights stay where they started.",
            f"Raise optimizer.lr from {plan.config.optimizer.lr:g} to about {plan.config.optimizer.lr * factor:.0e}.",
            "problem" if found.typical < LOW else "hint",
        )
    ]


def _jumps(plan: Plan, found: Updates, loss: Loss) -> list[Finding]:
    if found.cold:
        return []
    far = [one for one in found.matrices if one.ratio * found.now > HIGH and one.size > SMALL]
    if not far:
        return []
    largest = max(one.ratio for one in far) * found.now
    return [
        Finding(
            "update-ratio-high",
            several([one.name for one in far]),
            f"One step changes {several([f'{one.name} by {one.ratio * found.now:.2g}' for one in far])} of its length.",
            "Around 1e-3 is healthy; above 1e-1 a step replaces what earlier ones have learnt.",
            f"Lower optimizer.lr, {plan.config.optimizer.lr:g}, by about {min(max(3, largest / 1e-2), 1e6):.0f}, or "
            "set training.clip_norm = 1.",
            "problem" if largest > 1 and loss.learnt < 0.5 and loss.rows else "hint",
        )
    ]


def _behind(found: Updates) -> list[Finding]:
    fastest = max((one.ratio for one in found.matrices if isfinite(one.ratio)), default=0.0)
    behind = [one for one in found.matrices if one.ratio * found.highest < LOW and one.ratio < BEHIND * fastest]
    if not behind or fastest * found.highest < LOW:
        return []
    return [
        Finding(
            "update-ratio-low",
            several([one.name for one in behind]),
            f"One step changes {several([f'{one.name} by {one.ratio * found.highest:.1e}' for one in behind])} of its "
            f"length, and the fastest matrix by {fastest * found.highest:.1e}.",
            "Around 1e-3 is healthy; below 1e-5 a matrix stays where it started while the others learn.",
            "Use an optimizer that scales each step by its gradient (optimizer.kind = 'adam'), or norm layers "
            "(network.norm = 'batch', kind 'batch_norm' in network.layers).",
            "hint",
        )
    ]


def _now(found: Updates) -> float:
    return found.typical * found.now / found.highest
