"""Figures as SVG: dots with intervals, scatters, parallel coordinates, networks. Curves are drawn by a script."""

from collections.abc import Callable, Sequence
from math import isfinite, log

from markupsafe import Markup, escape

from chainrule.reporting.blocks import Diagram, Dots, Interval, Parallel, Point, Points
from chainrule.reporting.svg import drawing, element, joined, label, log_ticks, short, text_of, ticks

Place = Callable[[float], float]


def _scale(low: float, high: float, start: float, end: float, *, logarithmic: bool = False) -> Place:
    """From numbers to places between start and end."""
    if logarithmic:
        a, b = log(low), log(high)
        return lambda value: start + (log(value) - a) / ((b - a) or 1.0) * (end - start)
    return lambda value: start + (value - low) / ((high - low) or 1.0) * (end - start)


def _range(values: Sequence[float], pad: float = 0.06) -> tuple[float, float]:
    known = [value for value in values if isfinite(value)]
    low, high = min(known), max(known)
    more = (high - low) * pad or abs(high) * 0.1 or 1.0
    return low - more, high + more


def _ends(values: Sequence[float], intervals: Sequence[Interval | None]) -> list[float]:
    return [*values, *(end for one in intervals if one is not None for end in one)]


def dots(figure: Dots) -> Markup:
    """One row a label: the value, its interval, and perhaps a line to compare with."""
    left = max(min(max(map(len, figure.labels), default=4), 34) * 6.9 + 14, 64.0)
    width, row = left + 330.0, 24.0
    bottom = len(figure.labels) * row + 8
    marks = [figure.mark] if figure.mark is not None else []
    low, high = _range(_ends([*figure.values, *marks], figure.intervals))
    if figure.bars:
        low = 0.0
    x = _scale(low, high, left, width - 60)
    middle = (left + width - 60) / 2
    parts = [_grid_x(low, high, x, 4.0, bottom), label(figure.x_label, middle, bottom + 36, "axis-name", "middle")]
    if figure.mark is not None:
        at = x(figure.mark)
        parts.append(element("line", x1=at, x2=at, y1=4.0, y2=bottom, class_="mark"))
    for i, (name, value, interval) in enumerate(zip(figure.labels, figure.values, figure.intervals, strict=True)):
        y = i * row + row / 2 + 4
        parts.append(label(name, left - 10, y + 4, "name", "end", 34))
        if figure.bars:
            parts.append(element("rect", x=left, y=y - 7, width=max(x(value) - left, 0.5), height=14.0, class_="bar"))
        else:
            parts += _whisker(x, y, interval, across=True)
            parts.append(element("circle", cx=x(value), cy=y, r=4.5, class_="dot"))
        parts.append(label(_value(value), width - 50, y + 4, "value"))
    return drawing(figure.title, width, bottom + 44, parts, "fits")


def _value(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"


def _whisker(at: Place, other: float, interval: Interval | None, *, across: bool) -> list[Markup]:
    if interval is None:
        return []
    low, high = at(interval.low), at(interval.high)
    if across:
        return [element("line", x1=low, x2=high, y1=other, y2=other, class_="whisker")]
    return [element("line", x1=other, x2=other, y1=low, y2=high, class_="whisker")]


def _grid_x(low: float, high: float, x: Place, top: float, bottom: float) -> Markup:
    lines = []
    for tick in ticks(low, high):
        lines.append(element("line", x1=x(tick), x2=x(tick), y1=top, y2=bottom, class_="grid"))
        lines.append(label(short(tick), x(tick), bottom + 17, "tick", "middle"))
    return joined(lines)


def points(figure: Points) -> Markup:
    """A scatter with intervals; a diagonal and a histogram below where asked for."""
    square = figure.diagonal and bool(figure.counts)
    width, height, left, right, top = 380.0, 370.0 if square else 290.0, 54.0, 12.0, 12.0
    bottom = height - (46 if not figure.counts else 106)
    xs = [point.x for point in figure.points]
    ys = _ends([point.y for point in figure.points], [point.interval for point in figure.points])
    if figure.counts:
        x_low, x_high, y_low, y_high = 0.0, 1.0, 0.0, 1.0
    else:
        (x_low, x_high), (y_low, y_high) = _limits(figure, xs), _range(ys)
    if figure.diagonal and not figure.counts:
        x_low = y_low = min(x_low, y_low)
        x_high = y_high = max(x_high, y_high)
    x = _scale(x_low, x_high, left, width - right, logarithmic=figure.log)
    y = _scale(y_low, y_high, bottom, top)
    parts = [_axes(figure, x, y, (x_low, x_high), (y_low, y_high), (left, width - right, top, bottom))]
    if figure.diagonal:
        parts.append(element("line", x1=x(x_low), y1=y(x_low), x2=x(x_high), y2=y(x_high), class_="mark"))
    parts += [_point(point, x, y) for point in figure.points]
    if figure.counts:
        parts += _histogram(figure.counts, x, height - 42, 40.0)
    name_y = height - 6 if figure.counts else bottom + 38
    parts.append(label(figure.x_label, (left + width - right) / 2, name_y, "axis-name", "middle", 60))
    return drawing(figure.title, width, height, parts, "fits")


def _limits(figure: Points, xs: Sequence[float]) -> tuple[float, float]:
    if figure.ticks:
        return -0.5, len(figure.ticks) - 0.5
    if figure.log:
        ratio = (max(xs) / min(xs)) ** 0.06 if max(xs) > min(xs) else 2.0
        return min(xs) / ratio, max(xs) * ratio
    return _range(xs)


def _axes(
    figure: Points, x: Place, y: Place, xs: tuple[float, float], ys: tuple[float, float],
    box: tuple[float, float, float, float],
) -> Markup:  # fmt: skip
    left, right, top, bottom = box
    parts = []
    for tick in ticks(*ys):
        parts.append(element("line", x1=left, x2=right, y1=y(tick), y2=y(tick), class_="grid"))
        parts.append(label(short(tick), left - 8, y(tick) + 4, "tick", "end"))
    if figure.ticks:
        room = int((right - left) / len(figure.ticks) / 6.5)
        at = [(float(i), name) for i, name in enumerate(figure.ticks)]
    else:
        room = 12
        marks = figure.marks or (log_ticks(*xs) if figure.log else ticks(*xs))
        at = [(tick, short(tick)) for tick in marks]
    for tick, name in at:
        parts.append(element("line", x1=x(tick), x2=x(tick), y1=bottom, y2=bottom + 4, class_="grid"))
        parts.append(label(name, x(tick), bottom + 18, "tick", "middle", max(room, 4)))
    middle = (top + bottom) / 2
    turned = element("text", text_of(figure.y_label), x=0.0, y=0.0, class_="axis-name", text_anchor="middle",
                     transform=f"translate(13 {middle:.0f}) rotate(-90)")  # fmt: skip
    return joined([*parts, turned])


def _point(point: Point, x: Place, y: Place) -> Markup:
    kind = " apart" if point.apart else ""
    inner = element("title", text_of(point.words)) if point.words else Markup("")
    marks = _whisker(y, x(point.x), point.interval, across=False)
    if point.apart:
        cx, cy, r = x(point.x), y(point.y), 5.5
        shape = f"M{cx:.1f} {cy - r:.1f}L{cx + r:.1f} {cy:.1f}L{cx:.1f} {cy + r:.1f}L{cx - r:.1f} {cy:.1f}Z"
        marks.append(element("path", inner, d=shape, class_="dot"))
    else:
        marks.append(element("circle", inner, cx=x(point.x), cy=y(point.y), r=4.0, class_="dot"))
    return element("g", joined(marks), class_=f"point{kind}")


def _histogram(counts: Sequence[int], x: Place, bottom: float, height: float) -> list[Markup]:
    largest, n = max(counts) or 1, len(counts)
    parts = []
    for i, count in enumerate(counts):
        h = height * count / largest
        inner = element("title", f"{count:,} predictions from {i / n:.1f} to {(i + 1) / n:.1f}")
        parts.append(element("rect", inner, x=x(i / n) + 1, y=bottom - h, width=x((i + 1) / n) - x(i / n) - 2, height=h,
                             class_="bar"))  # fmt: skip
    return parts


def parallel(figure: Parallel) -> Markup:
    """Axes side by side, a line a trial across them, stronger for the better ones."""
    n = len(figure.axes)
    gap, top, bottom = max(900.0 / (n - 1), 150.0), 40.0, 300.0
    width = gap * (n - 1) + 200
    at = [100 + i * gap for i in range(n)]
    y = _scale(0.0, 1.0, bottom, top)
    parts = []
    for line, shade, words in zip(figure.lines, figure.shades, figure.words, strict=True):
        places = [(x, y(place)) for x, place in zip(at, line, strict=True) if place is not None]
        path = "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in places)
        inner = element("title", text_of(words))
        parts.append(element("path", inner, d=path, class_=f"trial s{min(int(shade * 5), 4)}"))
    for x, axis in zip(at, figure.axes, strict=True):
        parts.append(element("line", x1=x, x2=x, y1=top, y2=bottom, class_="axis"))
        parts.append(label(axis.name, x, 18, "axis-name", "middle", int(gap / 6.6)))
        for place, name in axis.ticks:
            parts.append(label(name, x - 7, y(place) + 4, "tick halo", "end", 13))
    return drawing(figure.title, width, bottom + 20, parts, "broad")


def diagram(figure: Diagram) -> Markup:
    """Bars for the widths, taller for wider ones, and between them the layers; those that mix units are filled."""
    widest = max(max(stage.n_in, stage.n_out) for stage in figure.stages)
    middle, tall = 120.0, 170.0

    def half(width: int) -> float:
        return 10 + (tall / 2 - 10) * log(1 + width) / log(1 + widest)

    x, parts = 46.0, []
    bar = element("rect", x=x - 4, y=middle - half(figure.stages[0].n_in), width=8.0,
                  height=2 * half(figure.stages[0].n_in), rx=2, class_="units")  # fmt: skip
    parts += [bar, label(f"{figure.stages[0].n_in:,}", x, middle - half(figure.stages[0].n_in) - 8, "value", "middle")]
    for stage in figure.stages:
        step = 150.0 if stage.mixes else max(72.0, len(stage.name) * 6.6 + 16)
        a, b, end = half(stage.n_in), half(stage.n_out), x + step
        one, other = x + 6, end - 6
        shape = f"M{one:.1f} {middle - a:.1f}L{other:.1f} {middle - b:.1f}V{middle + b:.1f}L{one:.1f} {middle + a:.1f}Z"
        parts.append(element("path", d=shape, class_="mixes" if stage.mixes else "alone"))
        centre = (x + end) / 2
        parts.append(label(stage.name, centre, 232, "name", "middle", int(step / 6.2)))
        for i, array in enumerate(stage.arrays.split(", ") if stage.arrays else []):
            if i < 4:
                parts.append(label(array, centre, 250 + 15 * i, "tick", "middle", int(step / 5.6)))
        parts.append(element("rect", x=end - 4, y=middle - b, width=8.0, height=2 * b, rx=2, class_="units"))
        if stage.n_out != stage.n_in or stage is figure.stages[-1]:
            parts.append(label(f"{stage.n_out:,}", end, middle - b - 8, "value", "middle"))
        x = end
    return drawing(figure.title, x + 46, 300.0, parts)


def kinds(figure: Points) -> Markup:
    """What the two kinds of points are."""
    if not figure.kinds:
        return Markup("")
    dot = element("svg", element("circle", cx=7, cy=7, r=4, class_="dot"), width=14, height=14, class_="drawing key",
                  aria_hidden="true")  # fmt: skip
    diamond = element("svg", element("g", element("path", d="M7 1L13 7L7 13L1 7Z", class_="dot"), class_="apart"),
                      width=14, height=14, class_="drawing key", aria_hidden="true")  # fmt: skip
    first, second = (escape(name) for name in figure.kinds)
    return element("p", dot + " " + first + " " + diamond + " " + second, class_="kinds")
