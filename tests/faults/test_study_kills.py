"""A study whose workers and coordinator are killed at random comes to what it comes to undisturbed."""

import subprocess
import sys
from time import perf_counter

from faults.study_kills import compared


def test_nothing_is_lost_or_counted_twice(tmp_path):
    begin = perf_counter()  # on a slow machine workers that are killed at a fixed pace would never come to train
    subprocess.run([sys.executable, "-c", "import chainrule.study.worker"], check=True)
    every = max(0.7, perf_counter() - begin)
    found = compared(tmp_path, trials=40, epochs=20, every=every, coordinators=2, workers=4, seed=1)
    assert found["workers_killed"] >= 3
    assert found["coordinators_killed"] >= 1
