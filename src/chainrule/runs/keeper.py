"""What watches a run: hooks and progress always; with a directory also checkpoints and the end that was asked for."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from shlex import quote
from time import perf_counter
from types import TracebackType
from typing import Self

from chainrule.diagnosis import diagnose
from chainrule.errors import Interrupted, TimeLimitError
from chainrule.runs import checkpoint
from chainrule.runs.background import Background
from chainrule.runs.checkpoint import Key, Snapshot
from chainrule.runs.directory import DIVERGED
from chainrule.runs.files import format_json, write
from chainrule.runs.hooks import Hook, Listening, measuring
from chainrule.runs.interrupts import Interrupts
from chainrule.runs.run import model_of
from chainrule.training.loop import ended, to_host
from chainrule.training.measure import Row
from chainrule.training.plan import Plan
from chainrule.training.position import Divergence, Progress
from chainrule.training.step import Resident
from chainrule.training.watch import Watch

DEFAULT_SECONDS = 30.0
"""Between checkpoints where the configuration names no distance: the most that a killed run has to do again."""

OnStep = Callable[[int], None]


class Audience(Watch):
    """Hands rows to the hooks, and the number of steps done to `on_step`."""

    def __init__(self, plan: Plan, hooks: Sequence[Hook], on_step: OnStep) -> None:
        self.plan, self.hooks, self.on_step = plan, hooks, on_step
        self.told: set[str] = set()

    def wants(self, step: int) -> bool:
        """Never; but the step is passed on."""
        self.on_step(step)
        return False

    def measured(self, progress: Progress) -> Row:
        """What the hooks measure of the model as it is now."""
        found = measuring(self.hooks)
        if not found:
            return {}
        model = model_of(self.plan, to_host(self.plan, progress.now.state.parameters))
        return {name: float(value) for hook in found for name, value in hook.measured(model).items()}

    def row(self, progress: Progress, data: Resident) -> None:
        """Every hook gets the row, and at rows 1, 2, 4, 8 ... what is wrong with the network."""
        for hook in self.hooks:
            hook.logged(progress.history[-1])
        n = len(progress.history)
        listeners = [hook for hook in self.hooks if isinstance(hook, Listening)]
        if n & (n - 1) or not listeners:
            return
        now = progress.now
        for finding in diagnose(self.plan, data, now.state, now.step, progress.history, None, progress.lr_scale):
            if finding.severity == "problem" and finding.name not in self.told:
                self.told.add(finding.name)
                for hook in listeners:
                    hook.warned(finding)

    def setback(self, progress: Progress) -> None:
        """Those that listen are told."""
        for hook in self.hooks:
            if isinstance(hook, Listening):
                hook.setback(progress.setbacks[-1], progress.lr_scale)


def distances(plan: Plan) -> list[int]:
    """Steps between two checkpoints, as far as the configuration counts them in steps or epochs."""
    options = plan.config.checkpoint
    by_epoch = options.every_epochs and options.every_epochs * plan.batches.per_epoch
    return [n for n in (options.every_steps, by_epoch) if n]


class Keeper(Audience):
    """Keeps checkpoints in the directory `run`; ends the run on a signal, or at `deadline` on `perf_counter`'s clock.

    A checkpoint is copied between two steps and written beside the next ones. Open it as a context: when that ends, all
    that was kept is on disk. written, seconds: checkpoints of this process, and the time that training waited for them.
    """

    def __init__(
        self, audience: Audience, run: Path, snapshot: Callable[[Progress], Snapshot], interrupts: Interrupts,
        deadline: float,
    ) -> None:  # fmt: skip
        plan = audience.plan
        super().__init__(plan, audience.hooks, audience.on_step)
        options, self.distances = plan.config.checkpoint, distances(plan)
        self.run, self.snapshot, self.interrupts, self.deadline = run, snapshot, interrupts, deadline
        self.interval = options.every_seconds or (float("inf") if self.distances else DEFAULT_SECONDS)
        self.last = max(checkpoint.listed(run), default=Key(0, -1))
        self.next = perf_counter() + self.interval
        self.written, self.seconds = 0, 0.0
        self.background = Background()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Whoever interrupts twice does not want to wait for a disk; what was being written is then whole, or gone."""
        self.background.wait(1.0 if kind is KeyboardInterrupt else None)

    def ahead(self, step: int) -> int:
        """To the next checkpoint that is counted in steps."""
        return min((n - step % n for n in self.distances), default=super().ahead(step))

    def wants(self, step: int) -> bool:
        """Whether a checkpoint is due, or the end."""
        super().wants(step)
        now = perf_counter()
        due = any(step % n == 0 for n in self.distances) or self.background.failed
        return due or now >= self.next or now >= self.deadline or self.interrupts.received != 0

    def keep(self, progress: Progress) -> None:
        """Write a checkpoint, if none stands here yet. Then raise, where the end was asked for and is not reached."""
        if checkpoint.key(progress) > self.last:
            start = perf_counter()
            self.background.start(partial(self._write, self.snapshot(progress)))
            self.last = checkpoint.key(progress)
            self.written += 1
            self.seconds += perf_counter() - start
        self.next = perf_counter() + self.interval
        if ended(self.plan, progress):
            return
        where = f"at step {progress.now.step:,}; go on with: chainrule train --resume {quote(str(self.run))}"
        if self.interrupts.received:
            self.background.wait()
            raise Interrupted(f"interrupted {where}", self.interrupts.received)
        if perf_counter() >= self.deadline:
            self.background.wait()
            raise TimeLimitError(f"the time limit was reached {where}")

    def diverged(self, ended: Divergence) -> None:
        """Written down, for a diagnosis: the newest checkpoint is of the last finite position."""
        write(self.run / DIVERGED, format_json(ended._asdict()))

    def _write(self, shot: Snapshot) -> None:
        checkpoint.write(self.run, shot)
        checkpoint.thin(self.run, self.plan.config.checkpoint.keep)

    def measuring(self) -> AbstractContextManager[None]:
        """A signal breaks the measuring off: the position is kept before it, and measured when the run goes on."""
        return self.interrupts.abortable()
