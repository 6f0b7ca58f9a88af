"""docs/derivation.md taken apart: scenes, their steps, the equations and the quoted code of each step.

<!-- scene: NAME -->    the symbols that the equations below are about
<!-- step: NAME -->     equations that hold, and the code that computes them, up to the next mark or heading
<!-- report: NAME -->   equations of the report that do not
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "derivation.md"
MARK = re.compile(r"<!-- (scene|step|report): ([a-z0-9-]+) -->")
CAPTION = re.compile(r"\[`[\w./]+`\]\(\.\./(?P<file>[\w/]+\.py)\) · `(?P<symbol>[\w.]+)`")


class Quote(NamedTuple):
    """Lines of a function or class, as the page shows them."""

    file: str
    symbol: str
    lines: tuple[str, ...]


class Step(NamedTuple):
    """kind "step" or "report"; equations as written between $$."""

    kind: str
    name: str
    scene: str
    equations: tuple[str, ...]
    quotes: tuple[Quote, ...]


class LooseError(ValueError):
    """An equation or a quotation that belongs to nothing that is checked."""


@cache
def steps(path: Path = PAGE) -> tuple[Step, ...]:
    """All steps, in the order of the page."""
    return parse(path.read_text())


def parse(text: str) -> tuple[Step, ...]:
    found: list[Step] = []
    scene, here, caption = "", False, None
    lines = iter(text.splitlines())
    for line in lines:
        if mark := MARK.fullmatch(line):
            here = mark[1] != "scene"
            if here:
                found.append(Step(mark[1], mark[2], scene, (), ()))
            else:
                scene = mark[2]
        elif line.startswith("#"):
            here = False
        elif line.startswith("$$"):
            equation = _until(lines, "$$") if line == "$$" else [line.strip("$")]
            if not here:
                raise LooseError(f"the equation {' '.join(equation)!r} stands in no step")
            found[-1] = found[-1]._replace(equations=(*found[-1].equations, " ".join(equation).strip()))
        elif line.startswith("```python"):
            if not here or caption is None:
                raise LooseError(f"the code {_until(lines, '```')} has no caption, or stands in no step")
            quote = Quote(caption["file"], caption["symbol"], tuple(_until(lines, "```")))
            found[-1] = found[-1]._replace(quotes=(*found[-1].quotes, quote))
        if line:
            caption = CAPTION.fullmatch(line)
    return tuple(found)


def definition(file: str, symbol: str) -> tuple[int, list[str]]:
    """The number of the first line of a function or class, named with the class around it, and its lines."""
    text = (DOCS.parent / file).read_text()
    body: list[ast.stmt] = ast.parse(text).body
    for part in symbol.split("."):
        (node,) = [n for n in body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name == part]
        body = node.body
    return node.lineno, text.splitlines()[node.lineno - 1 : node.end_lineno]


def _until(lines, end: str) -> list[str]:
    taken = []
    for line in lines:
        if line == end:
            return taken
        taken.append(line)
    raise LooseError(f"{taken[:1]} is never closed by {end}")
