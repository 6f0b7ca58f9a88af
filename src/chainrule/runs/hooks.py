"""What can watch a run: three methods, each called with a value it may read. Two kinds of hook do one thing more."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.diagnosis import Finding
from chainrule.training.measure import Row
from chainrule.training.plan import Plan
from chainrule.training.position import Setback

if TYPE_CHECKING:
    from chainrule.runs.model import Model
    from chainrule.runs.run import Run


@dataclass(frozen=True, eq=False)
class Begun:
    """A run before its next step. history: the rows before it, of a run that goes on. environment: as in
    `environment.json`; `sessions` are the processes that have had a part in it, of a run with a directory.
    """

    plan: Plan
    environment: dict[str, Any] = field(repr=False)
    history: tuple[Row, ...] = field(default=(), repr=False)
    directory: Path | None = None


class Hook:
    """Watches a run: subclass it and override what you need. What a hook raises ends the run.

    >>> class Best(Hook):
    ...     accuracy = 0.0
    ...     def logged(self, row):
    ...         self.accuracy = max(self.accuracy, row["validation_accuracy"])
    >>> from chainrule import mlp, read, train
    >>> best = Best()
    >>> run = train(mlp([16]), read("digits"), hooks=[best])
    >>> best.accuracy == max(row["validation_accuracy"] for row in run.history)
    True
    """

    def started(self, begun: Begun) -> None:
        """Everything is decided; the next step is the first one, or follows the checkpoint."""

    def logged(self, row: Row) -> None:
        """A row of history was measured: metrics in evaluation mode, norms, rate, seconds, by name of the column."""

    def finished(self, run: "Run") -> None:
        """Training has ended and its files are written."""


class Measuring(Hook):
    """A hook that also measures columns of the history."""

    def measured(self, model: "Model") -> Mapping[str, float]:
        """More columns for the row of history that is due; `evaluation.monitor` may name one of them.

        Where runs are trained together it is asked about each of them.
        """
        raise NotImplementedError


class Listening(Hook):
    """A hook that also hears of trouble."""

    def setback(self, setback: Setback, lr_scale: float) -> None:
        """The numbers diverged; the run went back and goes on with `lr_scale` of the schedule's learning rate."""

    def warned(self, finding: Finding) -> None:
        """A look at the network found a problem that no look before had found."""


class PerRun(Hook):
    """A hook that keeps what it learns of one run: where several are trained together, each gets a copy of it."""


class Columns(Measuring):
    """The columns of other hooks and nothing else of them, for a run that they do not watch."""

    def __init__(self, hooks: Sequence[Measuring]) -> None:
        self.hooks = hooks

    def measured(self, model: "Model") -> Mapping[str, float]:
        """Theirs."""
        return {name: value for hook in self.hooks for name, value in hook.measured(model).items()}


def measuring(hooks: Sequence[Hook]) -> tuple[Measuring, ...]:
    """Those that add columns to the history."""
    return tuple(hook for hook in hooks if isinstance(hook, Measuring))


def beside(hooks: Sequence[Hook]) -> tuple[Hook, ...]:
    """What runs that are trained together with the first one have of its hooks: their columns, and copies."""
    found = measuring(hooks)
    return ((Columns(found),) if found else ()) + tuple(copy(hook) for hook in hooks if isinstance(hook, PerRun))


def setback_said(setback: Setback, lr_scale: float) -> str:
    """A setback in one line."""
    return (
        f"{setback.where} is not finite at step {setback.step:,}; back to step {setback.back_to:,}, "
        f"learning rate x {lr_scale:g}"
    )


def finding_said(finding: Finding) -> str:
    """What was measured and what to change, in one line; `chainrule diagnose` says why."""
    return f"{finding.where + ': ' if finding.where else ''}{finding.measured} {finding.change}"
