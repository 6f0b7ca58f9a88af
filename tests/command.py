"""The installed command in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

QUICK = ["--set", "training.epochs=2", "--set", "compute.backend=numpy"]


def chainrule(*arguments, cwd=None, env=None) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "chainrule", *map(str, arguments)]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "100", **(env or {})}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)
