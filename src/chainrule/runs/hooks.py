"""What can watch a run: three methods, each called with values it may read."""

from typing import TYPE_CHECKING

from chainrule.training.measure import Row
from chainrule.training.plan import Plan

if TYPE_CHECKING:
    from chainrule.runs.train import Run


class Hook:
    """Subclass it and override what you need."""

    def started(self, plan: Plan) -> None:
        """Everything is decided; the first step comes next."""

    def logged(self, row: Row) -> None:
        """A row of history was measured."""

    def finished(self, run: "Run") -> None:
        """Training has ended and its files are written."""
