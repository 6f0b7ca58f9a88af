"""`chainrule report`: where it writes, its formats, its refusals, and serving until Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from command import HEARING, QUICK, chainrule


def test_a_page_is_written_into_the_run(run):
    done = chainrule("report", run)
    assert (done.returncode, done.stderr) == (0, "")
    file = run / "report.html"
    assert done.stdout == f"{file} ({len(file.read_bytes()) / 1000:,.0f} kB)\n"
    assert file.read_text().startswith("<!doctype html>")
    assert chainrule("verify", run).returncode == 0
    again = chainrule("train", *QUICK, "--output", run, "--overwrite")
    assert again.returncode == 0, again.stderr
    assert not file.exists()  # it was about a run that is no more


def test_markdown_with_figures(run, tmp_path):
    pytest.importorskip("matplotlib", reason="no matplotlib: pip install matplotlib")
    done = chainrule("report", run, "--format", "md", "-o", tmp_path / "out.md", "--figures", tmp_path / "figures",
                     "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["output"] == str(tmp_path / "out.md")
    assert len(told["figures"]) == len(list((tmp_path / "figures").glob("*.svg"))) >= 8
    assert told["page"]["sections"][0]["name"] == "summary"
    assert "](<figures/loss.svg>)" in (tmp_path / "out.md").read_text()


def test_several_runs_are_written_here(run, tmp_path):
    done = chainrule("report", run, run, cwd=tmp_path)
    assert done.returncode == 2
    assert "two runs have the same seed and configuration" in done.stderr
    other = chainrule("train", *QUICK, "--set", "network.hidden=[5]", "-o", tmp_path / "other", "-q")
    assert other.returncode == 0, other.stderr
    done = chainrule("report", run, "other", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--format", "pdf"], 2, "error: --format 'pdf': expected html or md\n"),
        (["--figure-format", "gif"], 2, "error: --figure-format 'gif': expected svg or png\n"),
        (["--watch", "--format", "md"], 2, "error: --watch serves the page and writes no file; leave out --output, "
         "--figures, --format and --json\n"),
    ],
)  # fmt: skip
def test_mistakes(run, arguments, code, message):
    done = chainrule("report", run, *arguments)
    assert (done.returncode, done.stderr) == (code, message)


def test_what_is_no_run_is_refused(tmp_path):
    done = chainrule("report", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "holds no run" in done.stderr


def test_watch_serves_until_interrupted(run):
    command = [Path(sys.executable).with_name("chainrule"), "report", run, "--watch"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "NO_COLOR": "1"}, **HEARING
    )
    line = process.stderr.readline()
    assert line.startswith("serving http://127.0.0.1:")
    with urlopen(line.split()[1], timeout=30) as answer:
        assert b"connect-src 'self'" in answer.read()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 130
    assert not (run / "report.html").exists()


def test_a_file_in_a_new_folder_is_written_and_a_folder_is_refused(run, tmp_path):
    done = chainrule("report", run, "-o", tmp_path / "new" / "one" / "x.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "new" / "one" / "x.html").is_file()
    done = chainrule("report", run, "-o", tmp_path / "new", "--overwrite")
    assert (done.returncode, done.stderr) == (2, f"error: output {tmp_path / 'new'} is a folder; name a file\n")


def test_a_file_that_is_there_is_not_replaced_unasked(run, tmp_path):
    path = tmp_path / "mine.html"
    path.write_text("mine")
    found = chainrule("report", run, "-o", path)
    assert found.returncode == 2
    assert "mine.html is there already; name another file, or give --overwrite to replace it" in found.stderr
    assert path.read_text() == "mine"
    assert chainrule("report", run, "-o", path, "--overwrite").returncode == 0
    assert path.read_text().startswith("<!doctype html")
