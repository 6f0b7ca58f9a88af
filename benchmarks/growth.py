"""How the time of one training step grows: with width, depth, batch, rows, and the number of networks trained together.

    python benchmarks/growth.py --out growth    # growth/growth.txt, growth.json and an SVG for each, in two minutes

One thing grows, the others stay as in BASE, or in SMALL for networks together. The points of one curve alternate within
a round. Threads: $OMP_NUM_THREADS, or every core.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, floor, log10
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from peers.ours import as_trained

import chainrule as cr
from chainrule.data import Split
from chainrule.text import columns
from chainrule.training.config import DataOptions
from chainrule.training.plan import Plan, plan

LONG = 10**7  # steps: a run long enough for kernels in C, with no row of history among those measured


@dataclass(frozen=True)
class Shape:
    """What is trained: n_in-width-...-width-10 on uint8 rows, Adam. networks: None trains one as a training does."""

    width: int = 512
    depth: int = 2
    batch: int = 128
    rows: int = 10_000
    networks: int | None = None
    n_in: int = 784


BASE = Shape()
SMALL = Shape(width=64, depth=1, batch=32, n_in=64)
CURVES = {  # name: (the rest, what grows, points)
    "width": (BASE, "width", [64, 128, 256, 512, 1024, 2048]),
    "depth": (BASE, "depth", [1, 2, 4, 8, 16]),
    "batch": (BASE, "batch", [16, 32, 64, 128, 256, 512]),
    "rows": (BASE, "rows", [1_000, 3_000, 10_000, 30_000, 100_000]),
    "networks": (SMALL, "networks", [1, 2, 4, 8, 16, 32]),
}


def planned(shape: Shape) -> Plan:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (shape.rows, shape.n_in), np.uint8)
    data = cr.Dataset("noise", X, rng.integers(0, 10, shape.rows), "classification", tuple("0123456789"))
    config = cr.Config(
        data=DataOptions(split=Split(test=0, validation=0, order="file")),
        training=cr.Training(batch_size=shape.batch, iterations=LONG),
        evaluation=cr.Evaluation(every_steps=LONG),
        compute=cr.Compute(device="cpu"),
    )
    return plan(config, data, cr.mlp([shape.width] * shape.depth))


def milliseconds(p: Plan, steps: Callable[[], int], seconds: float) -> float:
    with p.backend.scope():
        for _ in range(3):
            steps()
        p.backend.wait()
        begin, n = perf_counter(), 0
        while n < 3 or perf_counter() - begin < seconds:
            n += steps()
        p.backend.wait()
        return 1e3 * (perf_counter() - begin) / n


def measured(name: str, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """One curve."""
    base, what, values = CURVES[name]
    shapes = [replace(base, **{what: value}) for value in values]
    plans = [planned(shape) for shape in shapes]
    steps = [as_trained(p, shape.networks) for p, shape in zip(plans, shapes, strict=True)]
    times: list[list[float]] = [[] for _ in plans]
    for _ in range(rounds):
        for p, step, found in zip(plans, steps, times, strict=True):
            found.append(milliseconds(p, step, seconds))
    return [
        {"value": value, "ms": found, "parameters": p.network.n_parameters * (shape.networks or 1),
         "flops": 3 * p.network.flops_per_row * shape.batch * (shape.networks or 1), "backend": repr(p.backend)}
        for value, found, p, shape in zip(values, times, plans, shapes, strict=True)
    ]  # fmt: skip


def table(name: str, points: list[dict[str, Any]]) -> str:
    """exponent: e where the time grew as the value to the power of e since the point before."""
    rows, before = [], None
    for point in points:
        ms = point["ms"]
        e = "" if before is None else f"{log10(median(ms) / before[1]) / log10(point['value'] / before[0]):.2f}"
        before = point["value"], median(ms)
        rows.append([f"{point['value']:,}", f"{point['parameters']:,}", f"{point['flops'] / 1e6:,.1f}", len(ms),
                     f"{median(ms):.4g}", f"{min(ms):.4g}", f"{max(ms):.4g}", e,
                     f"{point['flops'] / median(ms) / 1e6:,.0f}", point["backend"].split(",")[0]])  # fmt: skip
    header = [name, "parameters", "MFLOP", "n", "median, ms", "smallest", "largest", "exponent", "GFLOP/s", "backend"]
    return columns(header, rows, right=range(9))


def svg(name: str, points: list[dict[str, Any]]) -> str:
    """Both axes logarithmic; bars from smallest to largest; the dashed line grows in proportion from the last point."""
    width, height, left, bottom, top, right = 520, 360, 64, 48, 40, 24
    xs, ys = [p["value"] for p in points], [median(p["ms"]) for p in points]
    x0, x1 = log10(xs[0]), log10(xs[-1])
    y0, y1 = (f(log10(g(g(p["ms"]) for p in points))) for f, g in ((floor, min), (ceil, max)))
    y1 = max(y1, y0 + 1)

    def at(x: float, y: float) -> tuple[float, float]:
        across, up = (log10(x) - x0) / (x1 - x0), (log10(y) - y0) / (y1 - y0)
        return left + across * (width - left - right), height - bottom - up * (height - bottom - top)

    def line(a: tuple[float, float], b: tuple[float, float], style: str) -> str:
        return f'<line x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" {style}/>'

    def text(x: float, y: float, what: str, anchor: str = "middle") -> str:
        return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{what}</text>'

    parts = [text(left, 22, f"One training step against {name}", "start")]
    for k in range(y0, y1 + 1):
        parts += [line(at(xs[0], 10**k), at(xs[-1], 10**k), 'stroke="#ddd"')]
        parts += [text(left - 8, at(xs[0], 10**k)[1] + 4, f"{10.0**k:g} ms", "end")]
    parts += [text(at(x, 10**y0)[0], height - bottom + 18, f"{x:,}") for x in xs]
    parts += [text((left + width - right) / 2, height - 10, name)]
    low = max(xs[0], xs[-1] * 10**y0 / ys[-1])  # where the dashed line leaves the frame
    parts += [line(at(low, ys[-1] * low / xs[-1]), at(xs[-1], ys[-1]), 'stroke="#999" stroke-dasharray="5 4"')]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(at, xs, ys))
    parts += [f'<polyline points="{path}" fill="none" stroke="#1f5fa8" stroke-width="2"/>']
    for x, y, point in zip(xs, ys, points, strict=True):
        parts += [line(at(x, min(point["ms"])), at(x, max(point["ms"])), 'stroke="#1f5fa8"')]
        parts += ['<circle cx="{:.1f}" cy="{:.1f}" r="3.5" fill="#1f5fa8"/>'.format(*at(x, y))]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12" fill="#222"><rect width="{width}" height="{height}" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("growth"), help="folder for the table, JSON and plots")
    parser.add_argument("--curves", type=lambda text: text.split(","), default=list(CURVES), help=",".join(CURVES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a point in a round")
    options = parser.parse_args()
    if unknown := set(options.curves) - set(CURVES):
        parser.error(f"no curve {', '.join(sorted(unknown))}; the curves are {', '.join(CURVES)}")
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    machine = (f"{cpu}, {os.cpu_count()} cores, OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'not set')}, "
               f"load {os.getloadavg()[0]:.2f}, Python {platform.python_version()}, NumPy {np.__version__}, "
               f"n = {options.rounds} rounds of {options.seconds:g} s")  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    shown, results = [machine], {"machine": machine, "curves": {}}
    print(machine)
    for name in options.curves:
        base, what, _ = CURVES[name]
        points = measured(name, options.rounds, options.seconds)
        fixed = ", ".join(f"{k} {v:,}" for k, v in vars(base).items() if k != what and v is not None)
        shown.append(f"{name} ({fixed})\n\n{table(name, points)}")
        print(f"\n{shown[-1]}", flush=True)
        results["curves"][name] = points
        Path(options.out, f"{name}.svg").write_text(svg(name, points))
    Path(options.out, "growth.txt").write_text("\n\n".join(shown) + "\n")
    Path(options.out, "growth.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
