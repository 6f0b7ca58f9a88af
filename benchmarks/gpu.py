"""On a GPU: that recorded steps are right, and how long the trainings of docs/performance.md take there.

    python -m benchmarks.gpu [--out FILE] [--part checks|steps|whole ...]

Cases are those of `benchmarks.peers`. Whole trainings are by `train`, evaluation and all; what the first use of the
kernels takes to build is told apart.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

import chainrule as cr
from benchmarks.peers.cases import CASES, Case, noise
from chainrule.backends import choose
from chainrule.data import Split
from chainrule.seeds import bits
from chainrule.training.config import DataOptions
from chainrule.training.loop import fit
from chainrule.training.plan import Plan, plan, reseeded
from chainrule.training.population import fit_together
from chainrule.training.recorded import Recorded, recordable
from chainrule.training.step import resident, start
from chainrule.training.population import StackedOnGpu
from chainrule.training.watch import Watch

PARTS = ("checks", "layers", "steps", "peers", "whole", "kernels")


def made(case: Case, precision: str = "auto", compiled: str = "auto", **options: Any) -> Plan:
    """The plan of a training of the case on the GPU."""
    X, y = noise(case)
    data = cr.Dataset("noise", X, y, "classification", tuple("0123456789"))
    rule = {"sgd": cr.SGD(case.lr), "adam": cr.Adam(case.lr), "adamw": cr.AdamW(case.lr, case.decay)}[case.rule]
    config = cr.Config(
        data=DataOptions(split=Split(test=0, validation=0.1)), optimizer=rule,
        training=cr.Training(batch_size=case.batch, penalty=case.penalty, **options),
        compute=cr.Compute("torch", "cuda", precision, compiled=compiled),
    )  # fmt: skip
    return plan(config, data, cr.mlp(case.hidden, norm="batch" if case.norm else None, dropout=case.dropout))


def checks() -> dict[str, Any]:
    """Masks, bits of a run gone on with, and distances to the plain operations and to the CPU."""
    found: dict[str, Any] = {}
    small = Case("small", 300, (64, 32), 100, 3_000, "sgd", lr=0.05, penalty=1e-3, norm=True, dropout=0.3)
    for precision in ("float32", "bfloat16"):
        on = made(small, precision, epochs=400)
        assert recordable(on), on.backend
        mask = on.backend.context(training=True, seed=7, step=2**33).mask("2", 33, 41, 0.4, on.backend.dtype)
        draws = bits(7, "dropout/2", 2**33).random_raw(-(-33 * 41 // 4)).view(np.uint16)[: 33 * 41].reshape(33, 41)
        found[f"masks are NumPy's, {precision}"] = bool(
            ((on.backend.numpy(mask) > 0) == (draws >= round(0.4 * 65536))).all()
        )
        for name, change in {
            "sgd": {}, "clipped": {"training": replace(on.config.training, clip_norm=0.5)},
            "momentum": {"optimizer": cr.SGD(0.05, momentum=0.9)}, "nesterov": {"optimizer": cr.SGD(0.02, 0.9, True)},
            "rmsprop": {"optimizer": cr.RMSprop(1e-3)}, "adamw": {"optimizer": cr.AdamW(1e-3, 0.1)},
            "replacement": {"training": replace(on.config.training, replacement=True)},
            "mixup": {"data": replace(on.config.data, augment=cr.Augment(mixup=0.4))},
        }.items():  # fmt: skip
            config = replace(on.config, **change)
            one = replace(
                on,
                config=config,
                batches=replace(on.batches, replacement=config.training.replacement),
                n_steps=60,
                every=20,
            )
            plain = replace(one, backend=choose(cr.Compute("torch", "cuda", precision, compiled="never"), 0.0))
            kept: dict[str, Any] = {}

            class Keeping(Watch):
                def wants(self, step: int) -> bool:
                    return step == 31

                def keep(self, progress: Any) -> None:
                    if progress.now.step == 31:
                        copied = {k: v.clone() for k, v in progress.now.state.parameters.items()}
                        slots = {k: tuple(a.clone() for a in v) for k, v in progress.now.state.slots.items()}
                        state = progress.now.state._replace(parameters=copied, slots=slots)
                        here = progress.now._replace(state=state, batch_losses=progress.now.batch_losses + 0)
                        kept["at"] = replace(progress, now=here, anchor=here)

            ours = fit(one, watch=Keeping())
            again, theirs = fit(one, lambda _: kept["at"]), fit(plain)
            same = all(torch.equal(a, again.now.state.parameters[k]) for k, a in ours.now.state.parameters.items())
            apart = max(
                float((a - theirs.now.state.parameters[k]).norm() / (theirs.now.state.parameters[k].norm() + 1e-30))
                for k, a in ours.now.state.parameters.items()
                if k.endswith("W")
            )
            found[f"{name}, {precision}"] = {
                "resumed to the same bits": same,
                "weights apart from plain operations": apart,
                "loss": [ours.history[-1]["train_loss"], theirs.history[-1]["train_loss"]],
            }
        one = replace(on, n_steps=60, every=20)
        plans = [reseeded(one, seed) for seed in range(4)]
        stacked = fit_together(plans, [Watch()] * 4)
        apart = [
            abs(fit(p).history[-1]["train_loss"] - s.history[-1]["train_loss"])
            for p, s in zip(plans, stacked, strict=True)
        ]
        found[f"4 stacked, {precision}: train loss apart from alone"] = max(apart)
    return found


def layers() -> dict[str, Any]:
    """Every activation, norm and loss recorded: the loss after 60 steps, and that of the plain operations."""
    found: dict[str, Any] = {}
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2_000, 30)).astype(np.float32), rng.normal(size=2_000)
    sets = {
        "squared_error": cr.Dataset("n", X, y, "regression", ("y",)),
        "huber": cr.Dataset("n", X, y, "regression", ("y",)),
        "poisson": cr.Dataset("n", X, np.abs(y), "regression", ("y",)),
        "sigmoid_cross_entropy": cr.Dataset("n", X, (X[:, :3] > 0).astype(int), "multilabel", ("a", "b", "c")),
        "softmax_cross_entropy": cr.Dataset("n", X, (X[:, 0] > 0).astype(int), "classification", ("a", "b")),
    }
    losses = {
        "squared_error": cr.SquaredError(),
        "huber": cr.Huber(),
        "poisson": cr.Poisson(),
        "sigmoid_cross_entropy": cr.SigmoidCrossEntropy(),
        "softmax_cross_entropy": cr.SoftmaxCrossEntropy(0.1),
    }
    tried = [(name, "relu", "none") for name in losses]
    tried += [
        ("softmax_cross_entropy", one, "layer")
        for one in ("leaky_relu", "tanh", "sigmoid", "gelu", "silu", "selu", "mish")
    ]
    for name, activation, norm in tried:
        for precision in ("bfloat16", "float32"):
            config = cr.Config(
                loss=losses[name],
                training=cr.Training(iterations=10**5, batch_size=50),
                compute=cr.Compute("torch", "cuda", precision),
            )
            on = plan(config, sets[name], cr.mlp([32, 32], activation=activation, norm=norm, dropout=0.1))
            on = replace(on, n_steps=60, every=30)
            plain = replace(on, backend=choose(cr.Compute("torch", "cuda", precision, compiled="never"), 0.0))
            try:
                assert recordable(on)
                found[f"{name}, {activation}, {norm} norm, {precision}"] = [
                    fit(p).history[-1]["validation_loss"] for p in (on, plain)
                ]
            except Exception as error:
                found[f"{name}, {activation}, {norm} norm, {precision}"] = f"{type(error).__name__}: {error}"[:300]
    return found


def rounds(step: Callable[[], Any], n: int = 7, at_least: float = 0.15) -> dict[str, float]:
    """Microseconds of a step: median and range of n rounds."""
    for _ in range(20):
        step()
    torch.cuda.synchronize()
    times, count = [], 50
    while len(times) < n:
        began = perf_counter()
        for _ in range(count):
            step()
        torch.cuda.synchronize()
        seconds = perf_counter() - began
        if seconds < at_least:
            count *= 2
            continue
        times.append(1e6 * seconds / count)
    return {"median": statistics.median(times), "least": min(times), "most": max(times), "n": n}


def steps() -> dict[str, Any]:
    """Our steps, one network and stacked."""
    found: dict[str, Any] = {}
    for name, precisions in {"A": ("bfloat16", "float32"), "B": ("bfloat16",), "C": ("bfloat16",)}.items():
        for precision in precisions:
            on = made(CASES[name], precision, iterations=10**6)
            on = replace(on, every=10**6)
            with on.backend.scope():
                data, numbers = resident(on), iter(range(10**6))
                go = Recorded([on], data, start(on))
                found[f"{name}, {precision}"] = rounds(lambda: go(next(numbers)))
    for name, n in (("A", 64), ("C", 16), ("C", 64)):
        on = replace(made(CASES[name], "bfloat16", iterations=10**6), every=10**6)
        with on.backend.scope():
            data, numbers, plans = resident(on), iter(range(10**6)), [reseeded(on, seed) for seed in range(n)]
            many = StackedOnGpu(plans, data, [start(one) for one in plans])
            found[f"{name}, bfloat16, {n} stacked"] = rounds(lambda: many(next(numbers)), 5)
    return found


def peers() -> dict[str, Any]:
    """PyTorch with the data on the GPU, as its users write it."""
    found: dict[str, Any] = {}
    for name in ("A", "B"):
        case = CASES[name]
        X, y = (torch.from_numpy(values).cuda() for values in noise(case))
        for label, autocast, compiled in (("eager float32", False, False), ("autocast bf16", True, False),
                                          ("autocast bf16, compiled, reduce-overhead", True, True)):  # fmt: skip
            layers: list[torch.nn.Module] = []
            for i, (n_in, n_out) in enumerate(case.pairs):
                layers.append(torch.nn.Linear(n_in, n_out))
                if i < len(case.hidden):
                    layers += [torch.nn.BatchNorm1d(n_out)] * case.norm + [torch.nn.ReLU()]
                    layers += [torch.nn.Dropout(case.dropout)] * (case.dropout > 0)
            network = torch.nn.Sequential(*layers).cuda()
            rule = (torch.optim.SGD(network.parameters(), case.lr, weight_decay=2 * case.penalty, fused=True) if case.rule == "sgd"
                    else torch.optim.AdamW(network.parameters(), case.lr, weight_decay=case.decay, fused=True))  # fmt: skip

            def loss_of(
                rows: torch.Tensor, network: Any = network, X: Any = X, y: Any = y, autocast: bool = autocast
            ) -> torch.Tensor:
                with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
                    x = (X.index_select(0, rows).float() - 120.0) * 0.016
                    return torch.nn.functional.cross_entropy(network(x), y.index_select(0, rows))

            forward = torch.compile(loss_of, mode="reduce-overhead") if compiled else loss_of
            order = torch.randperm(len(X), device="cuda")
            at = iter(range(10**9))

            def step(
                forward: Any = forward, rule: Any = rule, order: Any = order, at: Any = at, case: Any = case
            ) -> None:
                i = next(at) * case.batch % (len(order) - case.batch)
                rule.zero_grad(set_to_none=True)
                forward(order[i : i + case.batch]).backward()
                rule.step()

            began = perf_counter()
            for _ in range(5):
                step()
            torch.cuda.synchronize()
            found[f"{name}, PyTorch {label}"] = rounds(step, 5) | {"first five steps, s": perf_counter() - began}
    return found


def whole() -> dict[str, Any]:
    """Whole trainings through the loop, evaluation and all; the second of two, so that all is built."""
    found: dict[str, Any] = {}
    for label, case, options in (
        ("A, 30,000 steps", CASES["A"], {"iterations": 30_000}),
        ("B, 100 epochs", CASES["B"], {"epochs": 100}),
    ):
        for turn in ("first", "second", "third"):
            on = made(case, "bfloat16", **options)
            began = perf_counter()
            end = fit(on)
            torch.cuda.synchronize()
            found[f"{label}, {turn}"] = {
                "seconds": perf_counter() - began,
                "steps": on.n_steps,
                "rows": len(end.history),
            }
    on = made(CASES["A"], "bfloat16", iterations=5_000)
    for n in (1, 64):
        plans = [reseeded(on, seed) for seed in range(n)]
        for turn in ("first", "second"):
            began = perf_counter()
            fit(on) if n == 1 else fit_together(plans, [Watch()] * n)
            torch.cuda.synchronize()
            found[f"A, 5,000 steps, {n} networks, {turn}"] = perf_counter() - began
    return found


def kernels() -> dict[str, Any]:
    """Where the time of a step goes."""
    from torch.profiler import ProfilerActivity, profile

    found: dict[str, Any] = {}
    for name, n in (("A", 1), ("B", 1), ("A", 64)):
        on = replace(made(CASES[name], "bfloat16", iterations=10**6), every=10**6)
        with on.backend.scope():
            plans = [reseeded(on, seed) for seed in range(n)]
            go = (
                StackedOnGpu(plans, resident(on), [start(p) for p in plans])
                if n > 1
                else Recorded([on], resident(on), start(on))
            )
            for step in range(20):
                go(step)
            torch.cuda.synchronize()
            with profile(activities=[ProfilerActivity.CUDA]) as seen:
                for step in range(20, 40):
                    go(step)
                torch.cuda.synchronize()
            rows = sorted(
                ((e.self_device_time_total / 20, e.count / 20, e.key[:70]) for e in seen.key_averages()), reverse=True
            )
            found[f"{name} x {n}: us of a step, launches, kernel"] = [[round(t, 2), c, k] for t, c, k in rows[:24]]
    return found


def main() -> None:
    """Run the parts and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--part", nargs="*", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu needs a CUDA device; torch sees none")
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "python": sys.version.split()[0],
    }
    for part in options.part:
        began = perf_counter()
        try:
            found[part] = {
                "checks": checks,
                "layers": layers,
                "steps": steps,
                "peers": peers,
                "whole": whole,
                "kernels": kernels,
            }[part]()
        except Exception as error:
            import traceback

            traceback.print_exc()
            found[part] = f"{type(error).__name__}: {error}"
        print(part, f"{perf_counter() - began:.1f} s", json.dumps(found[part], indent=1), flush=True)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
