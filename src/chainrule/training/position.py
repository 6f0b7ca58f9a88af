"""Where a run stands: all that the rest of it depends on. A checkpoint is this value on disk."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from chainrule.backprop import Parameters
from chainrule.training.measure import Row
from chainrule.training.norms import Norms
from chainrule.training.step import State


class Position(NamedTuple):
    """Between two steps. step: steps done. batch_losses: sum of the batches' losses since the last row of history,
    each times its share of a full batch.

    norms: of the last step, where the row of history that follows it has not been measured yet.
    """

    step: int
    state: State
    batch_losses: Any = 0.0
    norms: Norms | None = None


class Setback(NamedTuple):
    """A divergence that the run survived: the step it was at, the step it went back to."""

    step: int
    back_to: int
    where: str


class Divergence(NamedTuple):
    """A divergence that ended the run: the column of history that showed it, at which step, and where it came from.

    measured, change: what was found and what to try, in sentences.
    """

    step: int
    column: str
    where: str
    measured: str
    change: str


@dataclass(frozen=True, eq=False)
class Progress:
    """A position, and what came before it.

    anchor: the position after the last row of history, or where the run was resumed after it; all finite.
    best: a copy of the parameters of row `best_row` of the history. improved_row: the last one that was better than
    those before it by more than the tolerance. seconds: of the run, and of training since the last row.
    """

    now: Position
    anchor: Position
    history: tuple[Row, ...] = ()
    best: Parameters | None = None
    best_row: int = -1
    improved_row: int = -1
    setbacks: tuple[Setback, ...] = ()
    seconds: tuple[float, float] = (0.0, 0.0)

    @property
    def measured(self) -> int:
        """Steps done at the last row of history."""
        return int(self.history[-1]["step"]) if self.history else 0

    @property
    def lr_scale(self) -> float:
        """What the schedule's rate is multiplied by: halved at each setback."""
        return float(0.5 ** len(self.setbacks))
