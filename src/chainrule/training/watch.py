"""What the loop lets others do: look on, keep a checkpoint, and end it."""

from contextlib import AbstractContextManager, nullcontext

from chainrule.training.measure import Row
from chainrule.training.position import Divergence, Progress
from chainrule.training.step import Resident


class Watch:
    """Does nothing; the loop of a run without a directory needs no more."""

    def ahead(self, step: int) -> int:  # noqa: ARG002
        """How many steps from `step` on may be done before it is asked of them; sooner it wants none of them."""
        return 1_000_000

    def wants(self, step: int) -> bool:  # noqa: ARG002
        """Asked of every step, so it must be cheap: whether `keep` should be called now."""
        return False

    def keep(self, progress: Progress) -> None:
        """The run stands here, all finite; may raise to end it."""

    def measured(self, progress: Progress) -> Row:  # noqa: ARG002
        """More columns for the row of history at this position."""
        return {}

    def row(self, progress: Progress, data: Resident) -> None:
        """The history has a new row, its last one. data: the rows on the device."""

    def setback(self, progress: Progress) -> None:
        """The run has gone back to its anchor and goes on with half the learning rate."""

    def diverged(self, ended: Divergence) -> None:
        """The run ends, as its numbers diverged; the anchor has been kept."""

    def measuring(self) -> AbstractContextManager[None]:
        """Open while a row is measured, which changes nothing and may be broken off."""
        return nullcontext()
