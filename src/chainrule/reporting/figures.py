"""Figures as SVG or PNG files for papers, drawn by matplotlib: white ground, sizes of a column or a page."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.errors import ConfigError
from chainrule.reporting.blocks import Curves, Diagram, Dots, Figure, Matrix, Page, Parallel, Points, Tiles
from chainrule.reporting.svg import log_ticks, short
from chainrule.runs.directory import make
from chainrule.runs.files import write
from chainrule.text import printable

COLOURS = ("#0072b2", "#c85200", "#00805d", "#a8508a", "#7d6100", "#2f8ac4", "#555b63", "#6f4bb0")
COLUMN, WIDE = 4.6, 7.0
"""Inches: of a text column, of a page."""
DPI = 200
LONGEST = 44
"""Characters of a name."""
STYLE = {
    "font.size": 9, "axes.titlesize": 10, "axes.grid": True, "grid.color": "#e6e6e6", "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "svg.hashsalt": "chainrule",
    "text.parse_math": False, "axes.formatter.use_mathtext": False,
}  # fmt: skip


def save(page: Page, folder: Path, kind: str = "svg") -> dict[str, Path]:
    """Every figure of the page in `folder`; the file of each by its name. Raises a ConfigError without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        raise ConfigError(
            "--figures draws with matplotlib, which is not installed: pip install 'chainrule[figures]'"
        ) from None
    make(folder)
    found = {}
    with matplotlib.rc_context(STYLE):
        for figure in page.figures():
            found[figure.name] = folder / f"{figure.name}.{kind}"
            write(found[figure.name], _file(figure, kind))
    return found


def _file(figure: Figure, kind: str) -> bytes:
    """Without a date, so that the same figure is the same file."""
    from matplotlib.figure import Figure as Sheet

    sheet = Sheet(figsize=(COLUMN, 3.0), layout="constrained", facecolor="white")
    _DRAWN[type(figure)](figure, sheet)
    content = BytesIO()
    metadata = {"Date": None, "Creator": "chainrule"} if kind == "svg" else {"Software": "chainrule"}
    sheet.savefig(content, format=kind, dpi=DPI, metadata=metadata)
    return content.getvalue()


def _text(text: str) -> str:
    """A name as it fits beside a drawing; the whole stands in the page."""
    shown = printable(text)
    return f"{shown[: LONGEST - 1]}…" if len(shown) > LONGEST else shown


def _curves(figure: Curves, sheet: Any) -> None:
    axes = sheet.subplots()
    for line in figure.lines:
        colour, style = COLOURS[line.colour % len(COLOURS)], "--" if line.dashed else "-"
        axes.plot(line.x, line.y, style, color=colour, label=_text(line.name), linewidth=1.3)
        if line.low:
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.18, linewidth=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if figure.log:
        axes.set_yscale("log")
        _logarithmic(axes.yaxis)
    if len(figure.lines) > 8:
        sheet.set_size_inches(WIDE, 3.6)
    axes.set(xlabel=_text(figure.x_label), ylabel=_text(figure.y_label), title=_text(figure.title))
    if len(figure.lines) > 1:
        outside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)} if len(figure.lines) > 8 else {}
        axes.legend(fontsize=7 if len(figure.lines) > 8 else 8, **outside)


def _logarithmic(axis: Any) -> None:
    """The page's own ticks: matplotlib's would be mathematics, which is off, as names may have dollar signs."""
    marks = log_ticks(*axis.get_view_interval())
    axis.set_ticks([], minor=True)
    axis.set_ticks(marks, [short(mark) for mark in marks])


def _matrix(figure: Matrix, sheet: Any) -> None:
    counts = np.array(figure.counts)
    n = len(counts)
    size = min(max(0.34 * n + 1.6, 3.2), 9.0)
    sheet.set_size_inches(size, size)
    axes = sheet.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    if n <= 30:
        names = [_text(name) for name in figure.labels]
        axes.set_xticks(range(n), names, rotation=90 if max(map(len, names)) > 3 else 0, fontsize=7)
        axes.set_yticks(range(n), names, fontsize=7)
        for i, j in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=6, color=colour)
    axes.set(xlabel="predicted", ylabel="true", title=_text(figure.title))


def _dots(figure: Dots, sheet: Any) -> None:
    n = len(figure.labels)
    sheet.set_size_inches(COLUMN if max(map(len, figure.labels)) < 24 else WIDE, min(0.24 * n + 1.1, 9.5))
    axes = sheet.subplots()
    if figure.bars:
        axes.barh(range(n), figure.values, color=COLOURS[0], height=0.6)
    else:
        for i, (value, interval) in enumerate(zip(figure.values, figure.intervals, strict=True)):
            if interval is not None:
                axes.plot([interval.low, interval.high], [i, i], color=COLOURS[0], alpha=0.6, linewidth=1.5)
            axes.plot([value], [i], "o", color=COLOURS[0], markersize=4)
    if figure.mark is not None:
        axes.axvline(figure.mark, color="#555555", linestyle=":", linewidth=1)
    axes.set_yticks(range(n), [_text(name) for name in figure.labels], fontsize=7)
    axes.invert_yaxis()
    axes.set(xlabel=_text(figure.x_label), title=_text(figure.title))


def _points(figure: Points, sheet: Any) -> None:
    axes = sheet.subplots()
    if figure.diagonal:
        ends = [0.0, 1.0] if figure.counts else _ends([v for one in figure.points for v in (one.x, one.y)])
        axes.plot(ends, ends, ":", color="#555555", linewidth=1)
    for apart, colour, mark in ((False, COLOURS[0], "o"), (True, COLOURS[1], "D")):
        some = [one for one in figure.points if one.apart == apart]
        for one in some:
            if one.interval is not None:
                axes.plot([one.x, one.x], one.interval, color=colour, alpha=0.6, linewidth=1.5)
        name = figure.kinds[apart] if figure.kinds else None
        if some:
            axes.plot(
                [one.x for one in some],
                [one.y for one in some],
                mark,
                color=colour,
                markersize=4,
                alpha=0.8,
                label=name,
            )
    if figure.ticks:
        axes.set_xticks(range(len(figure.ticks)), [_text(name) for name in figure.ticks])
    if figure.marks:
        axes.set_xticks(figure.marks)
    if figure.log:
        axes.set_xscale("log")
        _logarithmic(axes.xaxis)
    if figure.kinds:
        axes.legend(fontsize=8)
    axes.set(xlabel=_text(figure.x_label), ylabel=_text(figure.y_label), title=_text(figure.title))


def _ends(values: list[float]) -> list[float]:
    return [min(values), max(values)]


def _parallel(figure: Parallel, sheet: Any) -> None:
    sheet.set_size_inches(WIDE, 3.6)
    axes = sheet.subplots()
    for line, shade in zip(figure.lines, figure.shades, strict=True):
        places = [(i, place) for i, place in enumerate(line) if place is not None]
        best = shade >= 0.8
        axes.plot([i for i, _ in places], [place for _, place in places], color=COLOURS[best],
                  alpha=0.9 if best else 0.15 + 0.4 * shade, linewidth=1)  # fmt: skip
    for i, axis in enumerate(figure.axes):
        axes.axvline(i, color="#555555", linewidth=1)
        for place, name in axis.ticks:
            axes.text(i - 0.03, place, _text(name), ha="right", va="center", fontsize=7)
    axes.set_xticks(range(len(figure.axes)), [_text(axis.name) for axis in figure.axes], fontsize=7)
    axes.set_xlim(-0.5, len(figure.axes) - 0.8)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set_title(_text(figure.title))


def _tiles(figure: Tiles, sheet: Any) -> None:
    """Small ones as one picture with white between them; others each with its caption."""
    images = [np.frombuffer(one.pixels, np.uint8).reshape(one.height, one.width, one.channels) for one in figure.tiles]
    across = min(len(images), 16 if figure.small else 6)
    down = -(-len(images) // across)
    sheet.set_size_inches(WIDE, WIDE / across * down * (1.0 if figure.small else 1.25) + 0.4)
    sheet.suptitle(_text(figure.title), fontsize=10)
    if figure.small:
        axes = sheet.subplots()
        axes.set_axis_off()
        axes.imshow(_montage(images, across, down), vmin=0, vmax=255, cmap="gray", interpolation="nearest")
        return
    grid = sheet.subplots(down, across, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, one, image in zip(grid.flat, figure.tiles, images, strict=False):
        axes.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_title("\n".join(map(_text, one.caption.split("\n"))), fontsize=7)


def _montage(images: list[Any], across: int, down: int) -> Any:
    """Images (h, w, channels) of one size in rows, a tenth of their width apart."""
    h, w, channels = images[0].shape
    gap = max(w // 10, 1)
    whole = np.full((down * (h + gap) - gap, across * (w + gap) - gap, channels), 255, np.uint8)
    for i, image in enumerate(images):
        y, x = i // across * (h + gap), i % across * (w + gap)
        whole[y : y + h, x : x + w] = image
    return whole.squeeze()


def _diagram(figure: Diagram, sheet: Any) -> None:
    sheet.set_size_inches(WIDE, 2.6)
    axes = sheet.subplots()
    widest = np.log1p(max(max(one.n_in, one.n_out) for one in figure.stages))
    x, first = 0.0, figure.stages[0].n_in
    axes.text(x, 0.1 + np.log1p(first) / widest, f"{first:,}", ha="center", fontsize=8)
    for stage in figure.stages:
        a, b = np.log1p(stage.n_in) / widest, np.log1p(stage.n_out) / widest
        step = 1.6 if stage.mixes else 0.9
        colour = "#cfe0ee" if stage.mixes else "#ececec"
        axes.fill([x, x + step, x + step, x], [a, b, -b, -a], color=colour)
        axes.plot([x, x], [-a, a], color=COLOURS[0], linewidth=2.5)
        axes.plot([x + step, x + step], [-b, b], color=COLOURS[0], linewidth=2.5)
        text = "\n".join(_text(one) for one in (stage.name, *stage.arrays.split(", ")) if one)
        axes.text(x + step / 2, -1.1, text, ha="center", va="top", fontsize=7)
        x += step
        if stage.n_out != stage.n_in or stage is figure.stages[-1]:
            axes.text(x, 0.1 + b, f"{stage.n_out:,}", ha="center", fontsize=8)
    axes.set_axis_off()
    axes.set_ylim(-2.1, 1.3)
    axes.set_title(_text(figure.title))


_DRAWN: dict[type[Figure], Callable[[Any, Any], None]] = {
    Curves: _curves, Matrix: _matrix, Dots: _dots, Points: _points, Parallel: _parallel, Tiles: _tiles,
    Diagram: _diagram,
}  # fmt: skip
