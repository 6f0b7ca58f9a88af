"""The installed command in a process of its own."""

import os
import signal
import socket
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


def ranks(n: int, *command: object, **options: Any) -> list[subprocess.Popen[str]]:
    """`python COMMAND` n times, as torchrun would start it, but without the seconds that torchrun takes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"WORLD_SIZE": str(n), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    named = [os.environ | meeting | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(n)]
    line = [sys.executable, *map(str, command)]
    return [subprocess.Popen(line, env=env, text=True, stderr=subprocess.PIPE, **options) for env in named]
