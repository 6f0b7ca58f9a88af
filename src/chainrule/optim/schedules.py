"""Learning-rate schedules: functions of the step, without state. Each gives the factor on the optimiser's `lr`."""

from abc import ABC, abstractmethod
from dataclasses import field
from math import ceil, cos, log2, pi
from typing import Annotated, Literal

from pydantic import Field

from chainrule.spec import OwnOr, spec

Epochs = Annotated[float, Field(ge=0)]
Factor = Annotated[float, Field(gt=0, le=1)]


class Schedule(ABC):
    """A factor for each step; `warm_up` epochs at the start rise linearly to what follows them (Goyal 2017).

    Subclass it to add one of your own, for trainings in memory: no file can name it.
    """

    @property
    @abstractmethod
    def warm_up(self) -> float:
        """Epochs of warm-up."""

    @abstractmethod
    def after(self, step: int, n_steps: int, per_epoch: int) -> float:
        """The factor at `step` of `n_steps`, counted from the end of the warm-up; `per_epoch` steps are one epoch."""

    def rising(self, per_epoch: int) -> int:
        """Steps of warm-up."""
        return round(min(self.warm_up * per_epoch, 1e18))  # infinity has no whole number

    def factor(self, step: int, n_steps: int, per_epoch: int) -> float:
        """The factor at `step` of a run of `n_steps`."""
        rising = self.rising(per_epoch)
        if step < rising:
            return (step + 1) / (rising + 1) * self.after(0, max(n_steps - rising, 1), per_epoch)
        return self.after(step - rising, max(n_steps - rising, 1), per_epoch)


@spec
class Constant(Schedule):
    """1, after `warm_up` epochs of a linear rise.

    >>> [Constant(warm_up=1).factor(step, 10, per_epoch=3) for step in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    warm_up: Epochs = 0.0
    kind: Literal["constant"] = field(default="constant", kw_only=True, repr=False)

    def after(self, step: int, n_steps: int, per_epoch: int) -> float:  # noqa: ARG002
        """Always 1."""
        return 1.0


@spec
class Exponential(Schedule):
    """decay^⌊step/per_epoch⌋, the report's decay per epoch.

    early: decay^⌈step/per_epoch⌉ instead, which is what the report's code ran: its first decay comes right after the
    first step, so every epoch is one decay ahead. warm_up: epochs of a linear rise before it.

    >>> [Exponential(decay=0.5).factor(step, 6, per_epoch=2) for step in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    decay: Factor = 0.95
    early: bool = False
    warm_up: Epochs = 0.0
    kind: Literal["exponential"] = field(default="exponential", kw_only=True, repr=False)

    def after(self, step: int, n_steps: int, per_epoch: int) -> float:  # noqa: ARG002
        """The factor at `step`."""
        epochs = ceil(step / per_epoch) if self.early else step // per_epoch
        return float(self.decay**epochs)


@spec
class Step(Schedule):
    """decay^⌊epoch/every⌋: a step down after each `every` epochs. warm_up: epochs of a linear rise before it.

    >>> [round(Step(every=1).factor(step, 6, per_epoch=2), 3) for step in range(6)]
    [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]
    """

    every: Annotated[int, Field(gt=0)] = 10
    decay: Factor = 0.1
    warm_up: Epochs = 0.0
    kind: Literal["step"] = field(default="step", kw_only=True, repr=False)

    def after(self, step: int, n_steps: int, per_epoch: int) -> float:  # noqa: ARG002
        """The factor at `step`."""
        return float(self.decay ** (step // per_epoch // self.every))


@spec
class Cosine(Schedule):
    """last + (1 - last)(1 + cos(π step/n_steps))/2: from 1 down to `last` over the whole run (Loshchilov 2016).

    warm_up: epochs of a linear rise before it.

    >>> [round(Cosine().factor(step, 5, per_epoch=1), 3) for step in range(5)]
    [1.0, 0.905, 0.655, 0.345, 0.095]
    """

    last: Annotated[float, Field(ge=0, le=1)] = 0.0
    warm_up: Epochs = 0.0
    kind: Literal["cosine"] = field(default="cosine", kw_only=True, repr=False)

    def after(self, step: int, n_steps: int, per_epoch: int) -> float:  # noqa: ARG002
        """The factor at `step`."""
        return _cosine(1.0, self.last, step / n_steps)


@spec
class OneCycle(Schedule):
    """Cosine from `first` up to 1 during `rise` of the run, then cosine down to `last` (Smith 2017).

    rise: a share of the steps. first, last: factors on the rate.
    """

    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    first: Factor = 0.04
    last: Annotated[float, Field(ge=0, le=1)] = 4e-6
    warm_up = 0.0  # it rises by itself
    kind: Literal["one_cycle"] = field(default="one_cycle", kw_only=True, repr=False)

    def after(self, step: int, n_steps: int, per_epoch: int) -> float:  # noqa: ARG002
        """The factor at `step`."""
        top = self.rise * n_steps - 1
        if step < top:
            return _cosine(self.first, 1.0, step / top)
        return _cosine(1.0, self.last, (step - top) / (n_steps - 1 - top))


@spec
class CosLog(Schedule):
    """(1 - cos(2π log₂(1 + (2^cycles - 1) step/n_steps)))/2: waves from 0 to 1 to 0, each twice as long as the last.

    With four of them it is RealMLP's `coslog4` (Holzmüller 2024).
    """

    cycles: Annotated[int, Field(gt=0)] = 4
    warm_up = 0.0  # it rises by itself
    kind: Literal["coslog"] = field(default="coslog", kw_only=True, repr=False)

    def after(self, step: int, n_steps: int, per_epoch: int) -> float:  # noqa: ARG002
        """The factor at `step`."""
        return (1 - cos(2 * pi * log2(1 + (2**self.cycles - 1) * step / n_steps))) / 2


@spec
class FlatCosine(Schedule):
    """1 for the first `flat` of the run, then cosine down to `last`: RealMLP's `flat_cos` (Holzmüller 2024).

    flat: a share of the steps. last: a factor on the rate. warm_up: epochs of a linear rise before it.
    """

    flat: Annotated[float, Field(ge=0, lt=1)] = 0.5
    last: Annotated[float, Field(ge=0, le=1)] = 0.0
    warm_up: Epochs = 0.0
    kind: Literal["flat_cosine"] = field(default="flat_cosine", kw_only=True, repr=False)

    def after(self, step: int, n_steps: int, per_epoch: int) -> float:  # noqa: ARG002
        """The factor at `step`."""
        return _cosine(1.0, self.last, max(step / n_steps - self.flat, 0.0) / (1 - self.flat))


def _cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + cos(pi * min(fraction, 1.0))) / 2


AnySchedule = Annotated[Schedule, OwnOr(Constant | Exponential | Step | Cosine | OneCycle | CosLog | FlatCosine)]
"""Any schedule; `kind` says which in a file, which has no words for one of your own."""
