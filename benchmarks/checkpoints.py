"""What a checkpoint an epoch costs, the report's tuned network on CIFAR-10, and checking a model of 30 MB:

    python benchmarks/checkpoints.py --data FOLDER        # CIFAR-10's binary files; about a minute

Runs with and without checkpoints take turns, in one process; the ratio is taken within a round.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

import chainrule as cr
from chainrule.runs.integrity import verify
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
        ratios, waited = [], []
        for k in range(options.rounds + 1):
            seconds = {}
            for name, every in (("with", {"every_epochs": 1}), ("without", {"every_epochs": NEVER}))[
                :: 1 if k % 2 else -1
            ]:
                one = replace(config, checkpoint=cr.Checkpoint(**every))
                begin = perf_counter()
                run = cr.train_config(one, Path(folder, f"{k}-{name}"), network=network, data=data)
                seconds[name] = perf_counter() - begin
                if name == "with":
                    kept = run.metrics["checkpoints"]
            if k:  # the first round warms up
                ratios.append(seconds["with"] / seconds["without"])
                waited.append(kept["seconds"])
        print(f"{network!r}, {options.epochs} epochs of {training.batch_size}, {run.environment['threads']} threads")
        print(f"{kept['written']} checkpoints a run; time with / without: {spread(ratios)}, n = {len(ratios)}; "
              f"training waited {median(waited):.4f} s of {seconds['with']:.2f} s")  # fmt: skip
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


def spread(found: list[float]) -> str:
    return f"median {median(found):.4f} [{min(found):.4f}, {max(found):.4f}]"


if __name__ == "__main__":
    main()
