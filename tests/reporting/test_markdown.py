"""The same facts as Markdown."""

import re

from chainrule.reporting.blocks import Dots, Interval, Page, Section, Sentences, Table, Words
from chainrule.reporting.compose import compose
from chainrule.reporting.markdown import markdown
from chainrule.reporting.page import html


def test_a_page_by_hand():
    table = Table(("name", "value"), (("a|b", 0.5), ("c", Interval(0.25, 1.0))), (1,), "Both", "of two")
    figure = Dots("d", "Dots", "A note.", table, ("a|b", "c"), (0.5, 0.6), (None, None), "x")
    page = Page("T*", "1 run", (Section("s", "S", (Sentences(("one", "<b>")), figure)),))
    assert markdown(page, {"d": "figures/d.svg"}) == (
        "# T\\*\n\n1 run\n\n## S\n\n- one\n- \\<b\\>\n\n### Dots\n\n![Dots](<figures/d.svg>)\n\nA note.\n\n"
        "Both. of two\n\n| name | value |\n| --- | ---: |\n| a\\|b | 0.5000 |\n| c | 0.2500 to 1.0000 |\n"
    )
    assert "![" not in markdown(page)


def test_a_command_is_code_and_nothing_in_it_is_markup():
    page = Page("T", "S", (Section("s", "S", (Words("Next:", "run `<b>` *"), Words("Done."))),))
    assert "\n\nNext: `run <b> *`\n\nDone.\n" in markdown(page)
    assert "Next: <code>run `&lt;b&gt;` *</code></p>" in html(page)
    assert '<p class="words">Done.</p>' in html(page)


def test_it_says_what_the_page_says(runs, study):
    page = compose([runs / "wide", runs / "narrow", study])
    text = markdown(page)
    for section in page.sections:
        assert f"\n## {section.title}\n" in text
    shown = html(page)
    for number in re.findall(r"\| (0\.\d{4}) \|", text):
        assert number in shown
    assert "wide is better." in text
    assert text.count("\n### ") >= 20
