"""Names in files reach a terminal only as printing characters, and CSV and JSON only as data."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.sandbox import Sandbox

CLEAR = "\x1b[2J\x1b]0;title\x07"  # clears the screen and sets the title
NAMES = [f"a{CLEAR}", "<script>alert(1)</script>", '=HYPERLINK("http://x","y")', "line\nerror: forged", "\u202egpj.exe"]
QUICK = ["--set", "training.iterations=3", "--set", "training.batch_size=8", "--set", "compute.backend=numpy"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


def write(path: Path, columns: list[str], rows: list[list[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [[i % 7, 1, NAMES[i % 5]] for i in range(100)]
    return write(tmp_path_factory.mktemp("tables") / f"{CLEAR}.csv", [f"x{CLEAR}", "1\n2", f"y{CLEAR}"], rows)


@pytest.fixture(scope="module")
def run(table: Path, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / f"run{CLEAR}"
    done = sandbox.run("train", "--data", table, *QUICK, "-o", folder, cwd=folder.parent)
    assert done.code == 0, done.err
    assert_plain(done.out, done.err)
    assert "\\x1b[2J" in done.err  # the note on the constant column and the name of the data
    return folder


def assert_plain(*texts: str) -> None:
    for text in texts:
        assert text.replace("\n", "").isprintable(), ascii(text)


def test_info_and_evaluate(table: Path, run: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    for arguments in (["data", "info", table], ["evaluate", run], ["verify", run], ["diagnose", run]):
        done = sandbox.run(*arguments, cwd=tmp_path)
        assert done.code == 0, done.err
        assert_plain(done.out, done.err)
    described = sandbox.run("data", "info", table, cwd=tmp_path).out
    assert "\\x1b[2J" in described
    assert "line\\nerror: forged" in described
    assert "\\u202egpj.exe" in described
    found = json.loads(sandbox.run("data", "info", table, "--json", cwd=tmp_path).out)
    assert NAMES[0] in found["classes"]


@pytest.mark.parametrize("arguments", [
    ["data", "info", f"{CLEAR}"], ["data", "info", "TABLE", "--target", f"{CLEAR}"], ["evaluate", f"{CLEAR}"],
    ["train", f"{CLEAR}.toml"], ["train", "--set", f"x{CLEAR}=1"], ["predict", f"{CLEAR}", "rows.csv"],
    ["data", "fetch", f"{CLEAR}"], ["data", "info", "cells.csv"], ["data", "info", os.fsdecode(b"\xff\x1b[2J.csv")],
    ["train", "config.toml"],
])  # fmt: skip
def test_errors(table: Path, sandbox: Sandbox, tmp_path: Path, arguments: list[str]) -> None:
    write(tmp_path / "cells.csv", ["a", "b"], [[1, 1], [CLEAR, 1]])
    (tmp_path / "config.toml").write_text('[optimizer]\nkind = "a\\u001b[2J"\n["\\u001b[2J"]\nx = 1\n')
    done = sandbox.run(*(table if each == "TABLE" else each for each in arguments), cwd=tmp_path)
    assert done.code in (2, 3, 4), done.err
    assert done.err.startswith("error: ") or "Usage" in done.err
    assert_plain(done.out, done.err)


def test_predictions_are_data(run: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    new = write(tmp_path / "new.csv", [f"x{CLEAR}", "1\n2"], [[3, 1], [4, 1]])
    lines = list(csv.reader(io.StringIO(sandbox.run("predict", run, new, cwd=tmp_path).out)))
    assert sorted(lines[0][2:]) == sorted(f"p({name})" for name in NAMES)
    assert {len(line) for line in lines} == {7}
    records = json.loads(sandbox.run("predict", run, new, "--json", cwd=tmp_path).out)
    assert set(records[0]["probabilities"]) == set(NAMES)
    found = sandbox.run("predict", run, new, "-o", tmp_path / "out.csv", cwd=tmp_path)
    assert found.code == 0
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == lines


def test_predictions_on_a_terminal_do_not_command_it(run: Path, tmp_path: Path) -> None:
    new = write(tmp_path / "new.csv", [f"x{CLEAR}", "1\n2"], [[3, 1]])
    here, there = pty.openpty()
    command = [sys.executable, "-m", "chainrule", "predict", run, new]
    done = subprocess.Popen(command, stdout=there, stderr=there, stdin=subprocess.DEVNULL)
    os.close(there)
    seen = b""
    try:
        while piece := os.read(here, 65536):
            seen += piece
    except OSError:  # Linux: the other end is closed
        pass
    os.close(here)
    assert done.wait() == 0
    text = seen.decode().replace("\r\n", "\n")
    assert "\\x1b[2J" in text
    assert_plain(text)
