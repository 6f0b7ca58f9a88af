"""Where links lead: of a built site every one, of Markdown files those to other files of the checkout."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}
NOT_LOADED = {"search", "index", "next", "prev", "canonical"}
ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)


class Page(HTMLParser):
    """Names that can be linked to, links, and what a browser would load by itself."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.names |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif given.get(LOADED.get(tag, ""), "") and given.get("rel") not in NOT_LOADED:
            self.loaded.append(given[LOADED[tag]])
        elif tag == "link":
            self.links.append(given["href"])


def problems(site: Path) -> Iterator[str]:
    """Links of the pages in `site` that lead nowhere, and whatever would be loaded from another place."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        here = path.relative_to(site)
        for target in page.loaded:
            if ELSEWHERE.match(target) and not target.startswith("data:"):
                yield f"{here} loads {target}"
            elif not ELSEWHERE.match(target) and not _file(path, target).is_file():
                yield f"{here} loads {target}, which is not there"
        for target in page.links:
            if ELSEWHERE.match(target):
                continue
            file, anchor = _file(path, target), target.partition("#")[2]
            if not file.is_file():
                yield f"{here} links to {target}, which is not there"
            elif anchor and file in pages and unquote(anchor) not in pages[file].names:
                yield f"{here} links to {target}, but {file.name} has no {anchor}"
    for path in sorted(site.rglob("*.css")):
        for target in re.findall(
            r"""(?:@import\s+(?:url\()?|url\()\s*['"]?([^'")\s]+)""", path.read_text(encoding="utf-8")
        ):
            if ELSEWHERE.match(target) and not target.startswith("data:"):
                yield f"{path.relative_to(site)} loads {target}"


def _file(page: Path, target: str) -> Path:
    name = unquote(target.partition("#")[0].partition("?")[0])
    return (page.parent / name).resolve() if name else page.resolve()


def markdown_problems(files: list[Path]) -> Iterator[str]:
    """Links of Markdown files to files or headings that are not there, as a repository's browser would follow them."""
    for path in files:
        text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if ELSEWHERE.match(target):
                continue
            file, anchor = _file(path, target), target.partition("#")[2]
            if not file.exists():
                yield f"{path.name} links to {target}, which is not there"
            elif anchor and file.suffix == ".md" and anchor not in slugs(file.read_text(encoding="utf-8")):
                yield f"{path.name} links to {target}, but {file.name} has no such heading"


def slugs(text: str) -> set[str]:
    """The anchors that headings get."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
