"""The derivation on the site: every formula rendered, every step to be found."""

import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from derivation.page import PAGE, definition, steps
from docs.builder import derivation, mathml


class Elements(HTMLParser):
    """Tags with their attributes, and all text outside of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.found[-1:] == [] or self.found[-1][0] not in ("style", "script"):
            self.text += data


@pytest.fixture(scope="module")
def page(site):
    return Elements((site / "derivation.html").read_text())


def test_every_formula_is_rendered(page):
    text = PAGE.read_text()
    blocks = text.count("\n$$\n") // 2
    inline = len(re.findall(r"(?<!\$)\$[^$\n]+\$", text))
    assert blocks == sum(len(step.equations) for step in steps())
    assert Counter(a["display"] for tag, a in page.found if tag == "math") == {"block": blocks, "inline": inline}
    assert not set("\\$") & set(page.text)


def test_every_step_and_heading_can_be_linked_to(page):
    ids = [a["id"] for _, a in page.found if "id" in a]
    assert max(Counter(ids).values()) == 1
    assert {f"{step.kind}-{step.name}" for step in steps()} <= set(ids)


def test_what_is_refuted_does_not_look_like_what_holds(page):
    kinds = Counter(a["class"] for tag, a in page.found if tag == "div" and "equation" in a.get("class", ""))
    held = sum(len(step.equations) for step in steps() if step.kind == "step")
    assert kinds == {"equation step": held, "equation report": sum(step.kind == "report" for step in steps())}


def test_the_lines_given_are_those_of_the_source(page):
    found = re.findall(r"· ([\w.]+), lines? (\d+)(?: to (\d+))?", page.text)
    quotes = [quote for step in steps() for quote in step.quotes]
    assert [symbol for symbol, *_ in found] == [quote.symbol for quote in quotes]
    for quote, (_, first, last) in zip(quotes, found, strict=True):
        start, lines = definition(quote.file, quote.symbol)
        assert start <= int(first) <= int(last or first) < start + len(lines)
        assert lines[int(first) - start].strip() == quote.lines[0].strip()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# A\n\n$$\n\\unheard{a} = b\n$$\n", r"\\unheard cannot be rendered; write the formula without it"),
        ("# A\n\n$$\na = b\n", r"line 3: \$\$ is opened and never closed"),
        ("# A\n\n<script>\n", "'<script>' is HTML; the page has marks such as <!-- step: relu --> and nothing else"),
    ],
)
def test_what_cannot_be_rendered_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        render(text)


def render(text):
    made = derivation.labelled(text)
    for formula in re.findall(r"```\{math\}\n(.*?)```", made, re.DOTALL):
        mathml.mathml(formula, "block")


def test_a_quotation_that_is_not_in_the_source_is_refused():
    text = "[`losses.py`](../src/chainrule/losses.py) · `Loss`\n\n```python\nx = 1\n```\n"
    with pytest.raises(ValueError, match=r"\.\./src/chainrule/losses\.py has no lines 'x = 1'; quote it anew"):
        derivation.quoted_lines(text)
