"""What can watch a run: six methods, each called with values it may read."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from chainrule.diagnosis import Finding
from chainrule.training.measure import Row
from chainrule.training.plan import Plan
from chainrule.training.position import Setback

if TYPE_CHECKING:
    from chainrule.runs.model import Model
    from chainrule.runs.run import Run


class Hook:
    """Subclass it and override what you need."""

    def started(self, plan: Plan) -> None:
        """Everything is decided; the first step comes next."""

    def measured(self, model: "Model") -> Mapping[str, float]:  # noqa: ARG002
        """More columns for the row of history that is due; `evaluation.monitor` may name one of them.

        Where runs are trained together it is asked about each of them.
        """
        return {}

    def logged(self, row: Row) -> None:
        """A row of history was measured."""

    def setback(self, setback: Setback, lr_scale: float) -> None:
        """The numbers diverged; the run went back and goes on with `lr_scale` of the schedule's learning rate."""

    def warned(self, finding: Finding) -> None:
        """A look at the network found a problem that no look before had found."""

    def finished(self, run: "Run") -> None:
        """Training has ended and its files are written."""


def measuring(hooks: Sequence[Hook]) -> tuple[Hook, ...]:
    """Those that add columns to the history."""
    return tuple(hook for hook in hooks if type(hook).measured is not Hook.measured)


class Measuring(Hook):
    """The columns of other hooks and nothing else of them, for a run that they do not watch."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self.hooks = hooks

    def measured(self, model: "Model") -> Mapping[str, float]:
        """Theirs."""
        return {name: value for hook in self.hooks for name, value in hook.measured(model).items()}
