"""What all trackers do: refuse before training, afterwards warn, go on and catch up."""

import re
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from time import time
from typing import TYPE_CHECKING

from chainrule.diagnosis import Finding
from chainrule.errors import ConfigError, OutputError
from chainrule.runs.hooks import Begun, Listening, PerRun, finding_said, setback_said
from chainrule.training.measure import Row
from chainrule.training.position import Setback

if TYPE_CHECKING:
    from chainrule.runs.run import Run

Warn = Callable[[str], None]


class Tracker(PerRun, Listening):
    """Hands entries to a store: rows, notes, the end. A store that fails before the first step ends the run with an
    OutputError; later it gives one warning, and is handed what it missed at the next row and at the end.

    A kind of tracker says how to `open` the store for the run that has begun, and how to `row`, `note` and `end`.
    """

    def __init__(self, warn: Warn) -> None:
        self.warn = warn

    def open(self) -> None:
        """Make the store ready for `self.begun`: options, conditions, notes of the plan."""
        raise NotImplementedError

    def row(self, row: Row) -> None:
        """Log a row of history."""
        raise NotImplementedError

    def note(self, step: int, text: str) -> None:
        """Log a sentence."""
        raise NotImplementedError

    def end(self, run: "Run") -> None:
        """Log the final metrics and close the store."""
        raise NotImplementedError

    def started(self, begun: Begun) -> None:
        """Open the store and log the rows of history that the run goes on from. Raises an OutputError."""
        self.begun, self.step, self.troubled = begun, 0, False
        self.entries = [partial(self.row, row) for row in begun.history]
        self.sent, self.opened = 0, False
        self.origin = time() - (begun.history[-1]["seconds"] if begun.history else 0.0)
        try:
            self._send()
        except Exception as error:
            raise OutputError(f"{self!r} cannot be written: {first_line(error)}. No step was done.") from error

    def logged(self, row: Row) -> None:
        """A row more."""
        self.step = row["step"]
        self._enter(partial(self.row, row))

    def setback(self, setback: Setback, lr_scale: float) -> None:
        """A note."""
        self._enter(partial(self.note, setback.step, setback_said(setback, lr_scale)))

    def warned(self, finding: Finding) -> None:
        """A note."""
        self._enter(partial(self.note, self.step, finding_said(finding)))

    def finished(self, run: "Run") -> None:
        """The end; a last try for what is missing."""
        self._enter(partial(self.end, run))
        if self.troubled:
            self.warn(f"{self!r} lacks {len(self.entries) - self.sent} entries of the run, which is whole without it")

    def _enter(self, entry: Callable[[], None]) -> None:
        self.entries.append(entry)  # type: ignore[arg-type]
        try:
            self._send()
        except Exception as error:  # whatever a store raises, the run goes on
            self.opened = False
            if not self.troubled:
                self.warn(f"{self!r} cannot be written: {first_line(error)}. The run goes on; it is tried again.")
            self.troubled = True
        else:
            self.troubled = False

    def _send(self) -> None:
        if not self.opened:
            self.open()
            self.opened = True
        while self.sent < len(self.entries):
            self.entries[self.sent]()
            self.sent += 1


def needed(library: str, extra: str) -> None:
    """Raise a ConfigError where the library of a tracker is not installed."""
    if find_spec(library) is None:
        raise ConfigError(f"tracking with {extra} needs {library}, which is not installed: "
                          f"pip install 'chainrule[{extra}]'")  # fmt: skip


def run_name(begun: Begun) -> str:
    """The run directory's name, with its group's where it is one of several seeds; of a run in memory data and seed.

    >>> from types import SimpleNamespace
    >>> from pathlib import Path
    >>> run_name(SimpleNamespace(directory=Path("runs/wide/seed-3")))
    'wide/seed-3'
    """
    if begun.directory is None:
        name = re.sub(r"[^\w.-]+", "-", begun.plan.data.name).strip("-.")
        return f"{name}-seed-{begun.plan.config.training.seed}"
    name, group = begun.directory.resolve().name, begun.directory.resolve().parent.name
    return f"{group}/{name}" if re.fullmatch(r"seed-\d+", name) and group else name


def first_line(error: Exception) -> str:
    """What an error says first, without the full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].removesuffix(".")
