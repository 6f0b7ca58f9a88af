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
from .measure import Contestant, calling

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


def contestant(name: str, p: Plan, networks: int | None = None) -> Contestant:
    """The training; or that of several seeds together, of which a step is a step of all."""
    return calling(name, as_trained(p, networks), p.backend.scope, p.backend.wait)


def as_trained(p: Plan, networks: int | None = None) -> Callable[[], int]:
    """A function that does as many steps as the training takes at once, and says how many; call it in the scope."""
    with p.backend.scope():
        if networks is None:
            found: Any = loop.stepping(p, resident(p), start(p), None)
        else:
            plans = [reseeded(p, seed) for seed in range(networks)]
            found = population.stepping(plans, resident(p), {i: begin(one) for i, one in enumerate(plans)}, None)
    step = 0

    def call() -> int:
        nonlocal step
        many = found.ahead(step, _LONG) if isinstance(found, Programmed | SideBySide) else 0
        if many:
            found.run(step, many, 0.0)
        else:
            found(step)
        step += many or 1
        return many or 1

    return call


def described(p: Plan) -> str:
    """What the plan decided."""
    kernels = p.backend.kernels
    compiled = "no compiled kernels" if kernels is None else f"kernels in C on {kernels.threads} thread(s)"
    return f"{p.backend!r}, {compiled}"
