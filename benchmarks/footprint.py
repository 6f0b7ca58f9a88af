"""Whole processes as a user starts them: peak memory of the report's tuned network on CIFAR-10, seconds on the digits:

python benchmarks/footprint.py --data FOLDER         # CIFAR-10's binary files; a minute
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

HERE = Path(__file__).parents[1]
COMMAND = [str(Path(sys.executable).with_name("chainrule")), "train"]
WATCHED = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"  # noqa: E501


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        times, seeds = [], []
        for k in range(options.rounds):
            times.append(seconds([*COMMAND, "--quiet", "--output", f"{folder}/digits-{k}"]))
            seeds.append(seconds([*COMMAND, str(HERE / "examples/digits.toml"), "--quiet", "--seeds", "16", "--output",
                                  f"{folder}/seeds-{k}"]))  # fmt: skip
        print(f"chainrule train, the digits: {spread(times)} s, n = {len(times)}")
        print(f"chainrule train examples/digits.toml --seeds 16, 30 epochs each: {spread(seeds)} s, n = {len(seeds)}")
        if options.data:
            sizes = []
            for k in range(3):
                changes = ["--set", "training.iterations=2000", "--set", f"data.path={options.data}"]
                command = [*COMMAND, str(HERE / "examples/report-tuned.toml"), "--quiet", *changes, "--output",
                           f"{folder}/tuned-{k}"]  # fmt: skip
                found = subprocess.run([sys.executable, "-c", WATCHED, *command], check=True, capture_output=True)
                sizes.append(int(found.stdout) / 1024)
            print(f"peak memory, the report's tuned network on CIFAR-10 (184 MB of images): {spread(sizes)} MiB, n = 3")


def seconds(command: list[str]) -> float:
    begin = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - begin


def spread(found: list[float]) -> str:
    return f"median {median(found):.3g} [{min(found):.3g}, {max(found):.3g}]"


if __name__ == "__main__":
    main()
