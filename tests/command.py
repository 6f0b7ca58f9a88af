"""The installed command in a process of its own."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

HEARING: dict[str, Any] = {"preexec_fn": partial(signal.signal, signal.SIGINT, signal.SIG_DFL)}
"""For Popen: SIGINT is ignored in a process that a shell has put into the background, and in its children."""
QUICK = ["--set", "training.epochs=2", "--set", "compute.backend=numpy"]


def chainrule(*arguments, cwd=None, env=None) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "chainrule", *map(str, arguments)]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", **(env or {})}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)
