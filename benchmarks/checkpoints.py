"""What a checkpoint an epoch costs, the report's tuned network on CIFAR-10, and checking a model of 30 MB:

    python benchmarks/checkpoints.py --data FOLDER        # CIFAR-10's binary files; about a minute

Runs with and without checkpoints take turns, in one process; the ratio is taken within a round. On a noisy machine the
ratio says little, so the bound stands beside it: the time that training waited, and the processor time of the thread
that writes, as if training had stood still meanwhile.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.runs.integrity import verify
from chainrule.runs.keeper import Keeper
from chainrule.training import load

EXAMPLE = Path(__file__).parents[1] / "examples" / "report-tuned.toml"
NEVER = 10**6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--wide", action="store_true", help="3072-2000-700-10 with AdamW instead, 121 MB a checkpoint")
    options = parser.parse_args()
    config = load(EXAMPLE)
    data = cr.read("cifar10", path=options.data)
    network = config.network.build()
    if options.wide:
        network, config = cr.mlp([2000, 700], norm="batch", dropout=0.4), replace(config, optimizer=cr.AdamW())
    training = replace(config.training, epochs=options.epochs, iterations=None)
    if options.wide:
        training = replace(training, batch_size=256, penalty=0.0)
    config = replace(config, training=training, evaluation=cr.Evaluation(every_epochs=options.epochs))
    with tempfile.TemporaryDirectory() as folder:
        ratios, bounds, writing = [], [], [0.0]
        watch_writing(writing)
        for k in range(options.rounds + 1):
            seconds = {}
            for name, every in (("with", {"every_epochs": 1}), ("without", {"every_epochs": NEVER}))[
                :: 1 if k % 2 else -1
            ]:
                one = replace(config, checkpoint=cr.Checkpoint(**every))
                begin, writing[0] = perf_counter(), 0.0
                run = cr.train_config(one, Path(folder, f"{k}-{name}"), network=network, data=data)
                seconds[name] = perf_counter() - begin
                if name == "with":
                    kept, cpu = run.metrics["checkpoints"], writing[0]
            if k:  # the first round warms up
                ratios.append(seconds["with"] / seconds["without"])
                bounds.append((kept["seconds"] + cpu) / seconds["with"])
        print(f"{network!r}, {options.epochs} epochs of {training.batch_size}, {run.environment['threads']} threads")
        print(f"{kept['written']} checkpoints a run, n = {len(ratios)}; time with / without: {spread(ratios)}")
        print(f"bound of their share of the time: {spread(bounds)}; training waited {kept['seconds']:.4f} s")
        noise = np.random.default_rng(0).normal(size=(64, 3072))
        few = cr.Dataset("noise", noise, np.arange(64) % 10, "classification", tuple("0123456789"))
        made = cr.train(cr.mlp([2000, 700]), few, training=cr.Training(epochs=1))
        made.model.save(Path(folder, "model"))
        size = sum(path.stat().st_size for path in Path(folder, "model").iterdir())
        times = []
        for _ in range(9):
            begin = perf_counter()
            assert not any(verify(Path(folder, "model")).values())
            times.append(perf_counter() - begin)
        print(f"checking a model of {size / 1e6:.1f} MB: {spread(times)} s, n = {len(times)}")


def watch_writing(total: list[float]) -> None:
    """Adds the processor time of each checkpoint's writing to `total`."""
    write = Keeper._write

    def timed(self: Keeper, shot: Any) -> None:
        begin = thread_time()
        write(self, shot)
        total[0] += thread_time() - begin

    Keeper._write = timed  # type: ignore[method-assign]


def spread(found: list[float]) -> str:
    return f"median {median(found):.4f} [{min(found):.4f}, {max(found):.4f}]"


if __name__ == "__main__":
    main()
