"""What a page is made of: plain values that say what is shown, and nothing of how.

A page is sections, a section blocks. Every figure holds the numbers that it draws and a table of them, so that each way
of showing it (HTML, Markdown, a file for a paper) has the same facts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, NamedTuple

from chainrule.diagnosis import Finding


class Interval(NamedTuple):
    """From low to high; at 95 % unless the heading says otherwise."""

    low: float
    high: float


Cell = str | int | float | Interval | None
"""What a table holds; None is empty."""


@dataclass(frozen=True)
class Table:
    """Rows under a header. right: the columns of numbers, flush right. note: what they are. folded: shown on demand."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    right: tuple[int, ...] = ()
    title: str = ""
    note: str = ""
    folded: bool = False


@dataclass(frozen=True)
class Words:
    """A paragraph. command: what to type, at its end."""

    text: str
    command: str = ""


@dataclass(frozen=True)
class Sentences:
    """Conclusions or conditions, one a line."""

    items: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Text as it stands, such as a configuration."""

    title: str
    text: str


@dataclass(frozen=True)
class Heading:
    """The name of what follows, inside a section."""

    text: str


@dataclass(frozen=True)
class Headline:
    """The few numbers to see first: (what, value, its interval or condition)."""

    items: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Diagnosed:
    """The findings of a diagnosis."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Figure:
    """name: unique on the page, of the file too. note: what is drawn, how it was computed. table: the same numbers."""

    name: str
    title: str
    note: str
    table: Table


@dataclass(frozen=True)
class Line:
    """One curve. low, high: of a band around it, or empty. colour: a number. dashed: training. hidden: at first."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    colour: int = 0
    dashed: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class Curves(Figure):
    """Lines over a common axis. log: whether y starts on a logarithmic scale."""

    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    log: bool = False


@dataclass(frozen=True)
class Matrix(Figure):
    """Counts (n, n): rows are the true classes, columns the predicted ones."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Dots(Figure):
    """A value for each label, perhaps with its interval. bars: from 0, not dots. mark: a value to compare with."""

    labels: tuple[str, ...]
    values: tuple[float, ...]
    intervals: tuple[Interval | None, ...]
    x_label: str
    bars: bool = False
    mark: float | None = None


@dataclass(frozen=True)
class Point:
    """One measurement; apart: of a second kind, drawn to be told from the others; words: what it is."""

    x: float
    y: float
    interval: Interval | None = None
    apart: bool = False
    words: str = ""


@dataclass(frozen=True)
class Points(Figure):
    """Measurements over an axis. ticks: names of x = 0, 1, ... where x is a choice. marks: the only x there are, where
    they are few. diagonal: draw y = x.

    counts: how many rows lie in equal parts of x from 0 to 1, for a histogram below.
    """

    points: tuple[Point, ...]
    x_label: str
    y_label: str
    ticks: tuple[str, ...] = ()
    marks: tuple[float, ...] = ()
    log: bool = False
    diagonal: bool = False
    counts: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Axis:
    """One axis of parallel coordinates: its name and ticks, (place from 0 to 1, label)."""

    name: str
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Parallel(Figure):
    """Trials as lines across axes. lines: places from 0 to 1 on each axis, None where the trial has no such value.

    shades: from 0 (worst) to 1 (best), one a line. words: what each is.
    """

    axes: tuple[Axis, ...]
    lines: tuple[tuple[float | None, ...], ...]
    shades: tuple[float, ...]
    words: tuple[str, ...]


@dataclass(frozen=True)
class Tile:
    """An image (height, width, 3) or (height, width) of bytes, in rows, and what it is."""

    width: int
    height: int
    channels: int
    pixels: bytes = field(repr=False)
    words: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Tiles(Figure):
    """Images side by side. small: many without captions."""

    tiles: tuple[Tile, ...]
    small: bool = False


@dataclass(frozen=True)
class Stage:
    """One layer of a drawn network: its name, widths before and after, and its arrays with their shapes."""

    name: str
    n_in: int
    n_out: int
    arrays: str
    mixes: bool


@dataclass(frozen=True)
class Diagram(Figure):
    """A network, layer by layer."""

    stages: tuple[Stage, ...]


Block = Table | Words | Sentences | Code | Heading | Headline | Diagnosed | Figure


@dataclass(frozen=True)
class Section:
    """name: unique on the page, for links. level: 1 for a part of the page, 2 below it."""

    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """made: when, or "" where SOURCE_DATE_EPOCH does not say."""

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    made: str = ""

    def figures(self) -> Iterator[Figure]:
        """All of the page, in order."""
        for section in self.sections:
            yield from (block for block in section.blocks if isinstance(block, Figure))


def plain(value: Any) -> Any:
    """A page as plain values for JSON: without pixels, and with null for what is not finite."""
    if isinstance(value, Tile):
        return {"words": value.words, "caption": value.caption}
    if is_dataclass(value):
        kind = {} if isinstance(value, (Page, Section)) else {"kind": type(value).__name__.lower()}
        return kind | {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Finding):
        return value._asdict()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value
