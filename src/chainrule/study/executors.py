"""What carries out attempts. Four methods, plain values in and out: a trial gives the same result on each of them."""

from collections import deque
from typing import Protocol

from chainrule.study.task import Event, Row, Task, perform_all


class Executor(Protocol):
    """Carries attempts out."""

    @property
    def slots(self) -> int:
        """How many attempts at the same time; it may change, as a cluster's nodes come and go."""

    def submit(self, task: Task) -> None:
        """Begin an attempt, and those that came with it; at most `slots` tasks are out at a time."""

    def poll(self, seconds: float) -> list[Event]:
        """What has happened since, waiting at most so long for the first event."""

    def stop(self, trial: int) -> None:
        """Ask the worker that has `trial` to stop at its next row; it answers with outcome "pruned"."""

    def close(self) -> None:
        """End all workers; each leaves a checkpoint."""


class InProcess:
    """Here and now, one after the other. A row is judged before the next one is trained for."""

    def __init__(self) -> None:
        self.slots = 1
        self.tasks: deque[Task] = deque()
        self.judge: Judge | None = None
        self.asked = False

    def submit(self, task: Task) -> None:
        """Kept until it is polled for."""
        self.tasks.append(task)

    def poll(self, seconds: float) -> list[Event]:  # noqa: ARG002
        """Carries one attempt out."""
        if not self.tasks:
            return []
        self.asked = False
        return [*perform_all(self.tasks.popleft(), self._reported, lambda: self.asked)]

    def _reported(self, row: Row) -> None:
        if self.judge is not None:
            self.judge(row)

    def stop(self, trial: int) -> None:  # noqa: ARG002
        """The one that is being trained."""
        self.asked = True

    def close(self) -> None:
        """No one is there."""


class Judge(Protocol):
    """Takes a row as soon as it is there."""

    def __call__(self, row: Row) -> None:
        """May ask the executor to stop the trial."""
