"""Curves of histories: lines, bands over seeds, and fewer points where there are too many to see."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite

import numpy as np

from chainrule.reporting.blocks import Cell, Curves, Line, Page, Section, Table
from chainrule.training.measure import Row

MOST = 2000
"""Points of a line: more than a screen has columns."""
BUDGET = 50_000
"""Numbers in the curves of a page, so that one of 50 runs stays below a megabyte."""


def thinned(y: Sequence[float], most: int) -> list[int]:
    """Indices of at most `most` points that keep the picture: the first, the last, and the extremes of each stretch.

    Equal stretches of the points between the ends each give their smallest and greatest y, so no peak is lost. All
    indices where there are no more than `most`.

    >>> thinned([0, 5, 1, -3, 2, 2, 2, 9], 6)
    [0, 1, 3, 4, 7]
    """
    n = len(y)
    if n <= most:
        return list(range(n))
    values = np.asarray(y, dtype=np.float64)
    kept = {0, n - 1}
    for part in np.array_split(np.arange(1, n - 1), max((most - 2) // 2, 1)):
        kept |= {int(part[values[part].argmin()]), int(part[values[part].argmax()])}
    return sorted(kept)


def within(line: Line, most: int) -> Line:
    """The line with at most `most` points."""
    at = thinned(line.y, most)
    few = {name: tuple(getattr(line, name)[i] for i in at) for name in ("x", "y", "low", "high") if getattr(line, name)}
    return replace(line, **few)  # type: ignore[arg-type]


def within_budget(page: Page) -> Page:
    """The page with lines thinned to MOST points each and BUDGET numbers in all: x, y, and both ends of a band."""
    curves = [figure for figure in page.figures() if isinstance(figure, Curves)]
    numbers = sum(4 if line.low else 2 for figure in curves for line in figure.lines)
    most = max(min(MOST, BUDGET // max(numbers, 1)), 20)
    sections = tuple(
        Section(one.name, one.title, tuple(
            replace(block, lines=tuple(within(line, most) for line in block.lines))
            if isinstance(block, Curves) else block for block in one.blocks
        )) for one in page.sections
    )  # fmt: skip
    return replace(page, sections=sections)


def pairs(history: Sequence[Row], column: str, inner: str | None = None) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Steps and finite values of a column, or of one name in a column of many; ascending, the later of equal steps."""
    found: dict[float, float] = {}
    for row in history:
        value = row.get(column)
        value = value.get(inner) if isinstance(value, dict) and inner is not None else value
        if isinstance(value, (int, float)) and isfinite(value):
            found[row["step"]] = float(value)
    steps = sorted(found)
    return tuple(steps), tuple(found[step] for step in steps)


def lines(
    histories: Sequence[Sequence[Row]], column: str, name: str, colour: int, *, dashed: bool = False
) -> list[Line]:
    """One line of one run; of several the mean and the range over them, or a line each where their steps differ."""
    each = [one for one in (pairs(history, column) for history in histories) if one[0]]
    if not each:
        return []
    if len(each) == 1:
        return [Line(name, *each[0], colour=colour, dashed=dashed)]
    if len({steps for steps, _ in each}) > 1:
        return [Line(f"{name} #{i}", *one, colour=colour, dashed=dashed) for i, one in enumerate(each, 1)]
    values = np.array([y for _, y in each])  # (n_runs, n_rows)
    if (values == values[0]).all():
        return [Line(name, *each[0], colour=colour, dashed=dashed)]
    band = (tuple(values.min(axis=0).tolist()), tuple(values.max(axis=0).tolist()))
    return [Line(name, each[0][0], tuple(values.mean(axis=0).tolist()), *band, colour=colour, dashed=dashed)]


def summary(found: Sequence[Line], ends: str = "last") -> Table:
    """What a reader without the chart needs: where each line begins and ends, and its extremes with their steps."""
    rows: list[tuple[Cell, ...]] = []
    for line in found:
        low, high = int(np.argmin(line.y)), int(np.argmax(line.y))
        rows.append((line.name, len(line.y), line.y[0], line.y[-1], line.y[low], int(line.x[low]), line.y[high],
                     int(line.x[high])))  # fmt: skip
    header = ("line", "points", "first", ends, "lowest", "at step", "highest", "at step")
    return Table(header, tuple(rows), tuple(range(1, len(header))))


def by_step(found: Sequence[Line], most: int = 12) -> Table:
    """Values of lines with the same steps at a few of them, the first and the last among them."""
    steps = found[0].x
    at = sorted({round(i) for i in np.linspace(0, len(steps) - 1, min(most, len(steps)))})
    rows = tuple((int(steps[i]), *(line.y[i] for line in found)) for i in at)
    return Table(("step", *(line.name for line in found)), rows, tuple(range(len(found) + 1)))


def table(found: Sequence[Line]) -> Table:
    """The lines at a few steps where they share them and are few, else a summary of each."""
    together = len(found) <= 6 and len({line.x for line in found}) == 1
    return by_step(found) if together else summary(found)
