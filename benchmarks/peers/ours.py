"""Our own steps, as a training takes them."""

from collections.abc import Callable
from itertools import count
from typing import Any

import chainrule as cr
from chainrule.data import Split
from chainrule.training import loop, population
from chainrule.training.config import DataOptions
from chainrule.training.loop import begin
from chainrule.training.plan import Plan, plan, reseeded
from chainrule.training.programmed import Programmed
from chainrule.training.side_by_side import SideBySide
from chainrule.training.step import Stepper, resident, start

from .cases import Case, noise
from .measure import Contestant, calling, stepping

AUTO, FLOAT32 = "ours", "ours, float32"
STACKED, ON_TWO = "ours, 16 seeds", "ours, 16 seeds, 2 threads"
_LONG = 10**7  # steps: a run long enough for kernels in C, with no row of history among those measured


def planned(case: Case, precision: str, threads: int) -> Plan:
    """The plan of a long training on all rows, on the CPU."""
    X, y = noise(case)
    data = cr.Dataset("noise", X, y, "classification", tuple("0123456789"))
    rule = {"sgd": cr.SGD(case.lr), "adam": cr.Adam(case.lr), "adamw": cr.AdamW(case.lr, case.decay)}[case.rule]
    config = cr.Config(
        data=DataOptions(split=Split(test=0, validation=0, order="file")),
        optimizer=rule,
        training=cr.Training(batch_size=case.batch, iterations=_LONG, penalty=case.penalty),
        evaluation=cr.Evaluation(every_steps=_LONG),
        compute=cr.Compute(device="cpu", precision=precision, threads=threads),
    )
    return plan(config, data, cr.mlp(case.hidden, norm="batch" if case.norm else None, dropout=case.dropout))


def next_step(p: Plan) -> Callable[[], Any]:
    """A function that does one more step of the training and returns the batch's loss; to be called in the scope."""
    with p.backend.scope():
        advance, numbers = Stepper(p, resident(p), start(p)), count()
    return lambda: advance(next(numbers)).loss


def stacked(name: str, p: Plan, n: int = 16) -> Contestant:
    """`n` seeds of the training together: a step of all."""
    plans = [reseeded(p, seed) for seed in range(n)]
    with p.backend.scope():
        advance = population.stacking(plans, resident(p), {i: begin(one) for i, one in enumerate(plans)}, None)
    if isinstance(advance, SideBySide):
        return calling(name, in_calls(advance, lambda step, many: advance.run(step, many, 0.0)), p.backend.scope)
    numbers = count()
    return stepping(name, lambda: advance(next(numbers))[0], p.backend.scope)


def contestant(name: str, p: Plan) -> Contestant:
    with p.backend.scope():
        found = loop.stepping(p, resident(p), start(p), None)
    if isinstance(found, Programmed):
        call = in_calls(found, lambda step, many: found.run(step, found.rules(step, many), 0.0))
        return calling(name, call, p.backend.scope)
    return stepping(name, next_step(p), p.backend.scope, lambda _: p.backend.wait())


def in_calls(stepper: Programmed | SideBySide, run: Callable[[int, int], Any]) -> Callable[[], int]:
    """A function that does as many steps as the training takes at once, and says how many."""
    step = 0

    def call() -> int:
        nonlocal step
        many = stepper.ahead(step, _LONG)
        run(step, many)
        step += many
        return many

    return call


def described(p: Plan) -> str:
    """What the plan decided."""
    kernels = p.backend.kernels
    compiled = "no compiled kernels" if kernels is None else f"kernels in C on {kernels.threads} thread(s)"
    return f"{p.backend!r}, {compiled}"
