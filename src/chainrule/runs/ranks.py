"""A run of several processes: what they agree on before the first step, and what each is then.

Rank 0 does all that one process does: it reads and writes the directory, measures, prints. The others take part in its
steps, and hear from it whatever depends on its files or its clock.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any, NoReturn

from chainrule.backends import World
from chainrule.data import Dataset
from chainrule.data.streaming import Shards
from chainrule.errors import (
    ChainruleError,
    ConfigError,
    DamagedError,
    DataError,
    DivergenceError,
    Followed,
    LostError,
)
from chainrule.runs import checkpoint
from chainrule.runs.checkpoint import Saved
from chainrule.runs.directory import plain_config
from chainrule.runs.environment import environment
from chainrule.runs.files import format_arrays, parse_arrays
from chainrule.runs.in_step import Follower, InStep
from chainrule.runs.interrupts import Interrupts
from chainrule.runs.keeper import Keeper
from chainrule.runs.resume import flat
from chainrule.runs.run import training_data
from chainrule.runs.start import planned
from chainrule.spec import from_plain
from chainrule.training.config import Config
from chainrule.training.loop import fit
from chainrule.training.plan import Plan
from chainrule.training.position import Progress

_OWN = ("config.data.source", "config.data.path", "config.start.model")
"""Where a rank finds data and start is its own affair; their digests are compared."""

Restore = Callable[[Plan], Progress]


def planned_for(world: World, config: Config, data: Dataset | Shards | None, *given: Any, whole: bool = False) -> Plan:
    """The plan of one process that has the batches of all ranks together, on this rank's device.

    whole: `batch_size` is that of all ranks, as a run directory's configuration has it, not of each.
    Raises as `planned` does.
    """
    if world.size == 1:
        return planned(config, data, *given)
    if config.compute.backend == "numpy":
        raise ConfigError(
            f"compute.backend 'numpy' with {world.size} processes: they meet by torch.distributed; use 'torch'"
        )
    data = training_data(config.data) if data is None else data
    if isinstance(data, Shards):
        raise ConfigError(
            f"{data.name} is streamed, which {world.size} processes cannot share; train it with one process, "
            "or set data.stream.when = 'never'"
        )
    compute = replace(config.compute, backend="torch")
    config = replace(config, compute=replace(compute, device=world.device(compute.device)))
    decided = planned(config, data, *given, ranks=1 if whole else world.size)
    batches = decided.batches
    if batches.n_rows < world.size:
        raise ConfigError(
            f"{data.name} has {batches.n_rows} training rows, too few for {world.size} processes to have one each; "
            f"start at most {batches.n_rows}"
        )
    smallest = min(batches.size_of(0), batches.size_of(batches.per_epoch - 1))
    if smallest < world.size:
        raise ConfigError(
            f"the smallest batch of an epoch has {smallest} of the {batches.n_rows:,} training rows, too few for "
            f"{world.size} processes; set training.batch_size so that at least {world.size} rows are left for the last"
        )
    note = (
        f"{world.size} processes share every batch of {batches.size:,} rows; the run is that of one process with "
        f"training.batch_size {batches.size}, which config.toml holds"
    )
    return replace(decided, config=replace(decided.config, compute=compute), notes=(*decided.notes, note))


def meet(world: World, directory: Path, decided: Plan, saved: Saved | None) -> None:
    """Rank 0 tells the others what will be trained, and from where on. Raises a ConfigError where one would not."""
    if world.size == 1:
        return
    told = {"config": plain_config(decided), "directory": str(directory),
            "saved": saved and {"path": str(saved.path), "state": saved.state}}  # fmt: skip
    world.told(lambda: json.dumps(told).encode())
    world.told(lambda: format_arrays(saved.arrays) if saved else b"")
    _agree(world, _facts(decided))


def lead(world: World, decided: Plan, restore: Restore | None, keeper: Keeper, interrupts: Interrupts,
         deadline: float) -> Progress:  # fmt: skip
    """Train as rank 0; the directory is this run's."""
    world.told(lambda: b"")
    try:
        return fit(replace(decided, world=world), restore, InStep(world, decided, keeper, interrupts, deadline))
    except LostError as error:
        raise _resumable(error, str(keeper.run)) from None


def _resumable(error: LostError, directory: str) -> LostError:
    command = f"torchrun ... -m chainrule train --resume {quote(directory)}"
    return LostError(f"{error} Start all of them again, with: {command}")


def follow(world: World, load: Callable[[], Config] | None) -> NoReturn:
    """Train as another rank than 0, by the configuration that it was given, or by rank 0's where it was given none.

    Raises Followed at the end, whatever that is; a LostError where rank 0 cannot say it.
    """
    interrupts = Interrupts()
    with interrupts.caught():
        try:
            told = json.loads(world.told(bytes))
            arrays = world.told(bytes)
            decided = _followed(world, told, load)
            world.told(bytes)
        except LostError:
            raise Followed(1) from None  # rank 0 has ended before the first step, and said why
        restore = None
        if told["saved"]:
            path = Path(told["saved"]["path"])
            restore = partial(checkpoint.restore, Saved(path, told["saved"]["state"], parse_arrays(arrays, path)))
        watch = InStep(world, decided, Follower(decided), interrupts, float("inf"))
        try:
            fit(replace(decided, world=world), restore, watch)
        except DivergenceError as error:
            raise Followed(error.exit_code) from None
        except LostError as error:
            if error.ranks == (0,) and world.rank == 1:
                raise _resumable(error, told["directory"]) from None
            raise Followed(error.exit_code) from None
    raise Followed(0)


def _followed(world: World, told: Mapping[str, Any], load: Callable[[], Config] | None) -> Plan:
    try:
        config = from_plain(Config, told["config"]) if load is None else load()
        decided = planned_for(world, config, None, None, None, Path(told["directory"]), whole=load is None)
        facts = _facts(decided)
    except ChainruleError as error:
        _agree(world, {"problem": str(error), "exit code": error.exit_code})
    _agree(world, facts)
    return decided


def _facts(decided: Plan) -> dict[str, Any]:
    """What must be the same at every rank."""
    about = environment(decided.backend, decided.data, kept=False)
    versions = {name: about["versions"][name] for name in ("chainrule", "numpy", "torch", "array-api-compat")}
    facts = {name: about[name] for name in ("precision", "compiled", "data_sha256")}
    device = about["device"].partition(":")[0]
    return flat({"config": plain_config(decided), "version of": versions, "device": device, **facts})


def _agree(world: World, mine: Mapping[str, Any]) -> None:
    """Raise the same problem at every rank: at rank 0 as what it is, at the others as Followed."""
    everyone = world.exchange(mine)
    error = next((found for rank, its in enumerate(everyone) if (found := _problem(rank, its, everyone[0]))), None)
    if error is not None:
        raise error if world.rank == 0 else Followed(error.exit_code)


def _problem(rank: int, its: Mapping[str, Any], first: Mapping[str, Any]) -> ChainruleError | None:
    if "problem" in its:
        kinds: dict[int, type[ChainruleError]] = {2: ConfigError, 3: DataError, 4: DamagedError}
        return kinds.get(its["exit code"], ChainruleError)(f"rank {rank}: {its['problem']}")
    names = [name for name in sorted({*its, *first}) if not name.startswith(_OWN)]
    differing = [f"{name}: {first.get(name)!r} and {its.get(name)!r}" for name in names
                 if first.get(name) != its.get(name)]  # fmt: skip
    if differing:
        return ConfigError(
            f"ranks 0 and {rank} would not train the same: {'; '.join(differing)}. Give every process the same "
            "configuration, data and versions"
        )
    return None
