"""A diagnosis in words: what in this network, its data and its history looks unhealthy, why, and what to change.

It is one step, one pass forward and back over 512 rows, and one over 256 rows of the initial network where that is
given. For a step of 200 rows through 3072-350-10 that cost 4 steps, and 5 to 6 with the initial network (medians on one
thread of an AMD EPYC, NumPy and torch, float32 and bfloat16). Every threshold stands, with its reason, in the file of
its findings.
"""

from collections.abc import Sequence
from math import isfinite

from chainrule.diagnosis.chance import chance, floor
from chainrule.diagnosis.data import data_findings, majority_findings
from chainrule.diagnosis.depth import depth_findings
from chainrule.diagnosis.finding import Finding, ordered
from chainrule.diagnosis.probe import ROWS, probe
from chainrule.diagnosis.progress import is_over, progress_findings
from chainrule.diagnosis.units import not_finite, unit_findings
from chainrule.diagnosis.updates import loss_of, update_findings, updates
from chainrule.training.measure import Row
from chainrule.training.plan import Plan
from chainrule.training.step import Resident, State

SETTLING = 100
"""Steps, or one epoch where that is longer, before which neither scores nor ratios are judged, unless training is over:
every network starts at chance, and sigmoid ones stay there for the first dozens of steps."""

LEARNT = 0.5
"""Part of the way from the chance loss to a perfect prediction from which a bad start counts as overcome."""


def diagnose(
    plan: Plan,
    data: Resident,
    state: State,
    step: int,
    history: Sequence[Row],
    initial: State | None = None,
    lr_scale: float = 1.0,
) -> tuple[Finding, ...]:
    """What looks unhealthy in `state`, which is that before training step `step`, or after the last one.

    history: the rows so far. initial: the state before the first step, for findings about how the network starts.
    lr_scale: what the schedule's rate is multiplied by. To be called inside `plan.backend.scope()`; changes nothing.
    """
    step = min(step, plan.n_steps)
    probed = min(step, plan.n_steps - 1)
    now = probe(plan, data, state.parameters, probed)
    start = now if step == 0 else None
    if initial is not None and step > 0:
        start = probe(plan, data, initial.parameters, 0, ROWS // 2)
    over = is_over(plan, history, step)
    after = over or step >= max(SETTLING, plan.batches.per_epoch)
    found = data_findings(plan, data, now)
    broken = not_finite(plan, state, now)
    if broken:
        return ordered([*broken, *found])
    loss = loss_of(history, chance(plan, "train")["loss"], floor(plan, "train"), start.loss if start else None)
    deep = depth_findings(plan, now, start if start and isfinite(start.loss) else None, loss.learnt > LEARNT)
    units = unit_findings(plan, now, any(one.name == "signal-fades" for one in deep))
    blocked = any(one.severity == "problem" for one in (*deep, *units))
    sizes = updates(plan, data, state, step, lr_scale)
    found += [*deep, *units, *update_findings(plan, sizes, loss, blocked, after)]
    if after:  # what the causes above lead to
        found += [*majority_findings(plan, now, history, over), *progress_findings(plan, history, step)]
    return ordered(found)
