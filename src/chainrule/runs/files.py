"""Files written whole: under a temporary name beside their own, then renamed."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_arrays
from safetensors.numpy import save as format_arrays

from chainrule.errors import DamagedError


def write(path: Path, content: bytes) -> None:
    """`content` at `path`, on disk before it gets its name."""
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """`value` as indented JSON."""
    write(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """The JSON at `path`. Raises a DamagedError when it is missing or no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DamagedError(f"{path} cannot be read as JSON: {error}") from None


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Named arrays as safetensors. They are made contiguous first: safetensors would save a transposed one wrong."""
    write(path, format_arrays({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The named arrays at `path`. Raises a DamagedError when it is missing or not safetensors."""
    try:
        return dict(parse_arrays(path.read_bytes()))
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise DamagedError(f"{path} cannot be read as safetensors: {error}") from None
