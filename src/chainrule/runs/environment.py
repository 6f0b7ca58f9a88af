"""Where a run took place: versions, hardware, threads, precision, the state of the user's folder."""

import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from chainrule.backends import Backend
from chainrule.data import Dataset

_PACKAGES = ("chainrule", "numpy", "torch", "array-api-compat", "scikit-learn", "safetensors", "pydantic")


def environment(backend: Backend, data: Dataset, *, kept: bool = True, ranks: int = 1) -> dict[str, Any]:
    """Facts that another reader needs to make the run again; the folder's state only of runs that are `kept` there.

    ranks: processes that shared the batches.
    """
    return {
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
        "system": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "backend": backend.name,
        "device": backend.device_name,
        "precision": backend.precision,
        "threads": backend.threads,
        "ranks": ranks,
        "compiled": backend.kernels is not None,
        "reason": backend.reason,
        "data_name": data.name,
        "data_note": data.note,
        "data_sha256": data.digest,
        "git": _git() if kept else None,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _git() -> dict[str, Any] | None:
    def ask(*arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603

    try:
        return {"commit": ask("rev-parse", "HEAD"), "changed": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
