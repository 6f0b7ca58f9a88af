"""Time of one training step on each backend and precision, for networks from tiny to wide.

    python benchmarks/backends.py            # a table: median of 5 rounds, smallest and largest in brackets

The backends alternate within a round, so that what else the machine does falls on all of them. `SMALL_STEP` in
backends/choice.py is read off this table.
"""

import os
import platform
import sys
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

import chainrule as cr
from chainrule.text import columns
from chainrule.training.plan import Plan, plan
from chainrule.training.step import resident, start, train_step

CASES = [  # n_in, hidden, batch
    (64, [100], 32),
    (64, [256], 64),
    (128, [256, 256], 64),
    (784, [128], 64),
    (784, [256], 128),
    (3072, [50], 200),
    (3072, [350], 200),
    (784, [1024, 1024], 256),
]
COMPUTES = {
    "numpy float32": cr.Compute(backend="numpy", precision="float32"),
    "torch float32": cr.Compute(backend="torch", precision="float32", device="cpu"),
    "torch bfloat16": cr.Compute(backend="torch", precision="bfloat16", device="cpu"),
}
ROUNDS, SECONDS = 5, 0.3


def decided(n_in: int, hidden: list[int], batch: int, compute: cr.Compute) -> Plan:
    rng = np.random.default_rng(0)
    data = cr.Dataset("noise", rng.integers(0, 256, (4000, n_in)).astype(np.uint8), rng.integers(0, 10, 4000),
                      "classification", tuple("0123456789"))  # fmt: skip
    config = replace(cr.Config(), optimizer=cr.SGD(1e-3), compute=compute, training=cr.Training(batch_size=batch))
    return plan(config, data, cr.mlp(hidden))


def milliseconds(p: Plan) -> float:
    with p.backend.scope():
        data, state = resident(p), start(p)
        for step in range(5):
            state, *_ = train_step(p, data, state, step)
        p.backend.wait()
        begin, n = perf_counter(), 0
        while perf_counter() - begin < SECONDS:
            state, *_ = train_step(p, data, state, n)
            n += 1
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
        times: dict[str, list[float]] = {name: [] for name in plans}
        for _ in range(ROUNDS):
            for name, p in plans.items():
                times[name].append(milliseconds(p))
        flops = 3 * plans["numpy float32"].network.flops_per_row * batch
        shown = [f"{median(t):.3f} [{min(t):.3f}, {max(t):.3f}]" for t in times.values()]
        rows.append(["-".join(map(str, [n_in, *hidden, 10])), batch, f"{flops / 1e6:,.1f}", *shown])
    print(columns(["network", "batch", "MFLOP", *(f"{name}, ms" for name in COMPUTES)], rows, right=(1, 2, 3, 4, 5)))


if __name__ == "__main__":
    main()
