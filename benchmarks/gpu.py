"""On a GPU: that recorded steps are right, and what the trainings of docs/performance.md take there.

    python -m benchmarks.gpu [--out FILE] [--part checks layers composed steps peers whole kernels]

Cases are those of `benchmarks.peers`. What the first use of the kernels takes to build falls into the first of `whole`.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from benchmarks.peers.cases import CASES, Case, noise

import chainrule as cr
from chainrule.backends import choose
from chainrule.data import Split
from chainrule.seeds import bits
from chainrule.training.config import DataOptions
from chainrule.training.loop import fit
from chainrule.training.plan import Plan, plan, reseeded
from chainrule.training.population import StackedOnGpu, fit_together
from chainrule.training.position import Progress
from chainrule.training.recorded import Recorded, recordable
from chainrule.training.step import resident, start
from chainrule.training.watch import Watch

LONG = 10**6
SMALL = Case("small", 300, (64, 32), 100, 3_000, "sgd", lr=0.05, penalty=1e-3, norm=True, dropout=0.3)


def planned(case: Case, precision: str = "bfloat16", **options: Any) -> Plan:
    """The plan of a training of the case on the GPU."""
    X, y = noise(case)
    data = cr.Dataset("noise", X, y, "classification", tuple("0123456789"))
    rule = {"sgd": cr.SGD(case.lr), "adam": cr.Adam(case.lr), "adamw": cr.AdamW(case.lr, case.decay)}[case.rule]
    config = cr.Config(
        data=DataOptions(split=Split(test=0, validation=0.1)),
        optimizer=rule,
        training=cr.Training(batch_size=case.batch, penalty=case.penalty, **options),
        compute=cr.Compute("torch", "cuda", precision),
    )
    return plan(config, data, cr.mlp(case.hidden, norm="batch" if case.norm else None, dropout=case.dropout))


def by_plain_operations(on: Plan) -> Plan:
    """The same run, without kernels and recordings."""
    compute = cr.Compute("torch", "cuda", on.backend.precision, compiled="never")
    return replace(on, backend=choose(compute, 0.0))


class Keeping(Watch):
    """Keeps a copy of where the run stands after `step` steps."""

    def __init__(self, step: int) -> None:
        self.step, self.kept = step, None

    def wants(self, step: int) -> bool:
        return step == self.step

    def keep(self, progress: Progress) -> None:
        if progress.now.step == self.step:
            copied = progress.now.state.copied(lambda array: array.clone())
            here = progress.now._replace(state=copied, batch_losses=progress.now.batch_losses + 0)
            self.kept = replace(progress, now=here, anchor=here)


def checks() -> dict[str, Any]:
    """Masks, the bits of runs that go on, and the distance to the plain operations."""
    found: dict[str, Any] = {}
    for precision in ("float32", "bfloat16"):
        on = planned(SMALL, precision, epochs=400)
        found[f"masks are NumPy's, {precision}"] = same_masks(on)
        training, data = on.config.training, on.config.data
        changes: dict[str, dict[str, Any]] = {
            "sgd": {},
            "clipped": {"training": replace(training, clip_norm=0.5)},
            "momentum": {"optimizer": cr.SGD(0.05, momentum=0.9)},
            "nesterov": {"optimizer": cr.SGD(0.02, 0.9, True)},
            "rmsprop": {"optimizer": cr.RMSprop(1e-3)},
            "adamw": {"optimizer": cr.AdamW(1e-3, 0.1)},
            "replacement": {"training": replace(training, replacement=True)},
            "mixup": {"data": replace(data, augment=cr.Augment(mixup=0.4))},
        }
        for name, change in changes.items():
            config = replace(on.config, **change)
            batches = replace(on.batches, replacement=config.training.replacement)
            found[f"{name}, {precision}"] = checked(replace(on, config=config, batches=batches, n_steps=60, every=20))
        one = replace(on, n_steps=60, every=20)
        plans = [reseeded(one, seed) for seed in range(4)]
        ends = fit_together(plans, [Watch()] * 4)
        apart = [abs(loss(fit(alone)) - loss(end)) for alone, end in zip(plans, ends, strict=True)]
        found[f"4 stacked, {precision}: train loss apart from alone"] = max(apart)
    return found


def same_masks(on: Plan) -> bool:
    """Whether a mask drawn on the GPU is where NumPy's stream says."""
    context = on.backend.context(training=True, seed=7, step=2**33)
    mask = on.backend.numpy(context.mask("2", 33, 41, 0.4, on.backend.dtype))
    draws = bits(7, "dropout/2", 2**33).random_raw(-(-33 * 41 // 4)).view(np.uint16)[: 33 * 41].reshape(33, 41)
    return bool(((mask > 0) == (draws >= round(0.4 * 65536))).all())


def checked(on: Plan) -> dict[str, Any]:
    """A run, the same gone on with from its middle, and the same by the plain operations."""
    if not recordable(on):
        raise RuntimeError(f"{on.backend} does not record these steps")
    keeping = Keeping(31)
    ours = fit(on, watch=keeping)
    again, theirs = fit(on, lambda _: keeping.kept), fit(by_plain_operations(on))
    parameters, plain = ours.now.state.parameters, theirs.now.state.parameters
    return {
        "resumed to the same bits": all(
            torch.equal(value, again.now.state.parameters[name]) for name, value in parameters.items()
        ),
        "weights apart from plain operations": max(
            float((parameters[name] - plain[name]).norm() / plain[name].norm()) for name in on.network.weights
        ),
        "train loss": [loss(ours), loss(theirs)],
    }


def loss(end: Progress) -> float:
    return float(end.history[-1]["train_loss"])


def layers() -> dict[str, Any]:
    """Losses, activations and norms, recorded: the validation loss after 60 steps, and that of the plain operations."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2_000, 30)).astype(np.float32), rng.normal(size=2_000)
    regression = cr.Dataset("n", X, y, "regression", ("y",))
    counts = cr.Dataset("n", X, np.abs(y), "regression", ("y",))
    labels = cr.Dataset("n", X, (X[:, :3] > 0).astype(int), "multilabel", ("a", "b", "c"))
    classes = cr.Dataset("n", X, (X[:, 0] > 0).astype(int), "classification", ("a", "b"))
    smooth = cr.SoftmaxCrossEntropy(0.1)
    tried = [(cr.SquaredError(), regression), (cr.Huber(), regression), (cr.Poisson(), counts),
             (cr.SigmoidCrossEntropy(), labels), (smooth, classes)]  # fmt: skip
    settings = [(one, data, "relu", "none") for one, data in tried]
    activations = ("leaky_relu", "tanh", "sigmoid", "gelu", "silu", "selu", "mish")
    settings += [(smooth, classes, one, "layer") for one in activations]
    found: dict[str, Any] = {}
    for one, data, activation, norm in settings:
        for precision in ("bfloat16", "float32"):
            config = cr.Config(loss=one, training=cr.Training(iterations=LONG, batch_size=50),
                               compute=cr.Compute("torch", "cuda", precision))  # fmt: skip
            on = plan(config, data, cr.mlp([32, 32], activation=activation, norm=norm, dropout=0.1))
            on = replace(on, n_steps=60, every=30)
            ends = [fit(way).history[-1]["validation_loss"] for way in (on, by_plain_operations(on))]
            found[f"{one.kind}, {activation}, {norm} norm, {precision}"] = ends
    return found


def composed() -> dict[str, Any]:
    """Residual blocks, members, periodic embeddings: validation losses recorded, launched, seeds alone and stacked."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2_000, 30)).astype(np.float32)
    data = cr.Dataset("n", X, (X[:, 0] > 0).astype(int), "classification", ("a", "b"))
    inside = (cr.BatchNorm(), cr.ReLU(), cr.Linear(36), cr.Dropout(0.1), cr.LayerNorm(), cr.GELU(), cr.Linear(36))
    networks = {
        "residual": cr.Network((cr.Linear(36), cr.Residual(body=inside), cr.ReLU(), cr.Linear())),
        "members": cr.mlp([36, 36], members=4, norm="batch", dropout=0.1),
        "periodic": cr.mlp([36, 36], embedding=cr.PeriodicEmbedding(4)),
    }
    found: dict[str, Any] = {}
    for name, network in networks.items():
        for precision in ("bfloat16", "float32"):
            training = cr.Training(iterations=LONG, batch_size=50, penalty=1e-4)
            config = cr.Config(
                training=training, optimizer=cr.SGD(0.05), compute=cr.Compute("torch", "cuda", precision)
            )
            on = replace(plan(config, data, network), n_steps=60, every=30)
            many = [reseeded(on, seed) for seed in range(3)]
            ends = {"recorded": [fit(on)], "launched": [fit(by_plain_operations(on))],
                    "alone": [fit(one) for one in many], "stacked": fit_together(many, [Watch()] * 3)}  # fmt: skip
            told = {way: [end.history[-1]["validation_loss"] for end in of] for way, of in ends.items()}
            found[f"{name}, {precision}"] = told | {"same again": loss(fit(on)) == loss(ends["recorded"][0])}
    return found


def rounds(step: Callable[[], Any], n: int = 7, at_least: float = 0.15) -> dict[str, float]:
    """Microseconds of a step: median and range of n rounds."""
    for _ in range(20):
        step()
    torch.cuda.synchronize()
    times, length = list[float](), 50
    while len(times) < n:
        began = perf_counter()
        for _ in range(length):
            step()
        torch.cuda.synchronize()
        seconds = perf_counter() - began
        if seconds < at_least:
            length *= 2
            continue
        times.append(1e6 * seconds / length)
    return {"median": statistics.median(times), "least": min(times), "most": max(times), "n": n}


def stepping(on: Plan, networks: int = 1) -> Callable[[], Any]:
    """A function that does one more step of a long training; to be called in the backend's scope."""
    on = replace(on, every=LONG)
    numbers, data = count(), resident(on)
    if networks == 1:
        alone = Recorded([on], data, start(on))
        return lambda: alone(next(numbers))
    plans = [reseeded(on, seed) for seed in range(networks)]
    together = StackedOnGpu(plans, data, [start(one) for one in plans])
    return lambda: together(next(numbers))


def steps() -> dict[str, Any]:
    """Our steps, of one network and of several stacked."""
    found: dict[str, Any] = {}
    asked = [("A", "bfloat16", 1), ("A", "float32", 1), ("B", "bfloat16", 1), ("B", "float32", 1), ("C", "bfloat16", 1)]
    for name, precision, n in [*asked, ("A", "bfloat16", 64), ("C", "bfloat16", 16), ("C", "bfloat16", 64)]:
        on = planned(CASES[name], precision, iterations=LONG)
        with on.backend.scope():
            found[f"{name}, {precision}, {n} networks"] = rounds(stepping(on, n))
    return found


def peers() -> dict[str, Any]:
    """PyTorch with the data on the GPU, as its users write it."""
    found: dict[str, Any] = {}
    for name in ("A", "B"):
        for label, autocast, compiled in (("eager float32", False, False), ("autocast bfloat16", True, False),
                                          ("autocast bfloat16, compiled, reduce-overhead", True, True)):  # fmt: skip
            found[f"{name}, PyTorch {label}"] = rounds(pytorch(CASES[name], autocast=autocast, compiled=compiled), 5)
    return found


def pytorch(case: Case, *, autocast: bool, compiled: bool) -> Callable[[], None]:
    """A function that does one more step."""
    X, y = (torch.from_numpy(values).cuda() for values in noise(case))
    parts: list[torch.nn.Module] = []
    for i, (n_in, n_out) in enumerate(case.pairs):
        parts.append(torch.nn.Linear(n_in, n_out))
        if i < len(case.hidden):
            parts += [torch.nn.BatchNorm1d(n_out)] if case.norm else []
            parts.append(torch.nn.ReLU())
            parts += [torch.nn.Dropout(case.dropout)] if case.dropout else []
    network = torch.nn.Sequential(*parts).cuda()
    rule: Any = torch.optim.AdamW(network.parameters(), case.lr, weight_decay=case.decay, fused=True)
    if case.rule == "sgd":
        rule = torch.optim.SGD(network.parameters(), case.lr, weight_decay=2 * case.penalty, fused=True)

    def forward(rows: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
            x = (X.index_select(0, rows).float() - 120.0) * 0.016
            return torch.nn.functional.cross_entropy(network(x), y.index_select(0, rows))

    called: Any = torch.compile(forward, mode="reduce-overhead") if compiled else forward
    order, numbers = torch.randperm(len(X), device="cuda"), count()

    def step() -> None:
        at = next(numbers) * case.batch % (len(order) - case.batch)
        rule.zero_grad(set_to_none=True)
        called(order[at : at + case.batch]).backward()
        rule.step()

    return step


def whole() -> dict[str, Any]:
    """Whole trainings, evaluation and all, in seconds; the first of each builds what is not built yet."""
    found: dict[str, Any] = {}
    lengths: dict[str, tuple[str, dict[str, int]]] = {"A, 30,000 steps": ("A", {"iterations": 30_000}),
                                                      "B, 100 epochs": ("B", {"epochs": 100})}  # fmt: skip
    for label, (name, options) in lengths.items():
        for turn in range(3):
            on = planned(CASES[name], **options)
            found[f"{label}, turn {turn}"] = seconds(lambda on=on: fit(on))
            print(label, turn, found[f"{label}, turn {turn}"], flush=True)
    on = planned(CASES["A"], iterations=5_000)
    many = [reseeded(on, seed) for seed in range(64)]
    found["A, 5,000 steps, one network"] = seconds(lambda: fit(on))
    found["A, 5,000 steps, 64 networks"] = seconds(lambda: fit_together(many, [Watch()] * 64))
    return found


def seconds(work: Callable[[], Any]) -> float:
    began = perf_counter()
    work()
    torch.cuda.synchronize()
    return perf_counter() - began


def kernels() -> dict[str, Any]:
    """Where the time of a step goes: microseconds, launches and kernel."""
    from torch.profiler import ProfilerActivity, profile

    found: dict[str, Any] = {}
    for name, n in (("A", 1), ("B", 1), ("A", 64)):
        on = planned(CASES[name], iterations=LONG)
        with on.backend.scope():
            step = stepping(on, n)
            for _ in range(20):
                step()
            torch.cuda.synchronize()
            with profile(activities=[ProfilerActivity.CUDA]) as seen:
                for _ in range(20):
                    step()
                torch.cuda.synchronize()
        rows = ((each.self_device_time_total / 20, each.count / 20, each.key[:70]) for each in seen.key_averages())
        found[f"{name}, {n} networks"] = [[round(t, 2), k, kernel] for t, k, kernel in sorted(rows, reverse=True)[:24]]
    return found


PARTS = {
    "checks": checks,
    "layers": layers,
    "composed": composed,
    "steps": steps,
    "peers": peers,
    "whole": whole,
    "kernels": kernels,
}


def main() -> None:
    """Run the parts and print what each found as it ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--part", nargs="*", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu needs a CUDA device; torch sees none")
    found: dict[str, Any] = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    for part in options.part:
        began = perf_counter()
        found[part] = PARTS[part]()
        print(part, f"{perf_counter() - began:.1f} s", json.dumps(found[part], indent=1), flush=True)
        if options.out:
            options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
