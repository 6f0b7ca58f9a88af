"""A step of two processes with one thread each, beside one process with two threads and the same batch:

    torchrun --standalone --nproc-per-node=2 benchmarks/ranks.py        # two minutes where nothing else runs

Both take turns in the same processes: rank 1 sleeps while rank 0 trains alone. What is compared is the processor time
of a step, of all threads and processes together, which other work on the machine disturbs less than the clock. The
last figure is the clock's, of a sum over the ranks of as many float32 numbers as the network has parameters.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

import chainrule as cr
from chainrule.backends import World
from chainrule.backends.world import joined
from chainrule.data import Dataset
from chainrule.training import Config
from chainrule.training.config import DataOptions
from chainrule.training.plan import Plan, plan
from chainrule.training.step import Stepper, resident, start

ROWS, CLASSES = 10_000, 10
CASES = {
    "A": (cr.mlp([350]), 200, cr.SGD(lr=0.01), 1e-4),
    "B": (cr.mlp([2000, 700], norm="batch", dropout=0.4), 256, cr.AdamW(), 0.0),
}


def planned(name: str, precision: Any, threads: int) -> Plan:
    network, batch, rule, penalty = CASES[name]
    draw = np.random.default_rng(0)
    X, y = draw.integers(256, size=(ROWS, 3072)).astype(np.uint8), draw.integers(CLASSES, size=ROWS)
    data = Dataset("noise", X, y, "classification", tuple(map(str, range(CLASSES))))
    config = Config(
        data=DataOptions(split=cr.Split(validation=0.1, test=0.1)),
        optimizer=rule,
        training=cr.Training(batch_size=batch, penalty=penalty, iterations=10**6),
        evaluation=cr.Evaluation(every_steps=10**6),
        compute=cr.Compute(backend="torch", precision=precision, threads=threads),
    )
    return plan(config, data, network)


def stepping(decided: Plan) -> Callable[[int], float]:
    """Milliseconds of the processor that each of so many more steps takes."""
    with decided.backend.scope():
        stepper, done = Stepper(decided, resident(decided), start(decided)), 0

    def steps(n: int) -> float:
        nonlocal done
        with decided.backend.scope():
            begin = process_time()
            for step in range(done, done + n):
                stepper(step)
            done += n
            return 1e3 * (process_time() - begin) / n

    return steps


def idle(steps: int) -> float:  # noqa: ARG001
    return float("nan")


def summing(world: World, n: int) -> list[float]:
    """Milliseconds of the clock that a sum of n numbers takes."""
    numbers = torch.zeros(n)
    times = []
    for _ in range(9):
        world.sum(torch.zeros(1))
        begin = perf_counter()
        world.sum(numbers)
        times.append(1e3 * (perf_counter() - begin))
    return times


def measured(world: World, name: str, precision: str, threads: int, rounds: int, n: int) -> str:
    shared = planned(name, precision, 1)
    together = stepping(replace(shared, world=world))
    alone = stepping(planned(name, precision, threads)) if world.rank == 0 else idle
    found = []
    for _ in range(rounds + 1):
        one = alone(n)
        world.largest([0.0])  # rank 1 waits for its turn
        found.append((one, *world.exchange(together(n))))
    ones, *ranks = zip(*found[1:], strict=True)  # the first round warms up
    both = [sum(two) for two in zip(*ranks, strict=True)]
    ratios = [two / one for one, two in zip(ones, both, strict=True)]
    sent = summing(world, shared.network.n_parameters)

    def shown(values: Sequence[float]) -> str:
        return f"{median(values):.3g} [{min(values):.3g}, {max(values):.3g}]"

    return f"| {name} | {precision} | {shown(ones)} | {shown(both)} | {shown(ratios)} | {shown(sent)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=50, help="in a round")
    parser.add_argument("--threads", type=int, default=2, help="of one process")
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    options = parser.parse_args()
    with joined() as world:
        for name in CASES:
            for precision in options.precisions:
                line = measured(world, name, precision, options.threads, options.rounds, options.steps)
                if world.rank == 0:
                    print(line, flush=True)


if __name__ == "__main__":
    main()
