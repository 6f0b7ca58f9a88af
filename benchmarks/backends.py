"""Time of one step of a long training on each backend and precision, for networks from tiny to wide.

    python benchmarks/backends.py            # a table: median of 5 rounds, smallest and largest in brackets

Adam, kernels in C; on NumPy steps are programs. The backends alternate within a round, so that what else the machine
does falls on all of them. `SMALL_STEP` and `FEW` in backends/choice.py are read off such tables.
"""

import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter, sleep

import numpy as np
from peers.measure import PAUSE
from peers.ours import as_trained

import chainrule as cr
from chainrule.text import columns
from chainrule.training.plan import Plan, plan

CASES = [  # n_in, hidden, batch
    (64, [100], 32),
    (64, [256], 64),
    (128, [256, 256], 64),
    (784, [128], 64),
    (784, [256], 128),
    (3072, [50], 200),
    (3072, [350], 200),
    (784, [512, 512], 128),
    (784, [1024, 1024], 256),
    (3072, [2000, 700], 256),
]
COMPUTES = {
    "numpy float32": cr.Compute(backend="numpy", precision="float32"),
    "torch float32": cr.Compute(backend="torch", precision="float32", device="cpu"),
    "torch bfloat16": cr.Compute(backend="torch", precision="bfloat16", device="cpu"),
}
ROUNDS, SECONDS = 5, 0.3
LONG = 10**7  # steps: with kernels in C, and no row of history among those measured


def decided(n_in: int, hidden: list[int], batch: int, compute: cr.Compute) -> Plan:
    rng = np.random.default_rng(0)
    data = cr.Dataset("noise", rng.integers(0, 256, (4000, n_in)).astype(np.uint8), rng.integers(0, 10, 4000),
                      "classification", tuple("0123456789"))  # fmt: skip
    config = cr.Config(optimizer=cr.Adam(), compute=compute, evaluation=cr.Evaluation(every_steps=LONG),
                       training=cr.Training(batch_size=batch, iterations=LONG))  # fmt: skip
    return plan(config, data, cr.mlp(hidden))


def milliseconds(p: Plan, steps: Callable[[], int]) -> float:
    with p.backend.scope():
        begin = perf_counter()
        while perf_counter() - begin < SECONDS / 10:
            steps()
        p.backend.wait()
        begin, n = perf_counter(), 0
        while perf_counter() - begin < SECONDS:
            n += steps()
        p.backend.wait()
        return 1e3 * (perf_counter() - begin) / n


def main() -> None:
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "?",
    )
    print(f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}", file=sys.stderr)
    rows = []
    for n_in, hidden, batch in CASES:
        plans = {name: decided(n_in, hidden, batch, compute) for name, compute in COMPUTES.items()}
        steps = {name: as_trained(p) for name, p in plans.items()}
        times: dict[str, list[float]] = {name: [] for name in plans}
        for _ in range(ROUNDS):
            for name, p in plans.items():
                sleep(PAUSE)
                times[name].append(milliseconds(p, steps[name]))
        flops = 3 * plans["numpy float32"].network.flops_per_row * batch
        shown = [f"{median(t):.3f} [{min(t):.3f}, {max(t):.3f}]" for t in times.values()]
        rows.append(["-".join(map(str, [n_in, *hidden, 10])), batch, f"{flops / 1e6:,.1f}", *shown])
    print(columns(["network", "batch", "MFLOP", *(f"{name}, ms" for name in COMPUTES)], rows, right=(1, 2, 3, 4, 5)))


if __name__ == "__main__":
    main()
