"""Progress on stderr: a bar with rate and time left on a terminal, one plain line a row otherwise."""

import sys
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from chainrule.training.hooks import Hook
from chainrule.training.measure import Row
from chainrule.training.plan import Plan


def line(row: Row) -> str:
    """A row of history in one line."""
    parts = [f"epoch {row['epoch']:<6.4g} step {row['step']:<7,}", f"lr {row['lr']:.2e}"]
    for part in ("train", "validation"):
        names = [name for name in row if name.startswith(f"{part}_")]
        if names:
            values = " ".join(f"{name.removeprefix(part + '_')} {row[name]:.4f}" for name in names)
            parts.append(f"{part} {values}")
    return " | ".join([*parts, f"{row['rows_per_second']:,.0f} rows/s"])


class PlainProgress(Hook):
    """What will run, then one line for each row of history."""

    def started(self, plan: Plan) -> None:
        """Network, data, backend and notes."""
        rows = plan.rows
        parts = f"{len(rows.train):,} train, {len(rows.validation):,} validation, {len(rows.test):,} test rows"
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
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    def track(self, steps: range) -> Iterable[int]:
        """The steps themselves."""
        return steps


class BarProgress(PlainProgress):
    """The same lines above a bar."""

    def __init__(self, console: Console) -> None:
        columns = [BarColumn(), MofNCompleteColumn(), TextColumn("{task.speed:.0f} steps/s"), TimeElapsedColumn(),
                   TimeRemainingColumn()]  # fmt: skip
        self.bar = Progress(*columns, console=console, transient=True)

    def write(self, text: str) -> None:
        """A line above the bar."""
        self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def track(self, steps: range) -> Iterator[int]:
        """The steps, with the bar moved ten times a second."""
        with self.bar:
            task = self.bar.add_task("", total=len(steps), speed=0.0)
            for step in steps:
                yield step
                self.bar.update(task, completed=step + 1, speed=self.bar.tasks[task].speed or 0.0)


def progress() -> PlainProgress:
    """A bar on a terminal, plain lines otherwise."""
    console = Console(stderr=True)
    return BarProgress(console) if console.is_terminal else PlainProgress()
