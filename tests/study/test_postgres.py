"""A study in a real PostgreSQL: what it comes to in SQLite, and after its server was away."""

import os
import shutil
import socket
import subprocess
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from chainrule.errors import ChainruleError
from chainrule.study import run_study
from chainrule.study.config import study
from chainrule.study.executors import InProcess
from chainrule.study.ledger import open_ledger

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
BIN = FOLDERS[-1] if FOLDERS else Path(shutil.which("initdb") or "/nowhere").parent
if not (BIN / "initdb").exists() or find_spec("psycopg") is None:
    pytest.skip("no PostgreSQL server here: install the Debian package postgresql", allow_module_level=True)

ASKED = study(
    {
        "train": {"training": {"epochs": 2, "batch_size": 64}, "compute": {"threads": 1}},
        "space": {"network.hidden": [[5], [10]], "optimizer.lr": {"low": 1e-3, "high": 1e-1, "log": True}},
        "search": {"sampler": "random", "trials": 6},
        "finalists": {"n": 1, "seeds": 2},
    },
    "small",
)


class Server:
    """One that listens on the loopback alone, in a folder of its own, as a user who is not root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
            for above in [*folder.parents][:3]:
                above.chmod(above.stat().st_mode | 0o055)
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.run("initdb", "--auth=trust", "--username=tester", "--no-sync", "--pgdata", folder / "data")
        self.start()

    def run(self, name, *arguments) -> None:
        subprocess.run([*self.user, str(BIN / name), *map(str, arguments)], check=True, cwd="/", stdout=subprocess.DEVNULL,
                       stderr=subprocess.STDOUT, timeout=60)  # fmt: skip

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -p {self.port} -k {self.folder} -c fsync=off"
        self.run("pg_ctl", "-D", self.folder / "data", "-l", self.folder / "log", "-w", "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", self.folder / "data", "-w", "-m", "immediate", "stop")

    @property
    def url(self) -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/postgres"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("postgres"))
    yield made
    made.stop()


def values(outcome):
    return [(one.number, one.state, one.value, one.params, one.attempt) for one in outcome.trials]


def test_it_comes_to_what_it_comes_to_in_sqlite(server, tmp_path):
    here = run_study(ASKED, tmp_path / "sqlite")
    there = run_study(replace(ASKED, name="first"), tmp_path / "postgres", database=server.url)
    assert values(here) == values(there)
    assert here.summary["finalists"] == there.summary["finalists"]
    assert not (tmp_path / "postgres" / "ledger.sqlite").exists()
    with closing(open_ledger(server.url, "first")) as ledger:
        assert len(ledger.readings()) == 1


def test_a_server_that_goes_away_is_named_and_the_study_goes_on_when_it_is_back(server, tmp_path):
    asked = replace(ASKED, name="second")

    class Away(InProcess):
        done = 0

        def poll(self, seconds):
            found = super().poll(seconds)
            self.done += bool(found)
            if self.done == 2:
                server.stop()
            return found

    try:
        with pytest.raises(
            ChainruleError, match=r"the study's database postgresql.* cannot be used: .* go on with --resume"
        ):
            run_study(asked, tmp_path / "one", database=server.url, executor=Away())
    finally:
        server.start()
    found = run_study(asked, tmp_path / "one", database=server.url, resume=True)
    expected = run_study(ASKED, tmp_path / "two")
    assert [one[:4] for one in values(found)] == [one[:4] for one in values(expected)]
    assert {one.attempt for one in found.trials} == {1, 2}
