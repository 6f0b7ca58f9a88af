"""The page of runs and studies, from what was asked for to sections in order."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from chainrule.errors import ConfigError
from chainrule.reporting.about_conditions import conditions
from chainrule.reporting.about_network import diagnosed, networks, predicted
from chainrule.reporting.about_runs import conclusions, learning, summary
from chainrule.reporting.about_study import study_sections
from chainrule.reporting.blocks import Figure, Page, Section, Words
from chainrule.reporting.curves import within_budget
from chainrule.reporting.groups import Group, groups_of, last_rows, main_metric, over_seeds, part_of
from chainrule.reporting.sources import Source, Subject, data_of, sources
from chainrule.runs.run import Given, Run
from chainrule.text import printable
from chainrule.training.metrics import greater_is_better

CLOSELY = 3
"""Groups whose network, predictions and diagnosis are shown; the best ones where there are more."""


def compose(asked: Sequence[Path | str | Run], data: Given = None, database: str | None = None) -> Page:
    """The facts of the page. data: what the runs were trained on, where it cannot be read again by its name.

    database: of a study whose ledger is not in its directory. Raises a DamagedError, ConfigError or DataError.
    """
    found = sources(asked)
    subjects = [one for source in found for one in source.runs]
    sections = list(run_sections(subjects, data)) if subjects else []
    studies = [source for source in found if source.study is not None]
    for i, source in enumerate(studies):
        apart = bool(subjects) or len(studies) > 1
        sections += _numbered(study_sections(source.study or Path(), data, database), i, source.name if apart else "")
    return within_budget(Page(_title(found), _subtitle(found, subjects), tuple(sections), _made()))


def _numbered(found: Sequence[Section], i: int, name: str) -> list[Section]:
    """With names of their own where the page has more than this study."""
    if not name:
        return list(found)
    own = f"study-{i + 1}-"
    return [
        Section(own + one.name, f"{one.title} · {name}", tuple(
            replace(block, name=own + block.name) if isinstance(block, Figure) else block for block in one.blocks
        )) for one in found
    ]  # fmt: skip


def run_sections(subjects: Sequence[Subject], given: Given) -> list[Section]:
    """All sections on runs."""
    groups = groups_of(subjects)
    data, why = data_of(groups[0].first, given)
    own = [group for group in groups if _same_data(group, groups[0])]
    close = closely(own)
    texts = []
    if len(own) < len(groups):
        n = len(groups) - len(own)
        texts.append(f"{n} of {len(groups)} groups had other data than the first, and have no part in what follows.")
    if len(close) < len(own):
        texts.append(f"Of {len(own)} groups, the {len(close)} best by their metric follow. Name fewer to see others.")
    notes = [Section("closely", "Looked at closely", tuple(map(Words, texts)))] if texts else []
    parts = [summary(groups), conclusions(groups, data), learning(groups), *notes, predicted(close, data, why),
             networks(close), diagnosed(close, data, why), conditions(groups, data, why)]  # fmt: skip
    return [one for one in parts if one is not None]


def _same_data(group: Group, other: Group) -> bool:
    return group.first.environment.get("data_sha256") == other.first.environment.get("data_sha256")


def closely(groups: Sequence[Group]) -> list[Group]:
    """The groups to look at closely, in their order."""
    if len(groups) <= CLOSELY:
        return list(groups)
    rows = [row for group in groups for row in last_rows(group)]
    if not rows:
        return list(groups[:CLOSELY])
    column = f"{part_of(rows)}_{main_metric(rows)}"
    sign = -1.0 if greater_is_better(column) else 1.0

    def place(group: Group) -> float:
        value = over_seeds(group, column)
        return sign * value[0] if value is not None else float("inf")

    best = sorted(groups, key=place)[:CLOSELY]
    return [group for group in groups if group in best]


def _title(found: Sequence[Source]) -> str:
    names = [source.name for source in found]
    return printable(names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more")


def _subtitle(found: Sequence[Source], subjects: Sequence[Subject]) -> str:
    n_studies = sum(source.study is not None for source in found)
    counted = [(len(subjects), "run", "runs"), (n_studies, "study", "studies")]
    return ", ".join(f"{n} {one if n == 1 else many}" for n, one, many in counted if n)


def _made() -> str:
    """The time that SOURCE_DATE_EPOCH names; without it the page has no date, and is the same whenever it is made."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not seconds:
        return ""
    try:
        return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        raise ConfigError(
            f"SOURCE_DATE_EPOCH is {seconds!r}; expected seconds since 1970, such as 1767225600"
        ) from None
