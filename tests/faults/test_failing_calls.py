"""The n-th open, write, fsync, rename or mkdir fails (EIO, ENOSPC, EACCES), or the process ends there, for every n."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EACCES, 0], ids=["EIO", "ENOSPC", "EACCES", "killed"])
def test_every_failing_call_leaves_what_was_there(tmp_path, code):
    library = tmp_path / "failing_calls.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, HERE / "failing_calls.c", "-ldl"], check=True)
    environment = os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "faults.failing_calls", str(library), str(tmp_path), str(code)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 50
