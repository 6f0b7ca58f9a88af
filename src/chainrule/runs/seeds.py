"""Several runs that differ in seeds, rates or penalties: together where that is faster and changes no bit."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from time import perf_counter
from typing import Any

from chainrule.data import Dataset
from chainrule.data.streaming import Shards
from chainrule.errors import ConfigError, Interrupted
from chainrule.network import Network
from chainrule.runs.directory import check_free_for_seeds, check_no_run, clear, clear_for_seeds, make, plain_config
from chainrule.runs.environment import environment
from chainrule.runs.hooks import Begun, Hook, beside
from chainrule.runs.interrupts import Interrupts
from chainrule.runs.keeper import Audience, Keeper, OnStep
from chainrule.runs.lock import locked
from chainrule.runs.model import Model
from chainrule.runs.run import Run, finished, training_data
from chainrule.runs.start import planned
from chainrule.runs.train import (
    NOT_KEPT,
    begun,
    check_time,
    ended,
    nothing_lost,
    silent,
    to_stderr,
    train_config,
    with_session,
)
from chainrule.spec import expect_count
from chainrule.training.config import Config, with_seed
from chainrule.training.initial import Initial
from chainrule.training.plan import Plan, check_warm_up, reseeded
from chainrule.training.population import alike, fit_together, together

OVER = 1e-9
"""Seconds of a time limit that is over: what comes next leaves a checkpoint before its first step."""


def train_seeds(
    config: Config,
    n: int,
    output: Path | str | None = None,
    *,
    network: Network | None = None,
    data: Dataset | Shards | None = None,
    start: Model | None = None,
    overwrite: bool = False,
    resume: bool = False,
    inexact: bool = False,
    time_limit: float | None = None,
    hooks: Sequence[Hook] = (),
    on_step: OnStep = silent,
    warn: Callable[[str], None] = to_stderr,
    initials: Sequence[Initial] = (),
) -> list[Run]:
    """`n` runs, with the configuration's seed and the next ones, in `output`/seed-N. See `train`.

    Where runs are trained together the hooks and `on_step` see the first of them; a tracker sees each.
    """
    expect_count("seeds", n)
    given: list[Initial | None] = [*initials] or [None] * n
    check_time(time_limit)
    deadline = float("inf") if time_limit is None else perf_counter() + time_limit
    seeds = range(config.training.seed, config.training.seed + n)
    kept = [] if output is None else [Path(output) / f"seed-{seed}" for seed in seeds]
    folders: list[Path | None] = [*kept] or [None] * n
    if output is not None and initials:
        raise ConfigError(NOT_KEPT)
    if output is not None and resume:
        check_no_run(Path(output), "leave out --seeds to go on with it, or name a directory of seeds, or a new one")
    elif output is not None:
        check_free_for_seeds(Path(output), kept, overwrite)
    data = training_data(config.data) if data is None else data
    begun_before = resume and any(folder is not None and folder.exists() for folder in folders)
    first = planned(config, data, network, start, initial=given[0])
    if not begun_before:
        check_warm_up(first)
    plans = [reseeded(first, seed, one) for seed, one in zip(seeds, given, strict=True)]
    if output is not None and overwrite and not resume:
        plain_config(first)  # what no directory can hold is refused before anything goes
        clear_for_seeds(Path(output), kept)
    if begun_before or not together(first, n) or not all(alike(first, one) for one in plans):
        how: dict[str, Any] = {"network": network, "data": data, "start": start, "overwrite": overwrite,
                               "resume": resume, "inexact": inexact, "hooks": hooks, "on_step": on_step,
                               "warn": warn}  # fmt: skip
        configs = [with_seed(config, seed) for seed in seeds]
        return _in_turn(configs, folders, given, None if time_limit is None else deadline, how)
    if output is None:
        if time_limit is not None:
            raise ConfigError("time_limit needs a run directory to keep checkpoints in; give output")
        return _in_memory(plans, hooks, on_step)
    watching = [(tuple(hooks), on_step), *((beside(hooks), silent) for _ in plans[1:])]
    return _in_directories(plans, kept, watching, deadline)


def _in_turn(configs: Sequence[Config], folders: Sequence[Path | None], initials: Sequence[Initial | None],
             deadline: float | None, how: dict[str, Any]) -> list[Run]:  # fmt: skip
    """One after the other; a signal between two of them ends them all, as one within them does."""
    interrupts, runs = Interrupts(), list[Run]()
    with interrupts.caught() if folders[0] is not None else nullcontext():
        for config, folder, initial in zip(configs, folders, initials, strict=True):
            if interrupts.received:
                told = f"interrupted with {len(runs)} of {len(configs)} seeds trained; go on with --resume"
                raise Interrupted(told, interrupts.received)
            left = None if deadline is None else max(deadline - perf_counter(), OVER)
            runs.append(train_config(config, folder, initial=initial, time_limit=left, **how))
    return runs


def train_alike(
    configs: Sequence[Config], folders: Sequence[Path], data: Dataset | Shards, hooks: Sequence[Sequence[Hook]]
) -> list[Run] | None:
    """A run of each configuration in its folder, all new, trained together; None where that brings nothing.

    hooks: of each run. What `train_config` raises for any of them is raised; the others have a checkpoint then.
    """
    plans = [planned(config, data) for config in configs]
    for one in plans:
        check_warm_up(one)
    if not together(plans[0], len(plans)) or not all(alike(plans[0], one) for one in plans[1:]):
        return None
    return _in_directories(plans, folders, [(tuple(one), silent) for one in hooks], float("inf"))


def _in_memory(plans: Sequence[Plan], hooks: Sequence[Hook], on_step: OnStep) -> list[Run]:
    about = environment(plans[0].backend, plans[0].data, kept=False)
    audiences = [Audience(plans[0], hooks, on_step)]
    audiences += [Audience(one, beside(hooks), silent) for one in plans[1:]]
    for audience in audiences:
        for hook in audience.hooks:
            hook.started(Begun(audience.plan, about))
    runs = [finished(one, about, end) for one, end in zip(plans, fit_together(plans, audiences), strict=True)]
    for audience, run in zip(audiences, runs, strict=True):
        for hook in audience.hooks:
            hook.finished(run)
    return runs


def _in_directories(plans: Sequence[Plan], folders: Sequence[Path],
                    watching: Sequence[tuple[tuple[Hook, ...], OnStep]], deadline: float) -> list[Run]:  # fmt: skip
    interrupts, keepers, facts = Interrupts(), list[Keeper](), list[dict[str, Any]]()
    with interrupts.caught(), ExitStack() as locks:
        with nothing_lost(interrupts):
            about = environment(plans[0].backend, plans[0].data)
        for one, folder, watched in zip(plans, folders, watching, strict=True):
            make(folder)
            locks.enter_context(locked(folder))
            clear(folder)
            facts.append(with_session(about, None, []))
            keepers.append(begun(folder, one, plain_config(one), facts[-1], (), *watched, interrupts, deadline))
        with ExitStack() as writing:
            for keeper in keepers:
                writing.enter_context(keeper)
            ends = fit_together(plans, keepers)
        return [ended(keeper, fact, end) for keeper, fact, end in zip(keepers, facts, ends, strict=True)]
