"""Command lines run one by one, each in a process of its own that is watched: memory, time, and what it touches.

`Sandbox` starts this file once; it imports what the command line needs and forks for each command, so that a measured
process is fresh and costs milliseconds. The peak of a forked process starts at what its parent holds, libraries that
were imported included.
"""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

SECONDS = 25
_ROOM = 2**31  # of address space beside the libraries: what is promised to a file but never touched is counted too
_LIBRARIES = (
    *("pyarrow.parquet", "sklearn.metrics", "chainrule.cli", "chainrule.runs.predictions", "chainrule.training"),
    *("chainrule.data.registry", "chainrule.data.readers.download"),
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FORBIDDEN = {
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn"),
    *("pickle.find_class", "ctypes.dlopen", "code.__new__", "webbrowser.open", "ftplib.connect", "smtplib.connect"),
    *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.chmod", "os.truncate"),
    *("socket.connect", "socket.bind", "shutil.rmtree", "shutil.move", "shutil.copyfile"),
}


class Outcome(NamedTuple):
    """What a command did. code: -signal where one ended it. peak: MiB. touched: audited events beyond reading."""

    code: int
    out: str
    err: str
    peak: int
    seconds: float
    touched: list[str]


class Sandbox:
    """Runs commands; a context manager."""

    def __enter__(self) -> "Sandbox":
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100", "OMP_NUM_THREADS": "1",
                 "XDG_CACHE_HOME": os.devnull},
        )  # fmt: skip
        return self

    def __exit__(self, *error: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(SECONDS)
        self.process.stdout.close()

    def run(self, *arguments: object, cwd: Path, remote: dict[str, Any] | None = None) -> Outcome:
        """`chainrule` with these arguments in `cwd`; `remote` takes the place of the files of CIFAR-10's server."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        job = {"arguments": list(map(str, arguments)), "cwd": str(cwd), "remote": remote}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return Outcome(**json.loads(self.process.stdout.readline()))


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, with its kind and when it was last changed."""
    found = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): (path.lstat().st_mode, path.lstat().st_mtime_ns) for path in found}


def _serve() -> None:
    for library in _LIBRARIES:
        import_module(library)
    import_module("PIL.Image").init()
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in sys.stdin:
        job = json.loads(line)
        with tempfile.TemporaryDirectory() as folder:
            replies.write(json.dumps(_watched(job, Path(folder))._asdict()) + "\n")
        replies.flush()


def _watched(job: dict[str, Any], folder: Path) -> Outcome:
    files = {name: (folder / name).open("w+b") for name in ("out", "err", "touched")}
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        _run(job, *(file.fileno() for file in files.values()))
    with _killed_after(child, SECONDS):
        _, status, used = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    texts = []
    for file in files.values():
        file.seek(0)
        texts.append(file.read().decode("utf-8", "surrogateescape"))
        file.close()
    code = os.waitstatus_to_exitcode(status)
    return Outcome(code, texts[0], texts[1], used.ru_maxrss // 1024, seconds, texts[2].splitlines())


@contextlib.contextmanager
def _killed_after(child: int, seconds: int) -> Iterator[None]:
    def kill(_: int, __: FrameType | None) -> None:
        os.kill(child, signal.SIGKILL)

    signal.signal(signal.SIGALRM, kill)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def _run(job: dict[str, Any], out: int, err: int, touched: int) -> None:
    """In the child: never returns."""
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(job["cwd"])
        if job["remote"]:
            _offer(job["remote"])
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + _ROOM, size + _ROOM))
        sys.path.insert(0, job["cwd"])  # as `python -m` has it
        sys.argv = ["chainrule", *job["arguments"]]
        _audit(touched, job["cwd"], bool(job["remote"]))
        from chainrule.cli import main

        main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:  # a traceback is what the tests look for
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _offer(remote: dict[str, Any]) -> None:
    from dataclasses import replace

    from chainrule.data.readers.catalogue import NAMES, Remote

    members = tuple((name, size) for name, size in remote.pop("members", ()))
    NAMES["cifar10"] = replace(NAMES["cifar10"], remotes=(Remote(**remote, members=members),))


def _audit(touched: int, cwd: str, fetches: bool) -> None:
    free = str(Path(cwd, "fetched"))  # where fetched files may go; there is no such folder in other cases

    def hook(event: str, details: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = details
            writes = any(letter in (mode or "") for letter in "wax+") or (flags or 0) & _WRITES
            if not writes or isinstance(path, int) or str(path) == os.devnull:
                return
        elif event not in _FORBIDDEN:
            return
        text = f"{event} {details!r}"
        if event == "ctypes.dlopen" and os.path.realpath(str(details[0])).startswith(os.path.realpath(sys.prefix)):
            return
        below = event in ("os.remove", "os.rmdir") and not str(details[0]).startswith("/")  # of a folder that is open
        if not (free in text or (fetches and below) or (event == "socket.connect" and "127.0.0.1" in text)):
            os.write(touched, text.replace("\n", " ").encode("utf-8", "replace") + b"\n")

    sys.addaudithook(hook)


if __name__ == "__main__":
    _serve()
