"""A study whose workers and coordinator are killed at random, held against one left in peace (in tests/):

    python -m faults.study_kills --trials 200 --every 2 --coordinators 5

Every trial must finish once, with the value that it has undisturbed, and the same one must be the best.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

STUDY = """
[train.network]
dropout = 0.2
[train.training]
epochs = {epochs}
batch_size = 32
[train.checkpoint]
every_epochs = 2
[space]
"network.hidden" = [[10], [20], [40]]
"optimizer.lr" = {{ low = 1e-4, high = 1e-1, log = true }}
[search]
sampler = "random"
trials = {trials}
metric = "validation_loss"
[finalists]
n = 2
seeds = 2
"""


class Outcome(NamedTuple):
    """What came of it. values: by trial's number, the metric. attempts: how often trials were given away in all."""

    values: dict[int, float]
    best: list[int]
    attempts: int
    workers_killed: int
    coordinators_killed: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two kills of a worker")
    parser.add_argument("--coordinators", type=int, default=5, help="how often the coordinator is killed")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = compared(Path(folder), **vars(options))
    print(json.dumps(found))


def compared(folder: Path, *, trials: int, epochs: int, every: float, coordinators: int, workers: int, seed: int,
             database: str | None = None) -> dict[str, Any]:  # fmt: skip
    """Both studies; asserts that they came to the same."""
    path = folder / "kills.toml"
    path.write_text(STUDY.format(trials=trials, epochs=epochs))
    begin = time.monotonic()
    calm = conducted(path, folder / "calm", workers, random.Random(seed), None, 0)
    took = time.monotonic() - begin
    wild = conducted(path, folder / "wild", workers, random.Random(seed), every, coordinators, took, database)
    assert sorted(calm.values) == sorted(wild.values) == list(range(trials + 2)), "a trial is lost or doubled"
    different = [number for number, value in calm.values.items() if wild.values[number] != value]
    assert not different, f"trials {different} have other values"
    assert calm.best == wild.best
    return {"trials": trials, "workers_killed": wild.workers_killed, "coordinators_killed": wild.coordinators_killed,
            "attempts": wild.attempts, "best": wild.best[:3], "seconds": round(time.monotonic() - begin, 1)}  # fmt: skip


def conducted(path: Path, directory: Path, workers: int, draw: random.Random, every: float | None, coordinators: int,
              expected: float = 0.0, database: str | None = None) -> Outcome:  # fmt: skip
    """The study to its end, its processes killed on the way."""
    command = [str(Path(sys.executable).with_name("chainrule")), "study", str(path), "--output", str(directory),
               "--workers", str(workers), "--resume", "--json"]  # fmt: skip
    command += ["--database", database] if database else []
    ends = sorted(draw.uniform(0.1, 0.9) * expected for _ in range(coordinators))
    killed, begun, last = [0, 0], time.monotonic(), time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    while True:
        with (directory.with_suffix(".log")).open("ab") as log:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment)
            while process.poll() is None:
                time.sleep(0.02)
                passed = time.monotonic() - begun
                if ends and passed > ends[0]:
                    ends.pop(0)
                    process.kill()
                    killed[1] += 1
                elif every and time.monotonic() - last > every and (there := children(process.pid)):
                    os.kill(draw.choice(there), signal.SIGKILL)
                    killed[0], last = killed[0] + 1, time.monotonic()
            out = process.communicate()[0]
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, directory.with_suffix(".log").read_text()[-2000:]
    summary = json.loads(out)
    found = subprocess.run([command[0], "trials", str(directory), "--json", *command[8:]], capture_output=True, check=True,
                           env=environment)  # fmt: skip
    trials = json.loads(found.stdout)
    assert all(one["state"] == "finished" for one in trials), [one for one in trials if one["state"] != "finished"]
    numbers = [one["number"] for one in trials]
    assert len(set(numbers)) == len(numbers)
    return Outcome({one["number"]: one["value"] for one in trials}, [one["trial"] for one in summary["best"]],
                   sum(one["attempt"] for one in trials), *killed)  # fmt: skip


def children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


if __name__ == "__main__":
    main()
