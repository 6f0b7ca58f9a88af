"""Progress: plain lines away from a terminal, a bar with rate and time left on one, nothing when silent."""

from io import StringIO

import pytest
from rich.console import Console

import chainrule as cr
from chainrule.runs.progress import BarProgress, PlainProgress, progress
from chainrule.runs.train import to_stderr


def trained(shown: PlainProgress) -> cr.Run:
    config = cr.Config(training=cr.Training(epochs=2, batch_size=32))
    with shown:
        return cr.train_config(config, hooks=[shown], on_step=shown.on_step)


def test_plain_lines(capsys):
    trained(PlainProgress())
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Network(64 | linear 100 | relu | linear 10; 7,510 parameters)"
    assert lines[1].endswith("; 1,294 train, 144 validation, 359 test rows")
    assert lines[2].startswith("numpy on cpu in float32")
    assert lines[3] == "note: 3 columns are constant over the training rows (0, 32, 39): shifted to 0, not scaled"
    assert lines[4].startswith("epoch 1      step 41      | lr 1.00e-03 | train loss ")
    assert lines[4].endswith(" rows/s")
    assert len(lines) == 6


def test_silence(capsys):
    trained(PlainProgress(silent=True))
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal_and_plain_lines_elsewhere():
    assert type(progress()) is PlainProgress
    text = StringIO()
    trained(BarProgress(Console(file=text, force_terminal=True, width=120)))
    assert "epoch 2      step 82" in text.getvalue()
    assert "left" in text.getvalue()


def test_the_bar_changes_nothing_of_the_run():
    quiet = trained(PlainProgress(silent=True))
    barred = trained(BarProgress(Console(file=StringIO(), force_terminal=True)))
    assert quiet.history[-1]["train_loss"] == barred.history[-1]["train_loss"]


class Failing(StringIO):
    error: Exception

    def write(self, text: str) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), ValueError("I/O operation on closed file."),
              RuntimeError("reentrant call inside <_io.BufferedWriter name='<stderr>'>")],
)  # fmt: skip
def test_what_cannot_be_told_ends_no_training(error, monkeypatch):
    failing = Failing()
    failing.error = error
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", failing)
    shown = progress()
    assert type(shown) is BarProgress
    for one in (shown, PlainProgress()):
        assert trained(one).metrics["steps"] == 82


def test_without_stderr_nothing_goes_to_stdout(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    trained(progress())
    to_stderr("a change")
    assert capsys.readouterr().out == ""
