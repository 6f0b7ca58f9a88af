"""What a study costs beside its trainings, what a second worker brings, and what TPE with pruning saves:

python benchmarks/studies.py cost            # a trial's share of the coordinator, at 1,000 and 10,000 trials
python benchmarks/studies.py workers         # two workers against one, network C of the benchmarks, on two cores
python benchmarks/studies.py tpe             # epochs until random search's best of 60 trials, 20 repetitions
python benchmarks/studies.py tpe-digits      # the same with trainings on the digits
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from math import log10
from pathlib import Path
from statistics import fmean, median
from time import perf_counter
from typing import Any

from chainrule.errors import Interrupted
from chainrule.intervals import mean_interval
from chainrule.runs.interrupts import Interrupts
from chainrule.seeds import stream
from chainrule.study import coordinator, run_study
from chainrule.study.conduct import unseen
from chainrule.study.config import Study, study
from chainrule.study.coordinator import Coordinator
from chainrule.study.executors import InProcess
from chainrule.study.ledger import open_ledger
from chainrule.study.space import Params
from chainrule.study.task import Ended, Row

SPACE: dict[str, Any] = {
    "optimizer.lr": {"low": 1e-5, "high": 1.0, "log": True},
    "training.batch_size": {"low": 8, "high": 512, "log": True},
    "network.dropout": {"low": 0.0, "high": 0.9},
    "network.hidden": [[16], [32], [64], [128]],
}
EPOCHS = 27
ONE = """
[train.training]
epochs = 1
[space]
"optimizer.lr" = [0.001]
[search]
sampler = "grid"
[finalists]
n = 0
"""


class Synthetic(InProcess):
    """Curves instead of trainings: they fall towards what the params are worth, as fast as the rate allows."""

    def poll(self, seconds: float) -> list[Any]:  # noqa: ARG002
        if not self.tasks:
            return []
        task = self.tasks.popleft()
        self.asked = False
        params = flat(task.config)
        for k in range(1, EPOCHS + 1):
            value = worth(params) + 2.0 * 0.85**k + 0.01 * float(stream(task.trial, "benchmark", k).normal())
            self._reported(Row(task.trial, task.attempt, k, value, float(k)))
            if self.asked:
                return [Ended(task.trial, task.attempt, "pruned", epochs=float(k))]
        return [Ended(task.trial, task.attempt, "finished", None, (value,), float(EPOCHS), 0.0)]


def flat(config: dict[str, Any]) -> Params:
    return {path: config[path.split(".")[0]][path.split(".")[1]] for path in SPACE}


def worth(params: Params) -> float:
    """A bowl around lr 1e-3, batch 64, dropout 0.2; wider networks are a little better."""
    return (
        0.3 * (log10(params["optimizer.lr"]) + 3) ** 2
        + 0.1 * log10(params["training.batch_size"] / 64) ** 2
        + (params["network.dropout"] - 0.2) ** 2
        - 0.02 * [16, 32, 64, 128].index(params["network.hidden"][0])
    )


def asked(trials: int, sampler: str, seed: int = 0, **tables: Any) -> Study:
    search = {"sampler": sampler, "trials": trials, "seed": seed, "metric": "validation_loss"}
    train = {"training": {"epochs": EPOCHS, "seed": seed}, "data": {"split": {"seed": seed}}}
    return study({"train": train, "space": SPACE, "search": search, "finalists": {"n": 0}} | tables, "benchmark")


def coordinated(made: Study, folder: Path, executor: type[InProcess]) -> Coordinator:
    folder.mkdir(exist_ok=True)
    ledger = open_ledger(f"sqlite:///{folder / 'ledger.sqlite'}", made.name)
    ledger.create(folder, 1)
    search = ledger.add_search(made.plain)
    return Coordinator(made, ledger, search, folder, executor(), Interrupts(), unseen)


def cost() -> None:
    """The whole loop with trainings that take no time, one row each: asking, the ledger, judging."""
    global EPOCHS
    EPOCHS = 1
    for sampler in ("tpe", "random"):
        for n in (1_000, 10_000):
            with tempfile.TemporaryDirectory() as folder:
                coordinator = coordinated(asked(n, sampler), Path(folder), Synthetic)
                times, begin = [], perf_counter()
                take = coordinator._ended

                def ended(trial: Any, event: Any, take: Any = take, times: list[float] = times) -> None:
                    take(trial, event)
                    times.append(perf_counter())

                coordinator._ended = ended  # type: ignore[method-assign]
                coordinator.run_search()
                last = [1e3 * (b - a) for a, b in zip(times[-101:], times[-100:], strict=False)]
                coordinator.ledger.close()
            print(f"{sampler}, {n:,} trials: {1e3 * (times[-1] - begin) / n:.2f} ms a trial on average, the last 100: "
                  f"median {median(last):.2f} [{min(last):.2f}, {max(last):.2f}] ms", flush=True)  # fmt: skip
    begin = perf_counter()
    code = "import sys; sys.argv = ['chainrule', 'study', '--help']; from chainrule.cli import main; main()"
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False)
    print(f"chainrule study --help: {perf_counter() - begin:.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "one.toml")
        path.write_text(ONE)
        begin = perf_counter()
        command = [str(Path(sys.executable).with_name("chainrule")), "study", str(path), "-o", f"{folder}/s", "-q"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        print(f"a study of one trial of one epoch, whole process: {perf_counter() - begin:.2f} s")


def network_c(space: dict[str, Any]) -> Study:
    """48 trials of network C, 64-100-10 at batch 32 with Adam, on the digits."""
    train = {
        "training": {"epochs": 60, "batch_size": 32},
        "compute": {"threads": 1},
        "evaluation": {"every_epochs": 20},
    }
    search = {"sampler": "random", "trials": 48}
    return study({"train": train, "space": space, "search": search, "finalists": {"n": 0}}, "c")


def seconds_of(made: Study, workers: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["OMP_NUM_THREADS"] = "1"
        begin = perf_counter()
        run_study(made, Path(folder, "study"), workers=workers)
        return perf_counter() - begin


def told(what: str, first: list[float], second: list[float]) -> None:
    ratios = [a / b for a, b in zip(first, second, strict=True)]
    print(f"{what}: {median(first):.2f} s and {median(second):.2f} s; ratio: median {median(ratios):.2f} "
          f"[{min(ratios):.2f}, {max(ratios):.2f}], n = {len(ratios)}")  # fmt: skip


def workers(rounds: int = 3) -> None:
    """One worker and two, their start included; candidates differ in what those that share steps may not."""
    made = network_c({"optimizer.beta1": {"low": 0.8, "high": 0.95}})
    times = [(seconds_of(made, 1), seconds_of(made, 2)) for _ in range(rounds)]
    told("one worker and two", *map(list, zip(*times, strict=True)))


def shared(rounds: int = 3) -> None:
    """Candidates that differ in the learning rate, one after the other and sharing their steps, in one process."""
    made = network_c({"optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True}})
    most, times = coordinator.TOGETHER, []
    for _ in range(rounds):
        found = []
        for coordinator.TOGETHER in (1, most):
            found.append(seconds_of(made, 1))
        times.append(found)
    told("one after the other and sharing steps", *map(list, zip(*times, strict=True)))


def share(executor: type[InProcess], k: int) -> float:
    """Epochs that TPE with asha needs to reach the best of 60 random trials, over those that random search took.

    2 where it has not reached it after as many.
    """
    with tempfile.TemporaryDirectory() as folder:
        random = coordinated(asked(60, "random", seed=k), Path(folder, "random"), executor)
        random.run_search()
        aim = min(one.value for one in random.own if one.value is not None)
        learning = coordinated(asked(400, "tpe", seed=k, pruning={"kind": "asha"}), Path(folder, "tpe"), executor)
        budget = 60 * EPOCHS
        spent, reached = 0.0, None
        take = learning._ended

        def ended(trial: Any, event: Any) -> None:
            nonlocal spent, reached
            take(trial, event)
            spent += trial.epochs
            if reached is None and trial.value is not None and trial.value <= aim:
                reached = spent
                learning.interrupts.received = signal.SIGTERM  # all that was asked is known

        learning._ended = ended  # type: ignore[method-assign]
        learning.study = asked(400, "tpe", seed=k, pruning={"kind": "asha"}, search={
            "sampler": "tpe", "epochs": budget, "seed": k, "metric": "validation_loss"})  # fmt: skip
        with suppress(Interrupted):
            learning.run_search()
        for one in (random, learning):
            one.ledger.close()
    print(f"repetition {k}: {(reached or 2 * budget) / budget:.2f} of random search's {budget:,} epochs", flush=True)
    return (reached or 2 * budget) / budget


def tpe(executor: type[InProcess], repetitions: int = 20) -> None:
    """Two repetitions at a time: epochs are counted, not seconds."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(2) as pool:
        shares = [*pool.map(partial(share, executor), range(repetitions))]
    mean, low, high = mean_interval(shares)
    print(f"{executor.__name__}: mean share {mean:.3f} [{low:.3f}, {high:.3f}], median {median(shares):.3f}, "
          f"n = {repetitions}; at most half in {fmean(share <= 0.5 for share in shares):.0%}")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["cost", "workers", "shared", "tpe", "tpe-digits"])
    calls = {"cost": cost, "workers": workers, "shared": shared, "tpe": partial(tpe, Synthetic)}
    (calls | {"tpe-digits": partial(tpe, InProcess)})[parser.parse_args().what]()
