"""A page as one HTML file: everything inlined, nothing asked of any server, and a policy that forbids the rest."""

import json
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from math import isfinite
from typing import Any

import jinja2
from markupsafe import Markup

from chainrule.reporting import drawings
from chainrule.reporting.blocks import Cell, Curves, Dots, Figure, Interval, Line, Matrix, Page, Points, Tile
from chainrule.reporting.images import data_uri
from chainrule.text import number, printable

TABLED = 30
"""Classes up to which a confusion matrix is a table; of more it is an image of a pixel a cell."""


def html(page: Page, *, watched: bool = False) -> str:
    """The page. watched: it asks the server that it came from whether there is something new."""
    style = _asset("uPlot.min.css") + _asset("page.css")
    licence = f"/*\n{_asset('uPlot.LICENSE')}*/\n"  # which asks to go with every copy
    scripts = [licence + _asset("uPlot.min.js"), _asset("page.js"), *([_asset("watch.js")] if watched else [])]
    policy = "; ".join([
        "default-src 'none'",
        f"style-src {_digest(style)}",
        f"script-src {' '.join(map(_digest, scripts))}",
        "img-src data:",
        *(["connect-src 'self'"] if watched else []),
        "base-uri 'none'",
        "form-action 'none'",
    ])  # fmt: skip
    curves = {one.name: curves_data(one) for one in page.figures() if isinstance(one, Curves)}
    # Our own files, as they are.
    inlined = {"style": Markup(style), "scripts": [Markup(one) for one in scripts]}  # noqa: S704
    return _template().render(page=page, policy=Markup(policy), curves=data_block(curves), **inlined)  # noqa: S704


@lru_cache
def _asset(name: str) -> str:
    return (files("chainrule.reporting") / "assets" / name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


@lru_cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, finalize=_shown, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters |= {"cell": cell, "wide": is_wide, "uri": data_uri, "level": level}
    environment.tests |= {"kind": lambda block, name: type(block).__name__ == name}
    environment.globals |= {
        "draw": {"Dots": drawings.dots, "Points": drawings.points, "Parallel": drawings.parallel,
                 "Diagram": drawings.diagram},
        "kinds": drawings.kinds, "pixels": pixels, "TABLED": TABLED,
    }  # fmt: skip
    return environment.from_string(_asset("page.html"))


def _shown(value: Any) -> Any:
    """Text of users: what would act on a reader's screen is shown as its code."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def cell(value: Cell) -> str:
    """A table's cell as text.

    >>> cell(0.5), cell(12345), cell(Interval(0.1, 0.25)), cell(None), cell(float("nan"))
    ('0.5000', '12,345', '0.1000 to 0.2500', '', 'not finite')
    """
    if value is None:
        return ""
    if isinstance(value, Interval):
        return f"{number(value.low)} to {number(value.high)}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value) if isfinite(value) else "not finite"
    return value


def is_wide(figure: Figure) -> bool:
    """Whether a figure takes the whole width of the page, not half of it."""
    if isinstance(figure, Dots):
        return max(map(len, figure.labels), default=0) > 24
    if isinstance(figure, Curves):
        return len(figure.lines) > 8
    return not isinstance(figure, Points)


def level(count: int, total: int) -> int:
    """How dark a cell of the confusion matrix is: 0 for none, then 1 to 9 by its share of the row."""
    return 0 if not count else 1 + round(8 * count / total)


def pixels(figure: Matrix) -> Tile:
    """The matrix as an image, white for no row and black for all of a class."""
    totals = [max(sum(row), 1) for row in figure.counts]
    values = bytes(
        255 - (0 if not n else 40 + round(215 * n / total))
        for row, total in zip(figure.counts, totals, strict=True) for n in row
    )  # fmt: skip
    return Tile(len(figure.counts), len(figure.counts), 1, values, figure.title)


def curves_data(figure: Curves) -> dict[str, Any]:
    """What the page's script draws: tables of columns that share their x, and for each line where its columns are.

    `at` counts columns over all tables, without their x, from 1; a line with a band has its low and high after it.
    """
    tables: dict[tuple[float, ...], list[list[float | None]]] = {}
    places: list[tuple[Line, tuple[float, ...], int]] = []
    for line in figure.lines:
        columns = tables.setdefault(line.x, [])
        places.append((line, line.x, len(columns)))
        columns += [[_short(y) for y in values] for values in (line.y, line.low, line.high) if values]
    offset, n = {}, 1
    for x, columns in tables.items():
        offset[x] = n
        n += len(columns)
    return {
        "title": printable(figure.title), "x": printable(figure.x_label), "y": printable(figure.y_label),
        "log": figure.log,
        "lines": [
            {"name": printable(line.name), "colour": line.colour % 8, "dashed": line.dashed, "hidden": line.hidden,
             "band": bool(line.low), "at": offset[x] + at}
            for line, x, at in places
        ],
        "tables": [[[_short(one) for one in x], *columns] for x, columns in tables.items()],
    }  # fmt: skip


def _short(value: float) -> float | int | None:
    """Five digits are more than a screen shows."""
    if not isfinite(value):
        return None
    return int(value) if value == int(value) and abs(value) < 1e15 else float(f"{value:.5g}")


def data_block(value: Any) -> Markup:
    """JSON for a <script> element: nothing in it can end the element or be taken for markup."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704
