"""Our own steps, as a training takes them."""

from collections.abc import Callable
from itertools import count
from typing import Any

import chainrule as cr
from chainrule.data import Split
from chainrule.training.config import DataOptions
from chainrule.training.plan import Plan, plan, reseeded
from chainrule.training.population import Stacked
from chainrule.training.step import Stepper, resident, start

from .cases import Case, noise
from .measure import Contestant, stepping

AUTO, FLOAT32, STACKED = "ours", "ours, float32", "ours, 16 seeds stacked"
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


def stacked(p: Plan, n: int = 16) -> Contestant:
    """`n` seeds of the training, stacked: a step of all."""
    plans, numbers = [reseeded(p, seed) for seed in range(n)], count()
    with p.backend.scope():
        advance = Stacked(plans, resident(p), [start(one) for one in plans])
    return stepping(STACKED, lambda: advance(next(numbers))[0], p.backend.scope)


def contestant(name: str, p: Plan) -> Contestant:
    return stepping(name, next_step(p), p.backend.scope, lambda _: p.backend.wait())


def described(p: Plan) -> str:
    """What the plan decided."""
    kernels = p.backend.kernels
    compiled = "no compiled kernels" if kernels is None else f"kernels in C on {kernels.threads} thread(s)"
    return f"{p.backend!r}, {compiled}"
