"""Checkpoints: `Progress` on disk and back, the same bits."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from chainrule.errors import ConfigError, DamagedError
from chainrule.runs.files import format_arrays, format_json, parse_arrays, parse_json
from chainrule.runs.sealed import read_sealed, remove, write_sealed
from chainrule.training.norms import Norms
from chainrule.training.patience import last_improvement
from chainrule.training.plan import Plan
from chainrule.training.position import Position, Progress, Setback
from chainrule.training.step import State

FOLDER = "checkpoints"
FORMAT = 1
_ARRAYS, _STATE = "arrays.safetensors", "state.json"
_NAME = re.compile(r"step-(\d{8,})(?:-setback-(\d+))?")


class Key(NamedTuple):
    """The order of checkpoints: after a setback the step is smaller, and yet the checkpoint is newer."""

    setbacks: int
    step: int

    @property
    def name(self) -> str:
        """Of the checkpoint's directory."""
        return f"step-{self.step:08d}" + (f"-setback-{self.setbacks}" if self.setbacks else "")


class _Row(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    step: int
    epoch: float
    seconds: float


class _Environment(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    data_sha256: str
    versions: dict[str, str | None]
    sessions: list[dict[str, Any]]


class _SetbackRow(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    step: int
    back_to: int
    where: str


class _Norms(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    gradient: float
    gradients: dict[str, float]
    updates: dict[str, float]


class _StateFile(BaseModel):
    """What `state.json` must hold: a sealed file may still have been written by another program."""

    model_config = ConfigDict(extra="forbid", strict=True)
    format: Literal[1]
    step: int
    norms: _Norms | None
    anchor_step: int | None
    best_row: int
    setbacks: list[_SetbackRow]
    seconds: tuple[float, float]
    config: dict[str, Any]
    environment: _Environment
    history: list[_Row]


@dataclass(frozen=True, eq=False)
class Saved:
    """A checkpoint as read. config, environment: plain values, of the process that wrote it."""

    path: Path
    state: dict[str, Any]
    arrays: dict[str, NDArray[Any]]

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration that it was written under."""
        return dict(self.state["config"])

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, hardware, threads and the digest of the data that it was written under."""
        return dict(self.state["environment"])


def key(progress: Progress) -> Key:
    """Where a checkpoint of `progress` stands among the others."""
    return Key(len(progress.setbacks), progress.now.step)


def key_of(name: str) -> Key:
    """The key of a checkpoint's directory, by its name."""
    match = _NAME.fullmatch(name)
    if not match:
        raise DamagedError(f"{name!r} is no checkpoint's name; expected step-00000123.")
    return Key(int(match[2] or 0), int(match[1]))


def is_one(path: Path) -> bool:
    """Whether `path` is named as a checkpoint and is a directory."""
    return path.is_dir() and _NAME.fullmatch(path.name) is not None


def listed(run: Path) -> list[Key]:
    """The run's checkpoints by their names alone, oldest first."""
    folder = run / FOLDER
    return sorted(key_of(path.name) for path in (folder.iterdir() if folder.is_dir() else ()) if is_one(path))


class Snapshot(NamedTuple):
    """A checkpoint before it is written: copies on the host, which the next steps do not change."""

    key: Key
    arrays: dict[str, NDArray[Any]]
    state: dict[str, Any]


def snapshot(plan: Plan, progress: Progress, about: Mapping[str, Any], config: Mapping[str, Any]) -> Snapshot:
    """All that a checkpoint of `progress` holds."""
    now, anchor = progress.now, progress.anchor
    # Going back after a divergence must end at the same place in a resumed run, so the anchor is part of the state.
    apart = plan.config.training.on_divergence == "reduce-lr" and anchor.step != now.step
    arrays = _flat(plan, now, "now") | (_flat(plan, anchor, "anchor") if apart else {})
    arrays |= {f"best/{name}": plan.backend.numpy(value) for name, value in (progress.best or {}).items()}
    state = {
        "format": FORMAT,
        "step": now.step,
        "norms": now.norms and now.norms._asdict(),
        "anchor_step": anchor.step if apart else None,
        "best_row": progress.best_row,
        "setbacks": [setback._asdict() for setback in progress.setbacks],
        "seconds": progress.seconds,
        "config": config,
        "environment": about,
        "history": progress.history,
    }
    return Snapshot(key(progress), arrays, state)


def write(run: Path, shot: Snapshot) -> Path:
    """The snapshot on disk, sealed. Raises an OutputError; the earlier checkpoints stay as they are."""
    path = run / FOLDER / shot.key.name
    write_sealed(path, {_ARRAYS: format_arrays(shot.arrays), _STATE: format_json(shot.state)})
    return path


def thin(run: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints."""
    for old in listed(run)[:-keep]:
        remove(run / FOLDER / old.name)


def _flat(plan: Plan, position: Position, prefix: str) -> dict[str, NDArray[Any]]:
    backend, state = plan.backend, position.state
    found = {f"{prefix}/parameters/{name}": backend.numpy(value) for name, value in state.parameters.items()}
    for name, slots in state.slots.items():
        found |= {f"{prefix}/slots/{name}/{i}": backend.numpy(slot) for i, slot in enumerate(slots)}
    if type(position.batch_losses) is not float:  # a NumPy float64 is a float too
        found[f"{prefix}/batch_losses"] = backend.numpy(position.batch_losses)
    return found


def load(path: Path) -> Saved:
    """The checkpoint at `path`. Raises a DamagedError that names what is damaged."""
    files = read_sealed(path)
    if set(files) != {_ARRAYS, _STATE}:
        raise DamagedError(f"{path} is damaged: it holds {', '.join(sorted(files))}; a checkpoint holds other files.")
    state = parse_json(files[_STATE], path / _STATE)
    try:
        _StateFile.model_validate_json(files[_STATE])
    except ValidationError as error:
        raise DamagedError(
            f"{path / _STATE} is not a checkpoint of format {FORMAT}, the one that this version reads: "
            f"{'.'.join(map(str, error.errors()[0]['loc']))} is wrong ({error.errors()[0]['msg']})."
        ) from None
    if not -1 <= state["best_row"] < max(len(state["history"]), 1):
        raise DamagedError(f"{path / _STATE} is damaged: it has no row {state['best_row']}, the best.")
    if key_of(path.name) != Key(len(state["setbacks"]), state["step"]):
        raise DamagedError(f"{path} is damaged: its name does not fit the step {state['step']} that it holds.")
    return Saved(path, state, parse_arrays(files[_ARRAYS], path / _ARRAYS))


def newest_first(run: Path) -> Iterator[Saved | DamagedError]:
    """The run's checkpoints, newest first, each read when it is asked for."""
    for one in reversed(listed(run)):
        try:
            yield load(run / FOLDER / one.name)
        except DamagedError as error:
            yield error


def restore(saved: Saved, plan: Plan) -> Progress:
    """The run where the checkpoint left it, on the plan's device. Raises a ConfigError where the arrays do not fit."""
    state = saved.state
    norms = None if state["norms"] is None else Norms(**state["norms"])
    now = _position(saved, plan, "now", state["step"], norms)
    anchor = now if state["anchor_step"] is None else _position(saved, plan, "anchor", state["anchor_step"], None)
    best = plan.backend.parameters(_under(saved, "best/"))
    setbacks = tuple(Setback(**setback) for setback in state["setbacks"])
    history = tuple(state["history"])
    improved = last_improvement(plan.config.evaluation, history)
    return Progress(now, anchor, history, best or None, state["best_row"], improved, setbacks, tuple(state["seconds"]))


def _under(saved: Saved, prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in saved.arrays.items() if name.startswith(prefix)}


def _position(saved: Saved, plan: Plan, prefix: str, step: int, norms: Norms | None) -> Position:
    backend, network, slots = plan.backend, plan.network, plan.config.optimizer.slots
    shapes = {f"parameters/{name}": parameter.shape for name, parameter in network.parameters.items()}
    shapes |= {f"slots/{name}/{i}": network.parameters[name].shape
               for name in network.trainable for i in range(len(slots))}  # fmt: skip
    found = _under(saved, f"{prefix}/")
    losses = found.pop("batch_losses", None)
    if {name: array.shape for name, array in found.items()} != shapes:
        wrong = sorted({*((n, a.shape) for n, a in found.items())} ^ {*shapes.items()})[0][0]
        raise ConfigError(
            f"{saved.path} does not fit the network or the optimizer asked for: {wrong} has shape "
            f"{getattr(found.get(wrong), 'shape', None)} there, {shapes.get(wrong)} here. Train it anew, elsewhere"
        )
    parameters = backend.parameters({name: found[f"parameters/{name}"] for name in network.parameters})
    held = {name: tuple(backend.array(found[f"slots/{name}/{i}"], backend.master) for i in range(len(slots)))
            for name in network.trainable}  # fmt: skip
    return Position(step, State(parameters, held), 0.0 if losses is None else backend.array(np.asarray(losses)),
                    norms)  # fmt: skip
