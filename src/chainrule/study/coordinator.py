"""The one process that decides: it proposes, gives trials away, judges rows, and writes everything down."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from time import monotonic
from typing import Any

from chainrule.errors import Interrupted
from chainrule.runs.interrupts import Interrupts
from chainrule.study.config import Study, complete
from chainrule.study.executors import Executor, InProcess
from chainrule.study.ledger import Ledger, Trial
from chainrule.study.proposals import Told, n_candidates, proposer
from chainrule.study.pruning import stopped
from chainrule.study.space import applied
from chainrule.study.task import Ended, Event, Row, Task

ATTEMPTS = 20
"""After so many lost attempts a trial is taken to be what ends its workers."""

FRESH = 1_000_000
"""Finalists are trained with seeds from here on, which no candidate was judged by."""


TOGETHER = 16
"""Candidates that may share their steps: the next ones, if they differ in rate and penalty alone."""
_SCALARS = ("optimizer.lr", "training.penalty")

View = Callable[[list[Trial], int | None], None]
"""Called with all trials, and with how many candidates or finalists there will be: at first, and when any has ended."""


class Coordinator:
    """One search of a study, from where the ledger stands to its end."""

    def __init__(self, study: Study, ledger: Ledger, search: int, directory: Path, executor: Executor,
                 interrupts: Interrupts, view: View) -> None:  # fmt: skip
        self.study, self.ledger, self.search, self.directory = study, ledger, search, directory
        self.executor, self.interrupts, self.view = executor, interrupts, view
        self.threads = ledger.threads()
        self.trials = {trial.number: trial for trial in ledger.trials()}
        # Candidates of this search, in order; finalists are no candidates.
        self.own = [one for one in self.trials.values() if one.search == search and one.finalist_of is None]
        self.out: dict[int, Trial] = {}
        self.leads: dict[int, int] = {}  # by trial that is out, the first trial of its task
        self.ahead: list[Trial] = []  # proposed, and not given away yet
        self.left: list[Trial] = []
        self.stopping: dict[int, str] = {}
        for trial in self.trials.values():
            if trial.state in ("running", "waiting"):
                self._recover(trial)
        self.noted: dict[int, Trial] = {}
        self.changed = False
        if isinstance(executor, InProcess):
            executor.judge = self._row

    def _recover(self, trial: Trial) -> None:
        """A trial that was at work when the study last ended goes on, if it is of this search."""
        if trial.search == self.search:
            self.left.append(trial)
        else:
            trial.state, trial.reason = "failed", "given up: the study went on with another space or training"
            self.ledger.end(trial)

    def run_search(self) -> None:
        """Propose and train until a budget is spent."""
        options, propose, begun = self.study.options.search, proposer(self.study), monotonic()
        limit = n_candidates(self.study)
        most = min((n for n in (options.trials, limit) if n is not None), default=None)

        def more() -> Trial | None:
            late = options.seconds is not None and monotonic() - begun >= options.seconds
            if late or (most is not None and len(self.own) >= most) or self._spent(options.epochs):
                return None
            params = propose(len(self.own), self._told)
            return None if params is None else self._entered(Trial(len(self.trials), self.search, params))

        self._drain(more, most)

    def run_finalists(self, chosen: list[Trial]) -> list[Trial]:
        """Train the chosen again, with fresh seeds; those that were, with the seeds that they have not."""
        own = {of.number for of in chosen}
        there = {one.finalist_of: one for one in self.trials.values() if one.finalist_of in own}
        waiting = [one for one in chosen if one.number not in there]
        for one in there.values():
            if one.state == "finished" and len(one.seed_values) < self.study.options.finalists.seeds:
                # another attempt goes on from the checkpoints of the one before, whose seconds its runs count too
                one.state, one.value, one.seed_values, one.seconds = "waiting", None, (), 0.0
                self.left.append(one)

        def more() -> Trial | None:
            if not waiting:
                return None
            of = waiting.pop(0)
            return self._entered(Trial(len(self.trials), self.search, of.params, finalist_of=of.number))

        self._drain(more, len(chosen))
        return [one for one in self.trials.values() if one.finalist_of in own]

    def _drain(self, more: Callable[[], Trial | None], total: int | None) -> None:
        """Keep the executor busy until there is nothing more, and all that is out has come back."""
        self.view(list(self.trials.values()), total)
        done = False
        while not done or self.out or self.left or self.ahead:
            while len(set(self.leads.values())) < self.executor.slots and (self.left or self.ahead or not done):
                waiting = self.left or self.ahead
                trial = waiting.pop(0) if waiting else more()
                if trial is None:
                    done = True
                    break
                self._give([trial, *self._companions(trial, more, total)])
            for event in self._polled():
                self._take(event)
            if self.noted:
                self.ledger.note(list(self.noted.values()))
                self.noted.clear()
            if self.changed:
                self.view(list(self.trials.values()), total)
                self.changed = False
            if self.interrupts.received:
                raise self._interrupted()

    def _polled(self) -> list[Event]:
        """What came of the trials. One that was trained here and interrupted would give advice on itself alone."""
        try:
            return self.executor.poll(0.2)
        except Interrupted as stopped:
            self.interrupts.received = stopped.exit_code - 128
            raise self._interrupted() from None

    def _interrupted(self) -> Interrupted:
        at_work = f"{len(self.out)} trial{'' if len(self.out) == 1 else 's'} at work"
        return Interrupted(f"interrupted with {at_work}; go on with --resume", self.interrupts.received)

    def _spent(self, epochs: int | None) -> bool:
        return epochs is not None and sum(one.epochs for one in self.own) >= epochs

    def _told(self) -> list[Told]:
        """What a sampler may learn from; candidates are numbered within the search."""
        sign = -1.0 if self.study.maximise else 1.0
        told = []
        for place, one in enumerate(self.own):
            value = one.value
            if one.state == "pruned" and one.curve:
                value = one.curve[-1]
            if value is not None or one.state == "running":
                told.append(Told(place, one.params, None if value is None else sign * value))
        return told

    def _entered(self, trial: Trial) -> Trial:
        self.trials[trial.number] = trial
        if trial.finalist_of is None:
            self.own.append(trial)
        return trial

    def _companions(self, trial: Trial, more: Callable[[], Trial | None], total: int | None) -> list[Trial]:
        """The next candidates, if they differ from `trial` in what can differ among networks that share their steps.

        Not where the next candidate depends on what came of this one, or this one may be stopped.
        """
        search, pruning = self.study.options.search, self.study.options.pruning
        alone = search.sampler == "tpe" or pruning.kind != "none" or search.seeds > 1 or search.epochs or search.seconds
        if total is None or alone or trial.finalist_of is not None or trial.attempt > 0:
            return []
        found: list[Trial] = []
        remaining = total - len(self.own)
        while len(found) + 1 < min(TOGETHER, 1 + remaining // self.executor.slots):
            other = self.ahead.pop(0) if self.ahead else more()
            if other is None or not self._alike(trial, other):
                self.ahead += [] if other is None else [other]
                break
            found.append(other)
        return found

    def _alike(self, one: Trial, other: Trial) -> bool:
        same = dict.fromkeys(_SCALARS, None)
        return one.params | same == other.params | same and one.params.keys() == other.params.keys()

    def _give(self, trials: list[Trial]) -> None:
        tasks = [self._task(trial) for trial in trials]
        for trial in trials:
            self.out[trial.number], self.leads[trial.number] = trial, trials[0].number
            self.ledger.begin(trial)
        self.executor.submit(replace(tasks[0], others=tuple(tasks[1:])))

    def _task(self, trial: Trial) -> Task:
        trial.attempt += 1
        trial.state, trial.reason = "running", None
        trial.curve = []  # an attempt reports all its rows, also those before the checkpoint it goes on from
        folder = self.directory / "trials" / f"{trial.number:05d}"
        earlier = folder / str(trial.attempt - 1)
        finalist = trial.finalist_of is not None
        plain = self._plain(trial)
        if finalist:
            plain = applied(plain, {"training.seed": FRESH + plain.get("training", {}).get("seed", 0)})
        seeds = self.study.options.finalists.seeds if finalist else self.study.options.search.seeds
        return Task(trial.number, trial.attempt, plain, seeds, self.study.metric, str(folder / str(trial.attempt)),
                    str(earlier) if trial.attempt > 1 else None)  # fmt: skip

    def _plain(self, trial: Trial) -> dict[str, Any]:
        plain = complete(applied(self.study.train, trial.params))
        threads = plain.get("compute", {}).get("threads", self.threads)
        return applied(plain, {"compute.threads": threads})

    def _take(self, event: Event) -> None:
        trial = self.out.get(event.trial)
        if trial is None or trial.attempt != event.attempt:
            return  # a worker that was given up: its trial has a new attempt, and this one no longer counts
        if isinstance(event, Row):
            self._row(event)
        else:
            self._ended(trial, event)

    def _row(self, row: Row) -> None:
        trial = self.out[row.trial]
        place = row.index - 1
        trial.curve += [row.value] * (row.index - len(trial.curve))  # a row of history may lack the metric
        trial.curve[place], trial.epochs = row.value, row.epochs
        self.noted[trial.number] = trial
        judged = self.study.options.pruning.kind != "none" and trial.finalist_of is None
        if judged and trial.number not in self.stopping and len(trial.curve) == row.index:
            sign = -1.0 if self.study.maximise else 1.0
            own = {place: one for place, one in enumerate(self.own) if one.state != "failed"}
            curves = {place: [sign * value for value in one.curve] for place, one in own.items()}
            mine = next(place for place, one in own.items() if one is trial)
            reason = stopped(self.study.options.pruning, curves, mine)
            if reason is not None:
                self.stopping[trial.number] = reason
                self.executor.stop(trial.number)

    def _ended(self, trial: Trial, ended: Ended) -> None:
        del self.out[trial.number], self.leads[trial.number]
        stopped_for = self.stopping.pop(trial.number, None)
        trial.epochs, trial.seconds = max(trial.epochs, ended.epochs), trial.seconds + ended.seconds
        trial.reason, trial.seed_values = ended.reason, ended.values
        if ended.outcome == "lost":
            trial.state = "waiting" if trial.attempt < ATTEMPTS else "failed"
            if trial.state == "waiting":
                self.left.append(trial)
            else:
                trial.reason = f"{ended.reason}, {trial.attempt} times"
        elif ended.outcome == "pruned":
            trial.state, trial.reason = "pruned", stopped_for or "asked to stop"
        elif ended.outcome == "failed":
            trial.state = "failed"
        else:
            trial.state, trial.value = "finished", fmean(ended.values)
        self.noted.pop(trial.number, None)
        self.ledger.end(trial, ended.environment)
        self.changed = True
