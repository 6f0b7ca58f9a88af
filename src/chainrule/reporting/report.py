"""The report as one text."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from chainrule.data import Dataset
from chainrule.errors import ConfigError
from chainrule.reporting.compose import compose
from chainrule.reporting.markdown import markdown
from chainrule.reporting.page import html
from chainrule.runs.run import Run

Subject = Path | str | Run


def report(
    about: Subject | Sequence[Subject],
    data: Dataset | None = None,
    *,
    format: Literal["html", "md"] = "html",  # noqa: A002
    database: str | None = None,
) -> str:
    """A page on runs, folders of seed-* runs and studies: one HTML file that needs nothing else, or Markdown.

    data: what the runs were trained on, where it cannot be read again by its name. database: of a study whose ledger is
    not in its directory. Raises a ConfigError for a path that holds none, a DamagedError for a run that is not as it
    was written.

    >>> from chainrule import mlp, read, train
    >>> "## Learning" in report(train(mlp([16]), read("digits")), format="md")
    True
    """
    if format not in ("html", "md"):
        raise ConfigError(f"format {format!r}: expected html or md")
    asked = [about] if isinstance(about, (str, Path, Run)) else list(about)
    page = compose(asked, data, database)
    return html(page) if format == "html" else markdown(page)
