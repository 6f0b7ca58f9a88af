"""A page as Markdown: the same facts, tables in place of drawings."""

from collections.abc import Mapping

from chainrule.reporting.blocks import (
    Block,
    Code,
    Diagnosed,
    Figure,
    Heading,
    Headline,
    Page,
    Sentences,
    Table,
    Words,
)
from chainrule.reporting.page import cell
from chainrule.text import printable

_MARKS = "\\`*_{}[]<>|#~$&"


def markdown(page: Page, pictures: Mapping[str, str] | None = None) -> str:
    """The page. pictures: where the file of each figure lies, by its name; those without one are tables alone."""
    parts = [f"# {_text(page.title)}", _text(page.subtitle) + (f" · {page.made}" if page.made else "")]
    for section in page.sections:
        parts += [f"## {_text(section.title)}", *(_block(one, pictures or {}) for one in section.blocks)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _text(text: str) -> str:
    """Text of users, in which nothing is markup."""
    return "".join(f"\\{c}" if c in _MARKS else c for c in printable(text).replace("\n", " "))


def _block(block: Block, pictures: Mapping[str, str]) -> str:
    if isinstance(block, Words):
        command = printable(block.command).replace("`", "")  # nothing is escaped in a code span, so none may end it
        return f"{_text(block.text)} `{command}`" if command else _text(block.text)
    if isinstance(block, Sentences):
        return "\n".join(f"- {_text(one)}" for one in block.items)
    if isinstance(block, Heading):
        return f"### {_text(block.text)}"
    if isinstance(block, Headline):
        return "\n".join(f"- {_text(what)}: **{_text(value)}** ({_text(how)})" for what, value, how in block.items)
    if isinstance(block, Code):
        ticks = "`" * 4
        return f"{_text(block.title)}:\n\n{ticks}toml\n{printable(block.text).replace(ticks, '')}\n{ticks}"
    if isinstance(block, Diagnosed):
        return _findings(block)
    if isinstance(block, Table):
        return _table(block)
    return _figure(block, pictures)


def _figure(figure: Figure, pictures: Mapping[str, str]) -> str:
    picture = f"![{_text(figure.title)}](<{pictures[figure.name]}>)" if figure.name in pictures else ""
    parts = [f"### {_text(figure.title)}", picture, _text(figure.note), _table(figure.table)]
    return "\n\n".join(part for part in parts if part)


def _table(table: Table) -> str:
    lines = [
        "| " + " | ".join(_text(name) for name in table.header) + " |",
        "|" + "|".join(" ---: " if i in table.right else " --- " for i in range(len(table.header))) + "|",
        *("| " + " | ".join(_text(cell(one)) for one in row) + " |" for row in table.rows),
    ]
    title = f"{_text(table.title)}. {_text(table.note)}".strip() + "\n\n" if table.title else ""
    return title + "\n".join(lines)


def _findings(block: Diagnosed) -> str:
    if not block.findings:
        return "Nothing found that looks unhealthy."
    return "\n\n".join(
        f"**{one.severity}: {_text(one.name)}{', ' + _text(one.where) if one.where else ''}**\n\n"
        f"- measured: {_text(one.measured)}\n- why it matters: {_text(one.why)}\n- what to change: {_text(one.change)}"
        for one in block.findings
    )
