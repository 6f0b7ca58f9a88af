"""Plain text tables; lines on stderr."""

import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TextIO

from chainrule.errors import ConfigError


def number(value: float) -> str:
    """A metric: four decimals, or four significant digits where those would hide it.

    >>> number(0.98765), number(123456.789), number(0.00001234)
    ('0.9877', '1.235e+05', '1.234e-05')
    """
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.3e}"


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(written: str) -> float:
    """Seconds, above 0, of a time such as "90", "90s", "30m", "1.5h" or "2d". Raises a ConfigError.

    >>> duration("1.5h"), duration("90")
    (5400.0, 90.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", written.strip())
    if not match:
        raise ConfigError(f"the time {written!r} cannot be read; expected a number and a unit, such as 90s, 30m or 2h")
    seconds = float(match[1]) * _UNITS[match[2]]
    if not seconds:
        raise ConfigError(
            f"the time {written!r} is none at all; expected more than 0, such as 90s, 30m or 2h; leave it out to set "
            "no limit"
        )
    return seconds


def printable(text: str) -> str:
    r"""`text` with all but printing characters and ends of lines escaped: a terminal would act on them, or hide them.

    >>> printable("a\x1b[2J\u202eb\u00e9")
    'a\\x1b[2J\\u202ebé'
    """
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def columns(header: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> str:
    """Rows under a header, columns aligned with two spaces between; those numbered in `right` flush right.

    >>> print(columns(["a", "n"], [["x", 5], ["yy", 10]], right=[1]))
    a    n
    x    5
    yy  10
    """
    cells = [[printable(str(cell)).replace("\n", "\\n") for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = (
        "  ".join(
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "\n".join(line.rstrip() for line in lines)


def cause(error: Exception) -> str:
    """Why a file could not be read, without the number and the path that an OSError repeats.

    >>> cause(FileNotFoundError(2, "No such file or directory", "x.toml"))
    'No such file or directory'
    """
    return getattr(error, "strerror", None) or str(error)


class Unfailing:
    """A file to write to that loses what cannot be written: it is closed, full, or no one reads it any more.

    Its RuntimeError is that of a signal's handler that writes while the file is being written to.
    """

    def __init__(self, file: TextIO | None) -> None:
        self.file = file

    def write(self, text: str) -> int:
        """The number of characters, written or lost."""
        if self.file is not None:
            with suppress(OSError, ValueError, RuntimeError):
                self.file.write(text)
        return len(text)

    def flush(self) -> None:
        """As files do."""
        if self.file is not None:
            with suppress(OSError, ValueError, RuntimeError):
                self.file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def tell(text: str) -> None:
    """A line on stderr, or nothing where that takes none: what is told beside the work must not end it."""
    print(text, file=Unfailing(sys.stderr), flush=True)
