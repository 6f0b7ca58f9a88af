"""The page and the code base: quotations, and that nothing on the page goes unchecked."""

import textwrap
from collections import Counter

import pytest

from derivation.page import LooseError, definition, parse, steps
from derivation.proofs import PROOFS

STEPS = [step for step in steps() if step.kind == "step"]
QUOTES = [(step.name, quote) for step in steps() for quote in step.quotes]


def stands_in(lines: tuple[str, ...], source: list[str]) -> bool:
    """Whether the lines stand in the source one after the other, their common indentation aside."""
    wanted = textwrap.dedent("\n".join(lines))
    runs = (source[i : i + len(lines)] for i in range(len(source) - len(lines) + 1))
    return any(textwrap.dedent("\n".join(run)) == wanted for run in runs)


@pytest.mark.parametrize(("name", "quote"), QUOTES, ids=[f"{name}-{quote.symbol}" for name, quote in QUOTES])
def test_quoted_code_is_the_source(name, quote):
    assert stands_in(quote.lines, definition(quote.file, quote.symbol)[1]), (
        f"step {name} quotes lines that {quote.file} no longer has in {quote.symbol}; quote it anew, and see whether the "
        "equation still says what it does"
    )


def test_a_changed_line_is_noticed():
    _, quote = QUOTES[0]
    changed = (quote.lines[0].replace("@", "*"), *quote.lines[1:])
    assert not stands_in(changed, definition(quote.file, quote.symbol)[1])


def test_every_step_has_its_checks_and_every_check_its_step():
    assert [step.name for step in STEPS] == list(PROOFS)
    assert all(step.equations and step.quotes for step in STEPS)
    assert all(step.equations for step in steps())
    assert max(Counter(step.name for step in steps()).values()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# A\n\n$$\na = b\n$$\n", "the equation 'a = b' stands in no step"),
        ("<!-- step: a -->\n\n## B\n\n$$a = b$$\n", "the equation 'a = b' stands in no step"),
        ("<!-- step: a -->\n\n```python\nx\n```\n", "has no caption"),
        ("<!-- step: a -->\n\n$$\na = b\n", "is never closed by"),
    ],
)
def test_what_belongs_to_no_check_is_refused(text, message):
    with pytest.raises(LooseError, match=message):
        parse(text)
