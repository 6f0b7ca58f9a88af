"""Makes derivation.html of derivation.md: one file that asks the network for nothing, its mathematics in MathML.

python docs/build_derivation.py [OUTPUT]      # docs/derivation.html unless said otherwise
"""

import re
import sys
import textwrap
from html import escape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

DOCS = Path(__file__).parent
MARK = re.compile(r"<!-- (scene|step|report): ([a-z0-9-]+) -->")
NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
BOUNDS_BELOW = {"msub": "munder", "msubsup": "munderover"}
LABELS = {"step": "checked", "report": "the report, refuted"}


def math_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Lines between two lines of $$."""
    if state.getLines(start, start + 1, 0, False).strip() != "$$":
        return False
    if silent:
        return True
    close = start + 1
    while close < end and state.getLines(close, close + 1, 0, False).strip() != "$$":
        close += 1
    if close == end:
        raise ValueError(f"line {start + 1}: $$ is opened and never closed; close the equation with a line of $$")
    state.push("math_block", "math", 0).content = state.getLines(start + 1, close, 0, False)
    state.line = close + 1
    return True


def math_inline(state: StateInline, silent: bool) -> bool:
    """$...$ within a line."""
    if state.src[state.pos] != "$":
        return False
    close = state.src.find("$", state.pos + 1)
    if close < 0:
        return False
    if not silent:
        state.push("math_inline", "math", 0).content = state.src[state.pos + 1 : close]
    state.pos = close + 1
    return True


def mathml(latex: str, display: str) -> str:
    """The formula as MathML; raises ValueError for a command that is not known, which would stay LaTeX."""
    made = convert(" ".join(latex.split()), display=display)
    if left := re.findall(r"\\[a-zA-Z]*", made):
        raise ValueError(f"{latex!r}: {', '.join(left)} cannot be rendered; write the formula without it")
    tree = ElementTree.fromstring(made)  # noqa: S314 - our own
    for element in tree.iter():
        set_well(element, display)
    return ElementTree.tostring(tree, encoding="unicode")


def set_well(element: ElementTree.Element, display: str) -> None:
    """What the converter leaves to be done: bounds under a sum in brackets, no room at ∂ and ⊤, some behind log."""
    tag, first = element.tag.removeprefix(NAMESPACE), next(iter(element), None)
    if display == "block" and first is not None and first.text == "∑" and tag in BOUNDS_BELOW:
        element.tag = NAMESPACE + BOUNDS_BELOW[tag]
    if tag == "mo" and element.text in ("∂", "⊤", "|", "erf", "clip"):
        element.attrib |= {"lspace": "0", "rspace": "0"}
    for at, child in reversed(list(enumerate(element))):
        if child.text == "log" and at + 1 < len(element) and element[at + 1].tag != NAMESPACE + "mo":
            element.insert(at + 1, ElementTree.Element(NAMESPACE + "mspace", width="0.17em"))


class Page:
    """Renders the marks, formulas and headings; the rest is markdown-it's own."""

    def __init__(self) -> None:
        self.mark = ""
        self.contents: list[tuple[str, str, str]] = []
        self.parser = MarkdownIt("commonmark").enable("table")
        self.parser.block.ruler.before("fence", "math_block", math_block)
        self.parser.inline.ruler.before("escape", "math_inline", math_inline)
        for rule in (self.math_block, self.math_inline, self.html_block, self.heading_open):
            self.parser.renderer.rules[rule.__name__] = rule

    def html(self, text: str) -> str:
        body = self.parser.render(text)
        title = next(name for level, name, _ in self.contents if level == "h1")
        links = "\n".join(
            f'<a class="{level}" href="#{anchor}">{escape(name)}</a>' for level, name, anchor in self.contents
        )
        return HTML.format(title=escape(title), style=(DOCS / "derivation.css").read_text(), contents=links, body=body)

    def math_block(self, tokens: Any, at: int, *_: Any) -> str:
        return f'<div class="equation {self.mark}">{mathml(tokens[at].content, "block")}</div>\n'

    def math_inline(self, tokens: Any, at: int, *_: Any) -> str:
        return mathml(tokens[at].content, "inline")

    def html_block(self, tokens: Any, at: int, *_: Any) -> str:
        """Marks become labels that can be linked to; nothing else is let through."""
        made = ""
        for line in tokens[at].content.split("\n"):
            mark = MARK.fullmatch(line.strip())
            if not mark and line.strip():
                raise ValueError(f"{line!r} is HTML; the page has marks such as <!-- step: relu --> and nothing else")
            if mark and mark[1] in LABELS:
                self.mark = mark[1]
                made += f'<p class="mark {mark[1]}" id="{mark[2]}"><b>{LABELS[mark[1]]}</b> {mark[2]}</p>\n'
        return made

    def heading_open(self, tokens: Any, at: int, *_: Any) -> str:
        self.mark = ""
        name, level = tokens[at + 1].content, tokens[at].tag
        anchor = "-".join(re.findall(r"\w+", name.lower()))
        self.contents.append((level, name, f"section-{anchor}"))
        return f'<{level} id="section-{anchor}">'


def quoted_lines(text: str) -> str:
    """The page with the line numbers of what it quotes behind each caption."""

    def numbered(match: re.Match[str]) -> str:
        source = (DOCS / match["file"]).read_text().splitlines()
        wanted = match["code"].rstrip("\n")
        n = len(wanted.splitlines())
        first = next((i for i in range(len(source)) if textwrap.dedent("\n".join(source[i : i + n])) == wanted), None)
        if first is None:
            raise ValueError(f"{match['file']} has no lines {wanted!r}; quote it anew")
        where = f"line {first + 1}" if n == 1 else f"lines {first + 1} to {first + n}"
        return f"{match['caption']}, {where}\n\n```python\n{match['code']}```"

    caption = r"^(?P<caption>\[`[\w./]+`\]\((?P<file>[\w./]+)\) · `[\w.]+`)\n\n```python\n(?P<code>.*?)```"
    return re.sub(caption, numbered, text, flags=re.MULTILINE | re.DOTALL)


ElementTree.register_namespace("", NAMESPACE[1:-1])

HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<div class="columns">
<nav aria-label="Contents">
{contents}
</nav>
<main>
{body}</main>
</div>
</body>
</html>
"""


def build(output: Path) -> None:
    """Write the page."""
    output.write_text(Page().html(quoted_lines((DOCS / "derivation.md").read_text())))


if __name__ == "__main__":
    made = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "derivation.html"
    build(made)
    print(made)
