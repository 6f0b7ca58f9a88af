"""The documentation site: whole, with links that lead somewhere, and nothing loaded from elsewhere."""

import re

import pytest

import chainrule as cr
from docs.builder import links, reference


def test_every_page_is_there(site):
    wanted = ["tutorial", "studies", "report", "export", "estimators", "tracking", "shell", "derivation", "replication",
              "results", "performance", "reliability", "decisions"]  # fmt: skip
    assert all((site / f"{name}.html").is_file() for name in wanted)
    contents = (site / "index.html").read_text()
    assert all(f'href="{name}.html"' in contents for name in wanted)


def test_the_reference_has_every_public_name_with_its_meaning(site):
    shown = "".join(path.read_text() for path in (site / "api").glob("*.html"))
    for room, names in reference.public().items():
        for name in names:
            assert f'id="{reference.named(room, name)}"' in shown, name
    assert set(cr.__all__) == set(re.findall(r'<dt [^>]*id="chainrule\.(\w+)"', shown))


def test_arguments_are_fields_and_examples_are_code(site):
    page = (site / "api" / "runs.html").read_text()
    assert re.search(r"<strong>time_limit</strong>.*?seconds after which a checkpoint is left", page, re.DOTALL)
    assert '<span class="gp">&gt;&gt;&gt; </span>' in page


@pytest.mark.parametrize(
    ("html", "problem"),
    [
        ('<a href="gone.html">x</a>', "index.html links to gone.html, which is not there"),
        ('<a href="other.html#no">x</a>', "index.html links to other.html#no, but other.html has no no"),
        ('<script src="https://cdn.example/x.js"></script>', "index.html loads https://cdn.example/x.js"),
        ('<link rel="stylesheet" href="//fonts.example/a.css">', "index.html loads //fonts.example/a.css"),
        ('<img src="gone.svg">', "index.html loads gone.svg, which is not there"),
        ('<a href="other.html#there">x</a><a href="https://example.org">y</a>', None),
    ],
)
def test_what_leads_nowhere_or_elsewhere_is_found(tmp_path, html, problem):
    (tmp_path / "index.html").write_text(html)
    (tmp_path / "other.html").write_text('<p id="there">')
    assert list(links.problems(tmp_path)) == ([] if problem is None else [problem])
    (tmp_path / "index.html").write_text("")
    (tmp_path / "a.css").write_text("@import url('https://fonts.example/b.css'); a { background: url(data:x) }")
    assert list(links.problems(tmp_path)) == ["a.css loads https://fonts.example/b.css"]


def test_links_between_markdown_files(tmp_path):
    (tmp_path / "b.md").write_text("# A heading, `code` too\n")
    (tmp_path / "a.md").write_text("[x](b.md#a-heading-code-too) [y](b.md#none) [z](c.md) `[not](d.md)` [w](https://e)")
    assert list(links.markdown_problems([tmp_path / "a.md"])) == [
        "a.md links to b.md#none, but b.md has no such heading",
        "a.md links to c.md, which is not there",
    ]


def test_signatures_show_types_and_not_what_pydantic_is_told(site):
    assert not [path.name for path in (site / "api").glob("*.html") if "FieldInfo" in path.read_text()]
    given = "(a: ~typing.Annotated[A | Annotated[B, Gt(gt=0)], FieldInfo(x=['kind'])] | None, n: Annotated[int, Gt(gt=0)] = 1)"
    assert reference.unannotated(given) == "(a: A | B | None, n: int = 1)"


def test_docstrings_become_restructured_text():
    made = reference.restructured(["Uses `W` and x_, a | b. n: so many. Raises an Error.", ">>> f(*x)", "1"], ("n",))
    assert made == [
        "Uses ``W`` and x\\_, a \\| b.",
        "",
        ":param n: so many.",
        "",
        "Raises an Error.",
        "",
        ">>> f(*x)",
        "1",
        "",
    ]
