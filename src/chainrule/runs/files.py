"""Files written whole: under a temporary name beside their own, on disk before they get their name."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as _parse_arrays
from safetensors.numpy import save as _format_arrays

from chainrule.errors import DamagedError, OutputError

TEMPORARY = ".tmp-"
"""Part of every temporary name; what a killed process left under such a name is no one's."""
_MOST_HEADER = 2**20  # safetensors allows 100 MB, and Python makes objects of them


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError into an OutputError that names `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path} could not be written: {error.strerror or error}. Nothing that was there before has been changed; "
            "make room or choose another place, and try again."
        ) from error


def temporary_name(path: Path) -> Path:
    """A name beside `path` that only this process uses; short, so that it is allowed where path's own name is."""
    return path.with_name(f".{path.name[:40]}{TEMPORARY}{os.getpid()}")


def write_durably(path: Path, content: bytes) -> None:
    """`content` in a new file at `path`, on disk when this returns."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """What the file at `path` holds, or the names in the directory, are on disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, content: bytes) -> None:
    """`content` at `path`, whole or not at all. Raises an OutputError."""
    with written(path) as temporary:
        write_durably(temporary, content)


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A name to write under: what is there in the end is at `path` then, whole or not at all. Raises an OutputError."""
    temporary = temporary_name(path)
    with writing(path):
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync(path.parent)


def format_json(value: Any) -> bytes:
    """`value` as indented JSON in UTF-8."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def parse_json(content: bytes, path: Path) -> Any:
    """The value of JSON text. Raises a DamagedError, naming `path`, for anything else."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path} cannot be read as JSON: {error}") from None


def format_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Named arrays as safetensors. They are made contiguous first: safetensors would save a transposed one wrong."""
    return bytes(_format_arrays({name: np.asarray(array, order="C") for name, array in arrays.items()}))


def parse_arrays(content: bytes, path: Path) -> dict[str, NDArray[Any]]:
    """The named arrays of safetensors. Raises a DamagedError, naming `path`, for anything else."""
    try:
        if int.from_bytes(content[:8], "little") > _MOST_HEADER:
            raise ValueError(f"its header is longer than {_MOST_HEADER:,} bytes")
        return dict(_parse_arrays(content))
    except (SafetensorError, ValueError, KeyError) as error:
        raise DamagedError(f"{path} cannot be read as safetensors: {error}") from None
