"""The run directory: what is in it, and writing what is known before the first step."""

import json
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from chainrule.errors import ConfigError
from chainrule.network import Network, own_layers
from chainrule.runs import checkpoint
from chainrule.runs.files import TEMPORARY, format_json, write, writing
from chainrule.runs.hooks import Hook
from chainrule.runs.lock import LOCK, locked
from chainrule.runs.sealed import MANIFEST, remove_litter
from chainrule.spec import is_own, to_plain
from chainrule.training.measure import Row
from chainrule.training.plan import Plan

CONFIG, ENVIRONMENT, HISTORY, METRICS = "config.toml", "environment.json", "history.jsonl", "metrics.json"
MODEL, BEST, START = "model", "best", "start"
DIVERGED = "diverged.json"
"""Where and how the run ended because its numbers diverged; gone once it goes on."""
REPORTS = ("report.html", "report.md")
"""What `chainrule report` adds: made from the rest, so no manifest covers it."""
LAYOUT = (*REPORTS, DIVERGED, MANIFEST, METRICS, MODEL, BEST, checkpoint.FOLDER, START, HISTORY, ENVIRONMENT, CONFIG)
"""Names in a run directory. Of a run `--overwrite` removes these and nothing else."""


def check_place(directory: Path, what: str = "output") -> None:
    """Raise a ConfigError where a file stands in the place of `directory` or of one above it."""
    with writing(directory):
        file = next((path for path in (directory, *directory.parents) if path.exists() and not path.is_dir()), None)
    if file is not None:
        named = "" if file == directory else f" {directory}:"
        raise ConfigError(f"{what}{named} {file} is a file; name a directory")


def check_free(directory: Path, overwrite: bool) -> None:
    """Raise a ConfigError for an output directory that is not free to write in."""
    check_place(directory)
    if directory.is_dir() and not overwrite and any(path.name != LOCK for path in directory.iterdir()):
        runs = [] if holds_run(directory) else seeds_in(directory)
        if runs:
            raise ConfigError(
                f"output {directory} holds runs of {len(runs)} seeds; name another directory, give --resume and "
                f"--seeds {len(runs)} to go on with them, or --overwrite to replace them"
            )
        raise ConfigError(
            f"output {directory} is not empty; name another directory, give --resume to go on with the run in it, "
            "or --overwrite to replace it"
        )
    if directory.is_dir() and overwrite and not holds_run(directory):
        seeds = {seed.name for seed in seeds_in(directory)}
        ours = {LOCK, *seeds, *(REPORTS if seeds else ())}
        others = [path.name for path in directory.iterdir()
                  if path.name not in ours and TEMPORARY not in path.name and not _is_empty(path)]  # fmt: skip
        if others:
            raise ConfigError(
                f"output {directory} holds no run to overwrite, but other files, such as {min(others)}; name another "
                "directory"
            )


def holds_run(directory: Path) -> bool:
    """Whether a run is in it, even one that is damaged or was killed as it began."""
    written = all((directory / name).is_file() for name in (CONFIG, ENVIRONMENT))
    killed = (directory / LOCK).is_file() and is_unstarted(directory)
    return written or killed or bool(checkpoint.listed(directory))


def seeds_in(directory: Path) -> list[Path]:
    """The runs in its folders seed-N."""
    found = directory.glob("seed-*") if directory.is_dir() else ()
    return sorted(path for path in found if re.fullmatch(r"seed-\d+", path.name) and holds_run(path))


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def check_free_for_seeds(directory: Path, folders: Collection[Path], overwrite: bool) -> None:
    """Raise a ConfigError where `folders`, which are seed-N of `directory`, are not free, or other runs are there."""
    check_place(directory)
    for folder in folders:
        check_free(folder, overwrite)
    if overwrite:
        return
    advice = "name another directory, or give --overwrite to replace"
    check_no_run(directory, f"{advice} it")
    others = [seed.name for seed in seeds_in(directory) if seed not in folders]
    if others:
        raise ConfigError(
            f"output {directory} holds {', '.join(others)}, which would be taken for seeds of the same training; "
            f"{advice} all of them"
        )


def check_no_run(directory: Path, advice: str) -> None:
    """Raise a ConfigError where `directory`, which is to have folders seed-N, holds a run itself."""
    if holds_run(directory):
        raise ConfigError(f"output {directory} holds a run, and seeds would be written inside of it; {advice}")


def is_unstarted(directory: Path) -> bool:
    """Whether it holds no more than what a process leaves that was killed before its first checkpoint."""
    names = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
    early = {LOCK, CONFIG, ENVIRONMENT, HISTORY, checkpoint.FOLDER, START, *REPORTS}
    return not checkpoint.listed(directory) and all(name in early or TEMPORARY in name for name in names)


def make(directory: Path, what: str = "output") -> None:
    """The directory and those above it. Raises as `check_place` does, and an OutputError."""
    check_place(directory, what)
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)


@contextmanager
def made_or_gone(directory: Path) -> Iterator[None]:
    """As `make`; folders that were not there before go again where an error leaves them empty."""
    new = [one for one in (directory, *directory.parents) if not one.exists()]
    try:
        make(directory)
        yield
    except BaseException:
        with suppress(OSError):  # one that is not empty, and those above it, stay
            for one in new:
                one.rmdir()
        raise


def make_above(file: Path) -> None:
    """The folders above a file that will be written. Raises a ConfigError where a folder stands in its place."""
    if file.is_dir():
        raise ConfigError(f"output {file} is a folder; name a file")
    make(file.parent)


def clear(directory: Path) -> None:
    """Remove a run and what killed processes left of theirs."""
    with writing(directory):
        for name in LAYOUT:
            path = directory / name
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    clean(directory)


def clear_seeds(directory: Path, coming: Collection[Path] = ()) -> None:
    """Remove the runs in its folders seed-N; those `coming`, which are replaced in their turn, are made unfinished.

    Raises a BusyError before any is touched.
    """
    found = seeds_in(directory)
    with ExitStack() as locks:
        for seed in found:
            locks.enter_context(locked(seed))
        for seed in found:
            _unfinish(seed) if seed in coming else clear(seed)
    for seed in found:
        with writing(seed):
            if seed not in coming and not seed.is_symlink() and _is_empty(seed):
                seed.rmdir()


def clear_for_seeds(directory: Path, coming: Collection[Path]) -> None:
    """Remove a run in `directory`, reports on its seeds, and the seeds as `clear_seeds` does."""
    if holds_run(directory):
        with locked(directory):
            clear_seeds(directory, coming)
            clear(directory)
    elif seeds_in(directory):
        clear_seeds(directory, coming)
        with writing(directory):
            for name in REPORTS:
                (directory / name).unlink(missing_ok=True)


def _unfinish(directory: Path) -> None:
    """Remove the marks of a run that ended."""
    with writing(directory):
        for name in (MANIFEST, METRICS, DIVERGED):
            (directory / name).unlink(missing_ok=True)


def clean(directory: Path) -> None:
    """Remove what killed processes left under temporary names."""
    for folder in (directory, directory / checkpoint.FOLDER):
        if folder.is_dir():
            remove_litter(folder)


def plain_config(decided: Plan) -> dict[str, Any]:
    """The resolved configuration as plain tables. Raises a ConfigError for layers that no file can name."""
    return dict(plain(decided.config, decided.network, "a run directory cannot name; train with output=None"))


def plain(written: Any, network: Network, refusal: str) -> Any:
    """What is `written` of a network as plain values. Raises a ConfigError with `refusal` for a user's own classes.

    A subclass of one of ours would be written, and read, as what it is derived from.
    """
    layers = dict.fromkeys(type(layer).__name__ for layer in own_layers(network.layers))
    if layers:
        raise ConfigError(f"layers {', '.join(layers)} are your own classes, which {refusal}")
    for name in ("loss", "optimizer", "schedule"):
        part = getattr(written, name, None)
        if part is not None and is_own(part):
            raise ConfigError(f"{name} {type(part).__name__} is your own class, which {refusal}")
    return to_plain(written)


def prepare(directory: Path, config: dict[str, Any], about: dict[str, Any], history: tuple[Row, ...]) -> "Recorder":
    """Write what is known before the next step; marks of a run that ended go first, so that none is half true."""
    _unfinish(directory)
    write(directory / CONFIG, tomli_w.dumps(config).encode())
    write(directory / ENVIRONMENT, format_json(about))
    write(directory / HISTORY, "".join(map(line, history)).encode())
    return Recorder(directory / HISTORY)


def line(row: Row) -> str:
    """A row of history as one line of JSON."""
    return json.dumps(row) + "\n"


@dataclass(frozen=True)
class Recorder(Hook):
    """Appends each row to `history.jsonl`; checkpoints hold the rows too, so a line torn by a kill is no loss."""

    path: Path

    def logged(self, row: Row) -> None:
        """One JSON object, one line."""
        with writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(line(row))
