"""Is a run as it was written? A SHA-256 covers every file of a finished one, by its manifest or by its folder's."""

from collections.abc import Callable
from pathlib import Path

from chainrule.errors import ConfigError, DamagedError
from chainrule.runs import checkpoint
from chainrule.runs.directory import BEST, CONFIG, ENVIRONMENT, HISTORY, METRICS, MODEL, START
from chainrule.runs.files import write
from chainrule.runs.model import load_model
from chainrule.runs.named import nothing_at, unfinished
from chainrule.runs.sealed import MANIFEST, manifest, read_listed, read_sealed

COVERED = (CONFIG, ENVIRONMENT, HISTORY, METRICS, f"{MODEL}/{MANIFEST}", f"{BEST}/{MANIFEST}",
           f"{START}/{MANIFEST}")  # fmt: skip


def seal_run(directory: Path) -> None:
    """Write the manifest of a finished run, the last of its files."""
    files = {name: (directory / name).read_bytes() for name in COVERED if (directory / name).is_file()}
    write(directory / MANIFEST, manifest(files))


def read_run(directory: Path) -> dict[str, bytes]:
    """The files of a finished run, as they were written. Raises a DamagedError that names what is damaged."""
    return read_listed(directory, COVERED)


def verify(directory: Path) -> dict[str, str | None]:
    """Each part of a run, model or checkpoint directory, and what is wrong with it, or None. Raises a ConfigError."""
    if checkpoint.is_one(directory):
        return {str(directory): _problem(lambda: checkpoint.load(directory))}
    if (directory / "model.json").is_file() and not (directory / CONFIG).is_file():
        return {str(directory): _problem(lambda: _whole_model(directory))}
    saved = checkpoint.listed(directory)
    if not (directory / CONFIG).is_file() and not (directory / MANIFEST).is_file() and not saved:
        raise nothing_at(directory, "run, model or checkpoint", CONFIG)
    found: dict[str, str | None] = {}
    if (directory / METRICS).is_file() and not (directory / MANIFEST).is_file():
        found["run"] = str(unfinished(directory))
    elif (directory / MANIFEST).exists() or not saved:
        found["run"] = _problem(lambda: read_run(directory))
    if "run" in found:
        for name in (MODEL, BEST, START):
            if name == MODEL or (directory / name).exists():
                found[name] = _problem(lambda name=name: _whole_model(directory / name))  # type: ignore[misc]
    for one in saved:
        path = directory / checkpoint.FOLDER / one.name
        found[f"{checkpoint.FOLDER}/{one.name}"] = _problem(lambda path=path: checkpoint.load(path))  # type: ignore[misc]
    return found


def _whole_model(directory: Path) -> None:
    """Raises a DamagedError where any file of a model is not as it was written, its card among them."""
    load_model(directory)
    read_sealed(directory)


def _problem(read: Callable[[], object]) -> str | None:
    try:
        read()
    except (DamagedError, ConfigError) as error:
        return str(error)
    return None
