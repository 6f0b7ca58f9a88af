"""Files as streams that cannot surprise: gzip is unpacked on the way, and whatever is wrong names the file."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError

DEFLATE_LIMIT = 1032  # no deflate stream, and so no gzip or zip, unpacks to more bytes than this for each of its own
LABEL_BYTES = 40  # of memory for a label: as int64, sorted, and where it stood before
PIXELS_RATIO = 10  # pixels and texts hardly pack
_BOMB_BYTES, _BOMB_RATIO = 2**26, 100
_PIECE, _SIP = 2**20, 2**21


class Stream(Protocol):
    """What plain, gzip and zip files have in common."""

    def read(self, n: int, /) -> bytes:
        """The next `n` bytes, or those that are left."""

    def seek(self, offset: int, /) -> int:
        """Go to a byte, counted from the start."""


class Sips(io.BufferedReader):
    """A file for the parsers of archives, which allocate what a header promises: nobody reads much of it at once.

    at_most: the last byte that may be asked for. Both limits raise an OSError.
    """

    def __init__(self, file: Any, at_most: int = 2**63 - 1) -> None:
        super().__init__(file)
        self.at_most = at_most

    def read(self, n: int | None = -1, /) -> bytes:
        """The next `n` bytes, or those that are left."""
        n = _SIP + 1 if n is None or n < 0 else n
        content = super().read(min(n, _SIP + 1))
        if n > _SIP and len(content) > _SIP:
            raise OSError(f"it asks for more than {_SIP:,} bytes at once")
        return content

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a byte."""
        if whence == 0 and not 0 <= offset <= self.at_most:
            raise OSError(f"it leads to byte {offset:,}, of {self.at_most:,} expected at most")
        return super().seek(offset, whence)


@contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """The bytes of `path`, unpacked if they begin like gzip; browsers unpack but keep the name `.gz`."""
    if not path.is_file():
        raise missing(path)
    try:
        with path.open("rb") as file:
            if file.peek(2)[:2] == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield unpacked
            else:
                yield file
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read: {error}. Get the file again.") from error


def missing(path: Path) -> DataError:
    """The error for a file that is not there."""
    return DataError(f"{path}: there is no such file{looked_for(path)}. Check the path.")


def looked_for(path: Path) -> str:
    """Where a relative path was looked for: it may stand in a file of another folder. Nothing of a full one."""
    if path.is_absolute():
        return ""
    return f"; {path.absolute()} was looked for, a relative path being taken from the current folder"


def read_all(path: Path, at_most: int) -> bytes:
    """All bytes of a file, of which no more than `at_most` are ever held."""
    with opened(path) as stream:
        size = path.stat().st_size
        most = min(at_most, honest(size, PIXELS_RATIO)) if isinstance(stream, gzip.GzipFile) else at_most
        content = stream.read(most + 1) if size <= at_most else b""
    if max(size, len(content)) > at_most:
        raise DataError(f"{path}: holds more than {at_most:,} bytes; no such file does. Get the file again.")
    if len(content) > most:
        raise DataError(
            f"{path}: {size:,} bytes would unpack to more than {most:,}. If the data is yours, unpack it with gunzip."
        )
    return content


def take(stream: Stream, n_bytes: int) -> NDArray[np.uint8]:
    """The next `n_bytes` of a stream, or those that it has; a writable array, filled without a second copy."""
    content = np.empty(n_bytes, np.uint8)
    done = 0
    while done < n_bytes and (piece := stream.read(min(_PIECE, n_bytes - done))):
        content[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    return content[:done]


def honest(packed: int, ratio: int = _BOMB_RATIO) -> int:
    """The most bytes that a file of `packed` ones is believed to hold."""
    return max(_BOMB_BYTES, ratio * packed)


def refuse_bomb(path: Path, packed: int, unpacked: int, instead: str) -> None:
    """Refuse a small file that says it unpacks to a huge one; `instead` tells the owner of honest data what to do."""
    if unpacked > honest(packed):
        raise DataError(
            f"{path}: {packed:,} bytes would unpack to {unpacked:,} in memory; expected at most {_BOMB_RATIO} times as "
            f"many (or {_BOMB_BYTES // 2**20} MiB). If the data is yours, {instead}."
        )
