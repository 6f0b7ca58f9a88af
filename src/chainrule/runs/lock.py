"""One process at a time in a run directory. The lock is the kernel's, so a dead process holds none."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from chainrule.errors import BusyError
from chainrule.runs.files import writing

LOCK = "lock"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold `directory` while open. Raises a BusyError naming the process that holds it."""
    import fcntl

    path = directory / LOCK
    descriptor = _open(path)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BusyError(
                    f"{directory} is in use by {_owner(path)}; wait until it has finished, or stop it"
                ) from None
            if _is_at(descriptor, path):
                break
            # The holder before us removed the file between our open and our lock.
            os.close(descriptor)
            descriptor = _open(path)
        with writing(path):
            os.ftruncate(descriptor, 0)
            about = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat()}
            os.write(descriptor, json.dumps(about).encode())
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    with writing(path):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _owner(path: Path) -> str:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        return f"process {int(about['pid'])} on {about['host']!r} since {about['since']!r}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
