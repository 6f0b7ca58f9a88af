"""The sections on a study: finalists, what can be concluded, how the metric depends on each option, every trial."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

from chainrule.comparing import compare, gather
from chainrule.errors import ChainruleError
from chainrule.reporting.about_conditions import at, conditions
from chainrule.reporting.about_network import diagnosed, networks, predicted
from chainrule.reporting.about_runs import learning, took, words_of
from chainrule.reporting.blocks import (
    Block,
    Cell,
    Code,
    Curves,
    Dots,
    Headline,
    Interval,
    Line,
    Section,
    Sentences,
    Table,
    Words,
)
from chainrule.reporting.curves import summary as summary_table
from chainrule.reporting.groups import groups_of, interval
from chainrule.reporting.options import against_each, parallel, seeds_interval
from chainrule.reporting.sources import data_of, subject
from chainrule.runs.run import Given
from chainrule.study.conduct import best, opened, ranked, run_folders
from chainrule.study.config import Study, short, shown
from chainrule.study.importance import importances, nothing_to_explain
from chainrule.study.ledger import Trial
from chainrule.text import number

LISTED = 100
"""Trials in a table; the ledger has them all."""
DRAWN = 40
"""Learning curves drawn."""


@dataclass(frozen=True, eq=False)
class Ledgered:
    """What the ledger says. every: all trials. trials, finalists: of the last search. readings: of the test rows."""

    study: Study
    directory: Path
    every: list[Trial]
    trials: list[Trial]
    finalists: list[Trial]
    readings: list[dict[str, Any]]
    searches: int
    environment: dict[str, Any]


def ledgered(directory: Path, database: str | None) -> Ledgered:
    """The study in `directory`, also while it runs."""
    study, ledger = opened(directory, database)
    with closing(ledger):
        every = ledger.trials()
        last = max((one.search for one in every), default=0)
        own = [one for one in every if one.search == last]
        about = next((found for one in own if (found := ledger.environment(one))), {})
        return Ledgered(
            study, directory, every, [one for one in own if one.finalist_of is None],
            [one for one in own if one.finalist_of is not None], ledger.readings(), last + 1, about,
        )  # fmt: skip


def study_sections(directory: Path, given: Given, database: str | None) -> list[Section]:
    """All sections on a study."""
    found = ledgered(directory, database)
    if not found.trials:
        return [Section("summary", "Summary", (Words("The study has no trials yet."),))]
    parts = [
        _summary(found), _finalists(found), _conclusions(found, given, database),
        against_each(found.study, found.trials, found.finalists), parallel(found.study, found.trials),
        _importance(found, database), _trials(found), *_best_finalist(found, given), _conditions(found),
    ]  # fmt: skip
    return [one for one in parts if one is not None]


def tested(found: Ledgered, trial: Trial) -> dict[str, tuple[float, Interval | None, int]]:
    """Metrics of a finalist on the test rows as last read: mean, interval over seeds, rows."""
    for reading in reversed(found.readings):
        for entry in reading["result"]["finalists"]:
            if entry["trial"] == trial.number:
                values = {name: [run["metrics"][name] for run in entry["runs"]] for name in entry["runs"][0]["metrics"]}
                n, losses = entry["runs"][0]["n"], found.study.losses(trial.params)
                return {name: (fmean(own), interval(own, name, losses), n) for name, own in values.items()}
    return {}


def _over_seeds(between: Interval) -> str:
    return f"95 % over seeds: {number(between.low)} to {number(between.high)}"


def _summary(found: Ledgered) -> Section:
    trials, study = found.trials, found.study
    states = {state: sum(one.state == state for one in trials) for state in ("finished", "pruned", "failed", "running")}
    told = ", ".join(f"{n} {state}" for state, n in states.items() if n)
    items = [("trials", f"{len(trials):,}", told)]
    ordered = best(study, found.finalists, 1) or best(study, trials, 1)
    if ordered:
        top, fresh = ordered[0], bool(best(study, found.finalists, 1))
        found_between = seeds_interval(study, top)
        condition = _over_seeds(found_between) if found_between else shown(top.params)
        kind = "best finalist, fresh seeds" if fresh else "best candidate, chosen on these rows"
        items.insert(0, (f"{words_of(study.metric)}, {kind}", number(top.value or 0.0), condition))
        for name, (mean, between, n) in list(tested(found, top).items()):
            if name == study.metric.partition("_")[2]:
                over = f"{number(between.low)} to {number(between.high)}" if between else "one seed"
                items.insert(1, (f"test {words_of(name)}, best finalist", number(mean), f"{over}; {n:,} rows"))
    items.append(("epochs", f"{sum(one.epochs for one in trials):,.4g}", "of all trials"))
    items.append(("time of trials", took(sum(one.seconds for one in trials)), "all workers together"))
    told_ = [f"Searched by {study.options.search.sampler}, judged by {words_of(study.metric)}; pruning: "
             f"{study.options.pruning.kind}."]  # fmt: skip
    if found.searches > 1:
        told_.append(f"{found.searches - 1} earlier searches of other spaces are kept apart in the ledger.")
    told_.append(_reading(found))
    return Section("summary", "Summary", (Headline(tuple(items)), Sentences(tuple(told_))))


def _reading(found: Ledgered) -> str:
    if not found.readings:
        return "The test rows have not been read."
    times = "once" if len(found.readings) == 1 else f"{len(found.readings)} times, so they are no longer unseen"
    return f"The test rows have been read {times}: {', '.join(at(one['at']) for one in found.readings)}."


def _candidates(found: Ledgered, trials: Sequence[Trial], title: str, *, folded: bool = False) -> Table:
    """A line a trial: values, metric with its interval over seeds, test figures where they were read."""
    paths = [parameter.path for parameter in found.study.space]
    tests = {one.number: tested(found, one) for one in trials}
    names = list(dict.fromkeys(name for one in tests.values() for name in one))
    header = ["trial", *paths, words_of(found.study.metric), "95 % over seeds", "seeds"]
    header += [text for name in names for text in (f"test {words_of(name)}", "95 %")]
    rows: list[tuple[Cell, ...]] = []
    for one in trials:
        mine = tests[one.number]
        figures = [cell for name in names for cell in (mine[name][:2] if name in mine else (None, None))]
        rows.append((one.number, *(short(one.params.get(path, "")) for path in paths),
                     one.value if one.value is not None else one.state,
                     seeds_interval(found.study, one), len(one.seed_values) or None,
                     *figures))  # fmt: skip
    right = (0, *range(1 + len(paths), len(header)))
    return Table(tuple(header), tuple(rows), right, title, folded=folded)


def _finalists(found: Ledgered) -> Section | None:
    if not found.finalists:
        return None
    ordered = ranked(found.study, found.finalists)
    ordered += [one for one in found.finalists if one not in ordered]
    note = (
        "The best candidates, trained again with seeds that had no part in the choice. These figures, not those of the "
        "search, say what to expect."
    )
    blocks: list[Block] = [Words(note), _candidates(found, ordered, "Finalists")]
    known = [one for one in ordered if one.value is not None]
    if known:
        labels = tuple(f"finalist {one.number}" for one in known)
        values = tuple(one.value or 0.0 for one in known)
        intervals = tuple(seeds_interval(found.study, one) for one in known)
        table = Table(("finalist", words_of(found.study.metric), "95 % over seeds"),
                      tuple(zip(labels, values, intervals, strict=True)), (1, 2))  # fmt: skip
        blocks.append(Dots("finalists", f"{words_of(found.study.metric).capitalize()} of the finalists",
                           "Mean over fresh seeds with Student's 95 % interval.", table, labels, values, intervals,
                           words_of(found.study.metric)))  # fmt: skip
    return Section("finalists", "Finalists", tuple(blocks))


def _conclusions(found: Ledgered, given: Given, database: str | None) -> Section | None:
    """Of the finalists, on the test rows where a reading of them is entered, else on the validation rows."""
    if sum(one.state == "finished" for one in found.finalists) < 2:
        return None
    judged = all(tested(found, one) for one in found.finalists if one.state == "finished")
    part = "test" if judged and found.readings else "validation"
    try:
        pairs = compare(gather([found.directory], part, given, database))
    except ChainruleError as error:
        return Section("conclusions", "Conclusions", (Words(f"Not compared: {error}"),))
    told = [_named(found, one.sentence) for one in pairs]
    note = (
        f"Each pair on the same {part} rows; intervals and p-values count both seeds and rows, and the p-values are "
        "corrected for the number of pairs (Holm)."
    )
    return Section("conclusions", "Conclusions", (Words(note), Sentences(tuple(told))))


def _named(found: Ledgered, sentence: str) -> str:
    """The sentence with finalists by their numbers, which the table explains."""
    for one in sorted(found.finalists, key=lambda one: -len(shown(one.params))):
        sentence = sentence.replace(f"{found.directory.name}: {shown(one.params)}", f"finalist {one.number}")
    return sentence


def _importance(found: Ledgered, database: str | None) -> Section | None:
    if len(found.study.space) < 2:
        return None
    finished = [one for one in found.trials if one.state == "finished"]
    if (why := nothing_to_explain(found.study, finished)) is not None:
        return Section("importance", "Importance", (Words(f"{why}."),))
    shares = importances(found.directory, database)
    note = (
        "Shares that sum to 1, by PED-ANOVA (Watanabe 2023): what sets the better tenth of the finished trials apart "
        "from the rest. A share says that an option mattered in this space, not which value is good."
    )
    table = Table(("option", "importance"), tuple(shares.items()), (1,))
    bars = Dots("importance", "Importance of each option", note, table, tuple(shares), tuple(shares.values()),
                (None,) * len(shares), "share", bars=True)  # fmt: skip
    return Section("importance", "Importance", (bars,))


def _trials(found: Ledgered) -> Section:
    study, trials = found.study, found.trials
    ordered = ranked(study, trials)
    note = "By their metric, which chose them, so the best are flattered."
    words = Words(note if ordered else "No trial has finished.")
    if len(ordered) > LISTED:
        words = Words(f"{note} The best {LISTED} of {len(ordered)}; all of them:", "chainrule trials STUDY")
    blocks: list[Block] = [words]
    if ordered:
        blocks.append(_candidates(found, ordered[:LISTED], "Finished trials", folded=len(ordered) > 12))
    chart = _curves(found, [*ordered, *(one for one in trials if one not in ordered)][:DRAWN])
    if chart is not None:
        blocks.insert(0, chart)
    paths = [parameter.path for parameter in study.space]
    for state in ("pruned", "failed", "running"):
        some = [one for one in trials if one.state == state]
        if not some:
            continue
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (one.number, *(short(one.params.get(path, "")) for path in paths), len(one.curve),
             one.curve[-1] if one.curve and isfinite(one.curve[-1]) else None, one.reason or "")
            for one in some[:LISTED]
        )  # fmt: skip
        header = ("trial", *paths, "rows", f"last {words_of(study.metric)}", "reason")
        right = (0, len(paths) + 1, len(paths) + 2)
        more = f" (the first {LISTED} of {len(some)})" if len(some) > LISTED else ""
        blocks.append(Table(header, rows, right, f"{state.capitalize()} trials{more}", folded=len(some) > 12))
    return Section("trials", "Trials", tuple(blocks))


def _curves(found: Ledgered, trials: Sequence[Trial]) -> Curves | None:
    """The metric of trials over their rows of history."""
    metric = words_of(found.study.metric)
    lines = []
    for one in trials:
        at = [(float(i), y) for i, y in enumerate(one.curve, 1) if isfinite(y)]
        if len(at) > 1:
            x, y = zip(*at, strict=True)
            colour = {"finished": 0, "pruned": 1, "failed": 3}.get(one.state, 2)
            lines.append(Line(f"trial {one.number}, {one.state}", x, y, colour=colour, dashed=one.state != "finished"))
    if not lines:
        return None
    note = f"{metric.capitalize()} at each row of history, first seed; pruned trials end early, dashed."
    if len(found.trials) > len(trials):
        note += f" {len(trials)} of {len(found.trials)} trials, the best first."
    return Curves("trial-curves", "Learning curves of the trials", note, summary_table(lines), "row of history", metric,
                  tuple(lines))  # fmt: skip


def _best_finalist(found: Ledgered, given: Given) -> list[Section]:
    """The runs of the best finalist, or of the best trial, looked at closely."""
    ordered = best(found.study, found.finalists, 1) or best(found.study, found.trials, 1)
    if not ordered:
        return []
    folders = run_folders(found.directory, ordered[0])
    if not folders:
        return []
    name = f"trial {ordered[0].number}: {shown(ordered[0].params)}"
    groups = groups_of([subject(name, folder) for folder in folders])
    data, why = data_of(groups[0].first, given)
    which = "best finalist" if found.finalists else "best trial"
    intro = Section("best", f"The {which}", (Words(f"Looked at closely: {name}."),))
    parts = [learning(groups), predicted(groups, data, why), networks(groups), diagnosed(groups, data, why),
             conditions(groups, data, why)]  # fmt: skip
    return [intro, *(replace(one, title=f"{one.title} of the {which}") for one in parts if one is not None)]


def _conditions(found: Ledgered) -> Section | None:
    """The study as written; where there are runs, their own conditions stand above."""
    import tomli_w

    return Section("study", "The study as written", (Code("study.toml", tomli_w.dumps(found.study.plain)),))
