"""Hostile files are refused with a message and an exit code of ours, in little memory, and touch nothing.

Each case is a command line in a process of its own (faults/sandbox.py). The peak counts the libraries, 100 MiB.
"""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from faults import (
    hostile_arrays,
    hostile_configs,
    hostile_fetch,
    hostile_images,
    hostile_models,
    hostile_runs,
    hostile_tables,
)
from faults.cases import Case
from faults.sandbox import Sandbox, tree

MOST_MIB, MOST_SECONDS = 400, 20
MODULES = (hostile_arrays, hostile_tables, hostile_images, hostile_models, hostile_runs, hostile_configs, hostile_fetch)
CASES = [case for module in MODULES for case in module.CASES]


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def offered(folder: Path, case: Case) -> dict[str, Any]:
    content = (folder / "archive.tar.gz").read_bytes()
    return {"size": len(content), "md5": hashlib.md5(content).hexdigest(), "members": case.members}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile_file(tmp_path: Path, sandbox: Sandbox, case: Case) -> None:
    arguments = case.make(tmp_path)
    before = tree(tmp_path)
    if case.members is None:
        found = sandbox.run(*arguments, cwd=tmp_path)
    else:
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=tmp_path)) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            url = f"http://127.0.0.1:{server.server_port}/archive.tar.gz"
            found = sandbox.run(*arguments, cwd=tmp_path, remote={"url": url, **offered(tmp_path, case)})
            server.shutdown()
            thread.join()
    assert (found.code, "Traceback" in found.err) == (case.code, False), found.err[-2000:]
    assert case.says in found.err + found.out
    assert found.touched == []
    assert tree(tmp_path) == before
    assert not (tmp_path / "canary").exists()
    assert found.peak < MOST_MIB
    assert found.seconds < MOST_SECONDS


def test_there_are_cases_of_every_reader() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 100
    readers = {case.name.partition(":")[0] for case in CASES}
    assert readers == {
        "cifar", "cifar 100", "idx", "npy", "npz", "csv", "parquet", "arrow", "feather", "images", "model", "run", "checkpoint",
        "config", "fetch",
    }  # fmt: skip
