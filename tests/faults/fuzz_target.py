"""What the fuzzer gives to one reader: sound files to begin with, and how bytes become a file that is read."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.data import read

Mutate = Callable[[bytes, int], bytes]


@dataclass(frozen=True)
class Target:
    """`read` writes bytes into an empty folder and has them read. `repack` mutates what is packed in them."""

    read: Callable[[Path, bytes], object]
    seeds: list[bytes]
    words: tuple[bytes, ...] = ()
    repack: Callable[[bytes, Mutate, random.Random], bytes] | None = None


def _placed(files: dict[str, bytes], data: bytes, folder: Path) -> None:
    """Sound files, one of which, told by the first byte, has the rest of the data."""
    names = list(files)
    for name, content in files.items():
        chosen = data and names[data[0] % len(names)] == name
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data[1:] if chosen else content)


def among(files: dict[str, bytes], reader: Callable[[Path], object]) -> Target:
    def read_one(folder: Path, data: bytes) -> object:
        _placed(files, data, folder)
        return reader(folder)

    return Target(read_one, [bytes([i]) + content for i, content in enumerate(files.values())])


def alone(name: str, seeds: list[bytes], *readers: Callable[[Path], object], **more: Any) -> Target:
    def read_one(folder: Path, data: bytes) -> object:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        return [reader(folder / name) for reader in readers]

    return Target(read_one, seeds, **more)


def source(path: Path) -> object:
    return read(str(path)).digest
