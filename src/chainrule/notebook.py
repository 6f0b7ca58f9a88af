"""Tables as notebooks show them: an object's `_repr_html_`. Colours are the notebook's own, light or dark."""

from collections.abc import Sequence
from html import escape

from chainrule.text import printable


def safe(text: object) -> str:
    r"""Text for HTML: nothing in it is markup, and what does not print is shown as its code.

    >>> safe("<b>\x1b")
    '&lt;b&gt;\\x1b'
    """
    return escape(printable(str(text)))


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = (),
          below: str = "") -> str:  # fmt: skip
    """Rows under a header, below a caption; the columns numbered in `right` flush right. All text is escaped.

    >>> table("A & B", ["n"], [[5]], right=[0], below="done")[:44]
    '<table><caption style="caption-side: top; te'
    """
    line = "border-bottom: 1px solid currentColor"
    named = f'<caption style="caption-side: top; text-align: left; color: inherit">{safe(caption)}</caption>'
    aligned = ["right" if i in right else "left" for i in range(len(header))]
    heads = "".join(
        f'<th style="text-align: {side}; {line}">{safe(name)}</th>' for side, name in zip(aligned, header, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f'<td style="text-align: {side}">{safe(cell)}</td>' for side, cell in zip(aligned, row, strict=True))
        + "</tr>"
        for row in rows
    )
    end = f"<p>{safe(below)}</p>" if below else ""
    return f"<table>{named}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{end}"
