"""Builds the documentation site and follows its links; fails on any warning. No network is asked.

python docs/building/build.py OUTPUT
"""

import sys
from pathlib import Path

from sphinx.cmd.build import build_main

sys.path.insert(0, str(Path(__file__).parents[1]))

from building import links

DOCS = Path(__file__).parents[1]


def main(output: Path) -> int:
    """Build all of it anew (Sphinx does not see a change of our hooks), check, say what is wrong; the exit status."""
    status = build_main(["-q", "-E", "-W", "--keep-going", "-b", "html", str(DOCS), str(output)])
    beside = [*DOCS.parent.glob("*.md"), *DOCS.glob("*.md")]
    found = [*links.problems(output), *links.markdown_problems(beside)]
    for problem in found:
        print(problem, file=sys.stderr)
    if not found and status == 0:
        print(output / "index.html")
    return status or int(bool(found))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
