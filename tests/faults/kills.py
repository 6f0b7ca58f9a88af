"""Kill a training at random moments and resume it until it is done: python -m faults.kills --count 500 (in tests/)."""

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

from faults.compared import fingerprint

SETTINGS = [(backend, precision, threads) for backend, precision in
            [("numpy", "float32"), ("torch", "float32"), ("torch", "bfloat16"), ("numpy", "float64")]
            for threads in (1, 2)]  # fmt: skip
CONFIG = """
network = {{ hidden = [48, 32], dropout = [0.2, 0.1], norm = "batch" }}
data = {{ augment = {{ shift = 1 }} }}
optimizer = {{ kind = "adam", lr = 0.003 }}
schedule = {{ kind = "cosine" }}
training = {{ iterations = {steps}, batch_size = 32, penalty = 1e-4 }}
evaluation = {{ every_steps = 37, monitor = "validation_accuracy" }}
checkpoint = {{ every_steps = 11 }}
compute = {{ backend = "{backend}", precision = "{precision}", threads = {threads} }}
"""


def campaign(setting: tuple[str, str, int], kills: int, seed: int, folder: Path, steps: int = 900) -> dict[str, object]:
    """Kill runs of `setting` until `kills` of them hit a living process. Raises AssertionError on any difference."""
    backend, precision, threads = setting
    config = folder / "config.toml"
    config.write_text(CONFIG.format(backend=backend, precision=precision, threads=threads, steps=steps))
    start = time.perf_counter()
    assert trained(config, folder / "reference").wait() == 0
    took = time.perf_counter() - start
    expected, draw, hits, runs = fingerprint(folder / "reference"), random.Random(seed), 0, 0
    while hits < kills:
        run = folder / f"run-{runs}"
        runs += 1
        while True:
            process = trained(config, run)
            try:
                code = process.wait(draw.uniform(0.2, 1.0) * took if hits < kills else None)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                hits += 1
                continue
            assert code == 0, (run.parent / "stderr").read_text()
            break
        assert fingerprint(run) == expected, f"{run} differs from the uninterrupted run"
    return {"setting": " ".join(map(str, setting)), "kills": hits, "runs": runs, "equal": runs}


def trained(config: Path, run: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "chainrule", "train", str(config), "--resume", str(run), "--quiet"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with (run.parent / "stderr").open("w") as said:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=environment)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for place, one in enumerate(SETTINGS):
        with tempfile.TemporaryDirectory() as made:
            share = (asked.count + place) // len(SETTINGS)
            print(json.dumps(campaign(one, share, asked.seed + place, Path(made))), flush=True)
