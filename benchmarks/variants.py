"""Network C of `peers` with one part exchanged, and the recipe for tables: ours, ours without kernels in C, PyTorch.

    python benchmarks/variants.py            # a table: median of 5 rounds, smallest and largest in brackets

One thread, Adam, batch 32 of 1,797 rows; the table has 5,000 rows of 20 columns, batch 128. PyTorch is eager, its Adam
fused, its rows in memory. The three alternate within a round.
"""

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from peers.cases import CASES, batches, noise
from peers.measure import calling, rounds, stepping
from peers.ours import as_trained
from torch import nn
from torch.nn.functional import cross_entropy, huber_loss, mse_loss

import chainrule as cr
from chainrule.data import Split
from chainrule.recipes import tabular
from chainrule.text import columns
from chainrule.training.config import DataOptions
from chainrule.training.plan import Plan, plan

CASE = CASES["C"]
X, Y = noise(CASE)
WEIGHT = np.random.default_rng(1).uniform(0.5, 2, len(X))
ROUNDS, SECONDS, LONG = 5, 0.3, 10**7
LABELS = tuple("0123456789")


@dataclass(frozen=True)
class Variant:
    """middle: PyTorch's layers between the two linear ones, which our `options` of `mlp` give too."""

    middle: Callable[[], list[nn.Module]]
    options: dict[str, Any] = field(default_factory=dict)
    loss: Any = None
    weighted: bool = False
    clip: float | None = None
    batch: int = CASE.batch


def relu() -> list[nn.Module]:
    return [nn.ReLU()]


VARIANTS = {
    "ReLU": Variant(relu),
    "leaky ReLU": Variant(lambda: [nn.LeakyReLU()], {"activation": "leaky_relu"}),
    "tanh": Variant(lambda: [nn.Tanh()], {"activation": "tanh"}),
    "sigmoid": Variant(lambda: [nn.Sigmoid()], {"activation": "sigmoid"}),
    "GELU": Variant(lambda: [nn.GELU()], {"activation": "gelu"}),
    "SiLU": Variant(lambda: [nn.SiLU()], {"activation": "silu"}),
    "SELU": Variant(lambda: [nn.SELU()], {"activation": "selu"}),
    "Mish": Variant(lambda: [nn.Mish()], {"activation": "mish"}),
    "batch norm": Variant(lambda: [nn.BatchNorm1d(100), nn.ReLU()], {"norm": "batch"}),
    "layer norm": Variant(lambda: [nn.LayerNorm(100), nn.ReLU()], {"norm": "layer"}),
    "dropout 0.3": Variant(lambda: [nn.ReLU(), nn.Dropout(0.3)], {"dropout": 0.3}),
    "weighted rows": Variant(relu, weighted=True),
    "clipped at 1": Variant(relu, clip=1.0),
    "squared error": Variant(relu, loss=cr.SquaredError()),
    "Huber": Variant(relu, loss=cr.Huber()),
    "batches of 1": Variant(relu, batch=1),
}


def planned(
    network: Any, data: cr.Dataset, compiled: str, batch: int, clip: float | None = None, **options: Any
) -> Plan:
    config = cr.Config(
        data=DataOptions(
            split=Split(test=0, validation=0, order="file"), preprocessing=options.pop("preprocessing", "auto")
        ),
        optimizer=options.pop("optimizer", cr.Adam(CASE.lr)),
        training=cr.Training(batch_size=batch, iterations=LONG, clip_norm=clip),
        evaluation=cr.Evaluation(every_steps=LONG),
        compute=cr.Compute(device="cpu", threads=1, compiled=compiled),
        **options,
    )
    return plan(config, data, network)


def ours(name: str, compiled: str) -> Plan:
    one = VARIANTS[name]
    numbers = one.loss is not None
    y, task, labels = (X[:, :1].astype(float), "regression", ("y",)) if numbers else (Y, "classification", LABELS)
    data = cr.Dataset("noise", X, y, task, labels, weight=WEIGHT if one.weighted else None)
    return planned(cr.mlp(CASE.hidden, **one.options), data, compiled, one.batch, one.clip, loss=one.loss)


def table(compiled: str) -> Plan:
    rng = np.random.default_rng(0)
    data = cr.Dataset("table", rng.normal(size=(5000, 20)), rng.integers(0, 2, 5000), "classification", ("a", "b"))
    recipe = tabular("classification")
    chosen = {name: recipe[name] for name in ("optimizer", "schedule", "preprocessing")}
    return planned(recipe["network"], data, compiled, 128, **chosen)


def pytorch(name: str) -> Callable[[], Any]:
    """A step, as PyTorch's users write it."""
    one, loss = VARIANTS[name], VARIANTS[name].loss
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 100), *one.middle(), nn.Linear(100, 1 if loss else 10))
    rule = torch.optim.Adam(model.parameters(), lr=CASE.lr, fused=True)
    x, weight = torch.from_numpy(X), torch.from_numpy(WEIGHT.astype(np.float32))
    target = x[:, :1].clone() if loss else torch.from_numpy(Y)
    criterion = {"squared_error": mse_loss, "huber": huber_loss}[loss.kind] if loss else cross_entropy
    order: Iterator[np.ndarray] = batches(replace(CASE, batch=one.batch))

    def step() -> None:
        rows = torch.from_numpy(next(order))
        rule.zero_grad()
        if one.weighted:
            each = criterion(model(x[rows]), target[rows], reduction="none")
            total = (weight[rows] * each).sum() / weight[rows].sum()
        else:
            total = criterion(model(x[rows]), target[rows])
        total.backward()
        if one.clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), one.clip)
        rule.step()

    return step


def measured(plans: dict[str, Plan], step: Callable[[], Any] | None) -> list[str]:
    taking = [calling(name, as_trained(p), p.backend.scope, p.backend.wait) for name, p in plans.items()]
    times = rounds([*taking, *([stepping("PyTorch", step, nullcontext)] if step else [])], ROUNDS, SECONDS)
    shown = [f"{median(t):.3f} [{min(t):.3f}, {max(t):.3f}]" for t in times.values()]
    ratios = [median(a / b for a, b in zip(times[name], times["ours"], strict=True)) for name in list(times)[1:]]
    return [*shown, *([] if step else ["-"]), *(f"{ratio:.1f}" for ratio in ratios), *([] if step else ["-"])]


def main() -> None:
    torch.set_num_threads(1)
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), "?")
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, torch {torch.__version__}"
    print(f"{cpu}, {os.cpu_count()} cores, {versions}")
    ways = {"ours": "auto", "without kernels": "never"}
    rows = [[name, *measured({way: ours(name, how) for way, how in ways.items()}, pytorch(name))] for name in VARIANTS]
    rows.append(["recipe for tables", *measured({way: table(how) for way, how in ways.items()}, None)])
    heads = ["", "ours, ms", "ours without kernels", "PyTorch", "without / ours", "PyTorch / ours"]
    print(columns(heads, rows, right=(1, 2, 3, 4, 5)))


if __name__ == "__main__":
    main()
