"""What the page of the derivation is before Sphinx reads it: line numbers, labels for its marks, kinds of equations."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parents[1]
MARK = re.compile(r"<!-- (scene|step|report): ([a-z0-9-]+) -->")
LABELS = {"step": "checked", "report": "the report, refuted"}


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


def labelled(text: str) -> str:
    """Marks become labels that can be linked to, and equations directives with the kind of the mark above them."""
    return "\n".join(_labelled(text.split("\n")))


def _labelled(lines: list[str]) -> Iterator[str]:
    kind, opened, fenced = "", 0, False
    for at, line in enumerate(lines, start=1):
        mark = MARK.fullmatch(line.strip())
        fenced ^= line.startswith("```")
        if line.startswith("#") and not fenced:
            kind = ""
        if mark and mark[1] in LABELS:
            kind = mark[1]
            yield f'<p class="mark {kind}" id="{kind}-{mark[2]}"><b>{LABELS[kind]}</b> {mark[2]}</p>'
        elif line.strip().startswith("<") and not mark and not fenced:
            raise ValueError(f"{line!r} is HTML; the page has marks such as <!-- step: relu --> and nothing else")
        elif line.strip() == "$$":
            yield "```" if opened else f"```{{math}}\n:class: {kind}\n" if kind else "```{math}"
            opened = 0 if opened else at
        elif not mark:
            yield line
    if opened:
        raise ValueError(f"line {opened}: $$ is opened and never closed; close the equation with a line of $$")


def read(app: object, name: str, source: list[str]) -> None:  # noqa: ARG001 - Sphinx hands it over
    """On `source-read`."""
    if name == "derivation":
        source[0] = labelled(quoted_lines(source[0]))
