"""Files as streams that cannot surprise: gzip is unpacked on the way, and whatever is wrong names the file."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError

DEFLATE_LIMIT = 1032  # no deflate stream, and so no gzip or zip, unpacks to more bytes than this for each of its own
_BOMB_BYTES, _BOMB_RATIO = 2**28, 100


class Stream(Protocol):
    """What plain, gzip and zip files have in common."""

    def read(self, n: int, /) -> bytes:
        """The next `n` bytes, or those that are left."""

    def seek(self, offset: int, /) -> int:
        """Go to a byte, counted from the start."""


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """The bytes of `path`, unpacked if they begin like gzip; browsers unpack but keep the name `.gz`."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such file. Check the path.")
    try:
        with path.open("rb") as file:
            if file.peek(2)[:2] == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield unpacked
            else:
                yield file
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}. Get the file again.") from error


def read_all(path: Path, at_most: int) -> bytes:
    """All bytes of a file, of which no more than `at_most` are ever held."""
    with opened(path) as stream:
        content = stream.read(at_most + 1)
    if len(content) > at_most:
        raise DataError(f"{path}: holds more than {at_most:,} bytes; no such file does. Get the file again.")
    return content


def take(stream: Stream, n_bytes: int) -> NDArray[np.uint8]:
    """The next `n_bytes` of a stream, or those that it has; a writable array, filled without a second copy."""
    content = np.empty(n_bytes, np.uint8)
    done = 0
    while done < n_bytes and (piece := stream.read(min(2**24, n_bytes - done))):
        content[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    return content[:done]


def refuse_bomb(path: Path, packed: int, unpacked: int, instead: str) -> None:
    """Refuse a small file that says it unpacks to a huge one; `instead` tells the owner of honest data what to do."""
    if unpacked > max(_BOMB_BYTES, _BOMB_RATIO * packed):
        raise DataError(
            f"{path}: {packed:,} bytes would unpack to {unpacked:,}; expected at most {_BOMB_RATIO} times as many "
            f"(or {_BOMB_BYTES // 2**20} MiB). If the data is yours, {instead}."
        )
