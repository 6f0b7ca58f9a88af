"""What can watch a run: five methods, each called with values it may read."""

from typing import TYPE_CHECKING

from chainrule.diagnosis import Finding
from chainrule.training.measure import Row
from chainrule.training.plan import Plan
from chainrule.training.position import Setback

if TYPE_CHECKING:
    from chainrule.runs.run import Run


class Hook:
    """Subclass it and override what you need."""

    def started(self, plan: Plan) -> None:
        """Everything is decided; the first step comes next."""

    def logged(self, row: Row) -> None:
        """A row of history was measured."""

    def setback(self, setback: Setback, lr_scale: float) -> None:
        """The numbers diverged; the run went back and goes on with `lr_scale` of the schedule's learning rate."""

    def warned(self, finding: Finding) -> None:
        """A look at the network found a problem that no look before had found."""

    def finished(self, run: "Run") -> None:
        """Training has ended and its files are written."""
