"""Train a network: in memory, in a new directory, or on from a checkpoint."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from numbers import Real
from os import getpid
from pathlib import Path
from time import perf_counter
from typing import Any, overload

from chainrule.backends import ALONE, Compute, World
from chainrule.data import Dataset, Split
from chainrule.data.augmentation import Augment
from chainrule.data.dataset import DATASET, Origin
from chainrule.data.preprocessing import Kind
from chainrule.data.streaming import Shards, Stream
from chainrule.errors import ConfigError, Interrupted
from chainrule.losses import AnyLoss
from chainrule.network import Network
from chainrule.optim import Adam, AnyOptimizer, AnySchedule, Constant
from chainrule.runs import checkpoint, resume
from chainrule.runs.checkpoint import Saved
from chainrule.runs.directory import (
    CONFIG,
    START,
    check_free,
    clean,
    clear,
    clear_seeds,
    is_unstarted,
    make,
    plain_config,
    prepare,
)
from chainrule.runs.environment import environment
from chainrule.runs.hooks import Begun, Hook
from chainrule.runs.interrupts import Interrupts
from chainrule.runs.keeper import Audience, Keeper, OnStep
from chainrule.runs.listing import Runs
from chainrule.runs.lock import locked
from chainrule.runs.model import Model
from chainrule.runs.named import nothing_at
from chainrule.runs.ranks import lead, meet, planned_for
from chainrule.runs.run import PYTHON, Run, finished, model_of, save_run
from chainrule.runs.start import starting
from chainrule.spec import expect
from chainrule.text import tell
from chainrule.training.config import Checkpoint, Config, DataOptions, Evaluation, NetworkOptions, Training
from chainrule.training.initial import Initial
from chainrule.training.loop import fit
from chainrule.training.measure import Row
from chainrule.training.plan import Plan, check_warm_up
from chainrule.training.position import Progress


@overload
def train(
    network: Network,
    data: Dataset | Shards,
    *,
    loss: AnyLoss | None = None,
    optimizer: AnyOptimizer = Adam(),  # noqa: B008
    schedule: AnySchedule = Constant(),  # noqa: B008
    training: Training = Training(),  # noqa: B008
    evaluation: Evaluation = Evaluation(),  # noqa: B008
    compute: Compute = Compute(),  # noqa: B008
    checkpoint: Checkpoint = Checkpoint(),  # noqa: B008
    split: Split = Split(),  # noqa: B008
    preprocessing: Kind = "auto",
    standardise_target: bool = True,
    augment: Augment = Augment(),  # noqa: B008
    start: Model | Path | str | None = None,
    output: Path | str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    inexact: bool = False,
    time_limit: float | None = None,
    hooks: Sequence[Hook] = (),
    initial: Initial | None = None,
    seeds: None = None,
) -> Run: ...
@overload
def train(network: Network, data: Dataset | Shards, *, seeds: int, **options: Any) -> Runs: ...
def train(  # type: ignore[misc]  # it takes the same options
    network: Network,
    data: Dataset | Shards,
    *,
    loss: AnyLoss | None = None,
    optimizer: AnyOptimizer = Adam(),  # noqa: B008
    schedule: AnySchedule = Constant(),  # noqa: B008
    training: Training = Training(),  # noqa: B008
    evaluation: Evaluation = Evaluation(),  # noqa: B008
    compute: Compute = Compute(),  # noqa: B008
    checkpoint: Checkpoint = Checkpoint(),  # noqa: B008
    split: Split = Split(),  # noqa: B008
    preprocessing: Kind = "auto",
    standardise_target: bool = True,
    augment: Augment = Augment(),  # noqa: B008
    start: Model | Path | str | None = None,
    output: Path | str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    inexact: bool = False,
    time_limit: float | None = None,
    hooks: Sequence[Hook] = (),
    initial: Initial | Sequence[Initial] | None = None,
    seeds: int | None = None,
) -> Run | Runs:
    """Train `network` on `data`; the options are those of the configuration, section by section.

    data: in memory, or as `shards` gives it, larger than memory.
    output: a directory for files and checkpoints, new or empty unless `overwrite`; None keeps the run in memory.
    start: a trained model to go on from, or the directory of one or of a run: its arrays, its preprocessing and its
    scale of the targets stand in for initial weights and for those that would be fitted; `loss` None is its own.
    resume: go on with the run in `output`, to the same bits as if it had never ended; start it where there is none.
    inexact: go on although the configuration, the data, a version or the machine has changed.
    time_limit: seconds after which a checkpoint is left and a TimeLimitError raised.
    initial: in memory only, what an earlier run left, `run.end`, the optimiser's arrays too; one for each of `seeds`.
    seeds: train so many runs, with the seed of `training` and the next ones, in directories seed-N of `output`; small
    networks are then trained together, with the same bits.
    Raises ConfigError and DataError before any training, DivergenceError when the numbers stop being finite,
    OutputError when a file cannot be written, Interrupted (a KeyboardInterrupt) after a signal.

    >>> from chainrule import mlp, read
    >>> run = train(mlp([16]), read("digits"), training=Training(epochs=2))
    >>> sorted(run.history[-1])[:3]
    ['batch_loss', 'epoch', 'gradient_norm']
    """
    _check_given(network, data, hooks)
    source = asdict(data.origin or Origin(f"{PYTHON}{data.name}"))
    options = DataOptions(**source, split=split, preprocessing=preprocessing, standardise_target=standardise_target,
                          augment=augment, stream=data.options if isinstance(data, Shards) else Stream())  # fmt: skip
    config = starting(Config(options, NetworkOptions(layers=network.layers), loss, optimizer, schedule, training,
                             evaluation, compute, checkpoint), start)  # fmt: skip
    how: dict[str, Any] = {"network": network, "data": data, "start": start if isinstance(start, Model) else None,
                           "overwrite": overwrite, "resume": resume, "inexact": inexact, "time_limit": time_limit,
                           "hooks": hooks}  # fmt: skip
    initials = _initials(start, initial, seeds)
    if seeds is None:
        return train_config(config, output, initial=initials[0] if initials else None, **how)
    from chainrule.runs.seeds import train_seeds

    return Runs(train_seeds(config, seeds, output, initials=initials, **how))


def _check_given(network: object, data: object, hooks: object) -> None:
    expect("network", network, isinstance(network, Network), "a Network, such as mlp([100])")
    expect("data", data, isinstance(data, Dataset | Shards), DATASET)
    listed = isinstance(hooks, Sequence) and all(isinstance(hook, Hook) for hook in hooks)
    expect("hooks", hooks, listed, "a list of Hooks")


def _initials(start: Any, initial: Initial | Sequence[Initial] | None, seeds: int | None) -> list[Initial]:
    """One for each seed, or none."""
    given: Any = [initial] if isinstance(initial, Initial) else initial or ()
    fits = isinstance(given, Sequence) and all(isinstance(one, Initial) for one in given)
    expect("initial", initial, fits, "what an earlier run left, `run.end`, or one for each seed in a list")
    found = [*given]
    if found and start is not None:
        raise ConfigError("start and initial both say what training goes on from; give one of them")
    if found and len(found) != (seeds or 1):
        raise ConfigError(f"initial holds {len(found)} for {seeds or 1} seeds; give one for each")
    return found


NOT_KEPT = "initial cannot be written down in a run directory's config.toml; train in memory, with output=None"


def check_time(limit: object) -> None:
    """Raise a ConfigError where `limit` is neither None nor a number of seconds."""
    seconds = not isinstance(limit, bool) and isinstance(limit, Real) and float(limit) > 0
    expect("time_limit", limit, limit is None or seconds, "a number of seconds above 0, such as 1800, or None")


def silent(step: int) -> None:
    """Does nothing with the number of steps done."""


def to_stderr(text: str) -> None:
    """A warning, where no one else takes it."""
    tell(f"warning: {text}")


@dataclass(frozen=True, eq=False)
class _Call:
    """What was asked for beside the configuration."""

    network: Network | None
    data: Dataset | Shards | None
    start: Model | None
    initial: Initial | None
    overwrite: bool
    resume: bool
    inexact: bool
    deadline: float
    hooks: tuple[Hook, ...]
    on_step: OnStep
    warn: Callable[[str], None]
    changes: Sequence[str]
    world: World

    def plan(self, config: Config, directory: Path | None = None, whole: bool = False) -> Plan:
        """Read data and start, unless they were given, and decide the run; `directory` holds it where it goes on.

        whole: see `planned_for`.
        """
        given = (self.network, self.start, directory, self.initial)
        return planned_for(self.world, config, self.data, *given, whole=whole)


def train_config(
    config: Config | None,
    output: Path | str | None = None,
    *,
    network: Network | None = None,
    data: Dataset | Shards | None = None,
    start: Model | None = None,
    initial: Initial | None = None,
    overwrite: bool = False,
    resume: bool = False,
    inexact: bool = False,
    time_limit: float | None = None,
    hooks: Sequence[Hook] = (),
    on_step: OnStep = silent,
    warn: Callable[[str], None] = to_stderr,
    changes: Sequence[str] = (),
    world: World = ALONE,
) -> Run:
    """Train what `config` describes; `network`, `data` and `start` stand in for its own. See `train`.

    config None: that of the run in `output`, with `changes` such as "optimizer.lr=3e-4". on_step: called with the
    number of steps done. warn: called with a sentence about a damaged checkpoint or a change since it was written.
    world: the processes that share every batch, this one being rank 0; the others call `runs.ranks.follow`.
    Raises as `train` does, and a LostError where another process is lost.

    >>> from chainrule import Config
    >>> train_config(Config(training=Training(epochs=2))).metrics["steps"]
    22
    """
    fits = config is None or isinstance(config, Config)
    expect("config", config, fits, "a Config, such as Config(training=Training(epochs=5))")
    check_time(time_limit)
    deadline = float("inf") if time_limit is None else perf_counter() + time_limit
    call = _Call(network, data, start, initial, overwrite, resume, inexact, deadline, tuple(hooks), on_step, warn,
                 changes, world)  # fmt: skip
    if output is None:
        if resume or time_limit is not None or config is None:
            raise ConfigError("resume and time_limit need a run directory to keep checkpoints in; give output")
        return _in_memory(config, call)
    if initial is not None:
        raise ConfigError(NOT_KEPT)
    directory, interrupts = Path(output), Interrupts()
    with interrupts.caught():
        if resume and (checkpoint.listed(directory) or (config is None and (directory / CONFIG).is_file())):
            return _resumed(directory, config, call, interrupts)
        if config is None and directory.exists():
            raise nothing_at(directory, "run", CONFIG)
        if config is None:
            raise ConfigError(f"{directory} holds no run to go on with; give a configuration too, to start one there")
        return _fresh(directory, config, call, interrupts)


def _in_memory(config: Config, call: _Call) -> Run:
    decided = call.plan(config)
    check_warm_up(decided)
    about = environment(decided.backend, decided.data, kept=False)
    for hook in call.hooks:
        hook.started(Begun(decided, about))
    run = finished(decided, about, fit(decided, None, Audience(decided, call.hooks, call.on_step)))
    for hook in call.hooks:
        hook.finished(run)
    return run


def _fresh(directory: Path, config: Config, call: _Call, interrupts: Interrupts) -> Run:
    if not (call.resume and is_unstarted(directory)):
        check_free(directory, call.overwrite)
    with nothing_lost(interrupts):
        decided = call.plan(config)
        check_warm_up(decided)
        plain = plain_config(decided)
        about = with_session(environment(decided.backend, decided.data, ranks=call.world.size), None, [])
        meet(call.world, directory, decided, None)
    make(directory)
    with locked(directory):
        if call.overwrite:
            clear_seeds(directory)
        clear(directory)
        return _kept(directory, decided, plain, about, None, call, interrupts)


def _resumed(directory: Path, config: Config | None, call: _Call, interrupts: Interrupts) -> Run:
    with locked(directory):
        with nothing_lost(interrupts):
            clean(directory)
            saved = resume.newest(directory, call.warn)
            asked = resume.configuration(directory, saved, call.changes, call.warn) if config is None else config
            decided = call.plan(asked, directory, whole=config is None)
            plain = plain_config(decided)
            about = environment(decided.backend, decided.data, ranks=call.world.size)
            changes = resume.compare(saved, plain, about) if saved else []
            resume.check_left(directory, saved, decided, changes)
            if not call.inexact:
                resume.check_exact(directory, changes)
            if saved is None or any(one.what.startswith(("schedule.", "training.")) for one in changes):
                check_warm_up(decided)
            for change in changes:
                call.warn(f"changed since the checkpoint: {change}{'' if change.exact else ' (the bits may differ)'}")
            about = with_session(about, saved, changes)
            meet(call.world, directory, decided, saved)
        return _kept(directory, decided, plain, about, saved, call, interrupts)


@contextmanager
def nothing_lost(interrupts: Interrupts) -> Iterator[None]:
    """Before the first step a signal ends the process at once; there is nothing to keep."""
    try:
        with interrupts.abortable():
            yield
    except KeyboardInterrupt:
        raise Interrupted("interrupted before the first step", interrupts.received) from None


def with_session(about: dict[str, Any], saved: Saved | None, changes: Sequence[resume.Change]) -> dict[str, Any]:
    """The facts, and one entry for each process that had a part in the run."""
    session = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "pid": getpid(),
        "from_step": saved.state["step"] if saved else 0,
        "changes": [str(change) for change in changes],
    }
    return about | {"sessions": [*(saved.environment["sessions"] if saved else []), session]}


def _kept(directory: Path, decided: Plan, config: dict[str, Any], about: dict[str, Any], saved: Saved | None,
          call: _Call, interrupts: Interrupts) -> Run:  # fmt: skip
    history = tuple(saved.state["history"]) if saved else ()
    restore = None if saved is None else partial(checkpoint.restore, saved)
    end = (interrupts, call.deadline) if call.world.size == 1 else (Interrupts(), float("inf"))
    keeper = begun(directory, decided, config, about, history, call.hooks, call.on_step, *end)
    with keeper:
        if call.world.size == 1:
            progress = fit(decided, restore, keeper)
        else:
            progress = lead(call.world, decided, restore, keeper, interrupts, call.deadline)
    return ended(keeper, about, progress)


def begun(directory: Path, decided: Plan, config: dict[str, Any], about: dict[str, Any], history: tuple[Row, ...],
          hooks: Sequence[Hook], on_step: OnStep, interrupts: Interrupts, deadline: float) -> Keeper:  # fmt: skip
    """What keeps a run in its directory, which is written down as begun; all hooks are told."""
    if decided.start is not None:
        model_of(decided, decided.start.parameters).save(directory / START)
    recorder = prepare(directory, config, about, history)
    snapshot = partial(checkpoint.snapshot, decided, about=about, config=config)
    keeper = Keeper(Audience(decided, (recorder, *hooks), on_step), directory, snapshot, interrupts, deadline)
    for hook in keeper.hooks:
        hook.started(Begun(decided, about, history, directory))
    return keeper


def ended(keeper: Keeper, about: dict[str, Any], progress: Progress) -> Run:
    """The run that has come to its end, written down as finished; all hooks are told."""
    cost = {"written": keeper.written, "seconds": keeper.seconds}
    run = finished(keeper.plan, about, progress, keeper.run, cost)
    save_run(run)
    for hook in keeper.hooks:
        hook.finished(run)
    return run
