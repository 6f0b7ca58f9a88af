"""The n-th open, write, fsync, rename or mkdir fails (EIO, ENOSPC, EACCES), or the process ends there, for every n."""

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_every_failing_call_leaves_what_was_there(tmp_path):
    library = tmp_path / "failing_calls.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "failing_calls.c", "-ldl"], check=True)
    environment = os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "faults.failing_calls", str(library), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    counts = json.loads(done.stdout)
    assert set(counts) == {"EIO", "ENOSPC", "EACCES", "killed"}
    assert min(counts.values()) > 50, counts
