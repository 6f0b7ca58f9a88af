"""Progress on stderr: a bar with rate and time left on a terminal, one plain line a row otherwise."""

import sys
from time import perf_counter
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from chainrule.diagnosis import Finding
from chainrule.runs.hooks import Begun, Listening, finding_said, setback_said
from chainrule.text import Unfailing, number, printable, tell
from chainrule.training.measure import Row
from chainrule.training.position import Setback


def line(row: Row) -> str:
    """A row of history in one line."""
    parts = [f"epoch {row['epoch']:<6.4g} step {row['step']:<7,}", f"lr {row['lr']:.2e}"]
    for part in ("train", "validation"):
        names = [name for name in row if name.startswith(f"{part}_")]
        if names:
            values = " ".join(f"{name.removeprefix(part + '_')} {number(row[name])}" for name in names)
            parts.append(f"{part} {values}")
    return " | ".join([*parts, f"{row['rows_per_second']:,.0f} rows/s"])


class PlainProgress(Listening):
    """What will run, then one line for each row of history; nothing at all where it is silent."""

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent

    def started(self, begun: Begun) -> None:
        """Network, data, backend and notes."""
        plan = begun.plan
        parts = ", ".join(f"{n:,} {part}" for part, n in plan.sizes.items()) + " rows"
        self.write(f"{plan.network!r}")
        self.write(f"{plan.data!r}; {parts}")
        self.write(f"{plan.backend!r}")
        for note in plan.notes:
            self.write(f"note: {note}")

    def logged(self, row: Row) -> None:
        """One line."""
        self.write(line(row))

    def write(self, text: str) -> None:
        """A line on stderr."""
        if not self.silent:
            tell(printable(text))

    def setback(self, setback: Setback, lr_scale: float) -> None:
        """One line."""
        self.write(f"warning: {setback_said(setback, lr_scale)}")

    def warned(self, finding: Finding) -> None:
        """One line."""
        self.write(f"warning: {finding_said(finding)}")

    def on_step(self, step: int) -> None:
        """Nothing: plain lines say enough."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} steps/s" if task.speed else "")


class BarProgress(PlainProgress):
    """The same lines above a bar. A context manager, so that the bar is gone before an error is printed."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.bar = Progress(
            BarColumn(), MofNCompleteColumn(), _Rate(), TimeElapsedColumn(), "left", TimeRemainingColumn(),
            console=console, transient=True,
        )  # fmt: skip
        self.shown = perf_counter()

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def write(self, text: str) -> None:
        """A line above the bar."""
        self.bar.console.print(printable(text), highlight=False, markup=False, soft_wrap=True)

    def started(self, begun: Begun) -> None:
        """The same lines, and the bar's length."""
        super().started(begun)
        self.task = self.bar.add_task("", total=begun.plan.n_steps)

    def on_step(self, step: int) -> None:
        """The bar moves ten times a second."""
        now = perf_counter()
        if now - self.shown > 0.1:
            self.bar.update(self.task, completed=step)
            self.shown = now


def progress() -> PlainProgress:
    """A bar on a terminal, plain lines otherwise."""
    stderr: Any = Unfailing(sys.stderr)
    console = Console(file=stderr)
    return BarProgress(console) if console.is_terminal else PlainProgress()
