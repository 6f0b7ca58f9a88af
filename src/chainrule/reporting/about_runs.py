"""The sections on runs: what they came to, what can be concluded, how they learnt, under which conditions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chainrule.comparing import compare
from chainrule.comparing.groups import check_comparable, scored
from chainrule.data import Dataset
from chainrule.errors import ChainruleError
from chainrule.reporting.about_conditions import differences
from chainrule.reporting.blocks import (
    Block,
    Cell,
    Curves,
    Dots,
    Headline,
    Line,
    Section,
    Sentences,
    Table,
    Words,
)
from chainrule.reporting.curves import lines, pairs, table
from chainrule.reporting.groups import Group, last_rows, main_metric, metrics_of, over_rows, over_seeds, part_of
from chainrule.text import number
from chainrule.training.metrics import greater_is_better

COLUMNS = 5
"""Options in which groups differ, as columns."""
DRAWN = 20
"""Groups drawn beside each other; the best ones where there are more."""
CROWD = 8
"""Groups beyond which the training rows' lines are hidden until they are asked for."""
TOLD = 12
"""Conclusions told; those that tell pairs apart first."""


def words_of(metric: str) -> str:
    """A column's name in words: "validation_label_accuracy" is "validation label accuracy"."""
    return metric.replace("_", " ")


def summary(groups: Sequence[Group]) -> Section:
    """The few numbers to see first, and a table of the groups."""
    rows = [row for group in groups for row in last_rows(group)]
    blocks: list[Block] = []
    if rows:
        column = f"{part_of(rows)}_{main_metric(rows)}"
        blocks += [_headline(groups, column), _table_of(groups, rows, column)]
        if len(groups) > 1:
            blocks.append(_means(groups, column))
    blocks.append(Sentences(tuple(_states(groups, rows))))
    return Section("summary", "Summary", tuple(blocks))


def _headline(groups: Sequence[Group], column: str) -> Headline:
    judged = [(over_seeds(group, column), group) for group in groups]
    found = [(value, group) for value, group in judged if value is not None]
    sign = -1.0 if greater_is_better(column) else 1.0
    (mean, interval), top = min(found, key=lambda one: sign * one[0][0])
    rows = over_rows(top, column, mean)
    shown = interval or rows
    over = "over seeds" if interval else "over rows"
    condition = f"95 % {over}: {number(shown.low)} to {number(shown.high)}" if shown else "one run, no interval"
    what = words_of(column) if len(groups) == 1 else f"{words_of(column)}, best of {len(groups)} groups"
    n = sum(len(group.subjects) for group in groups)
    items = [(what, number(mean), condition), ("runs", f"{n:,}", _seeds(groups))]
    if top.network is not None:
        layers = sum(name.endswith("W") for name in top.network.weights)
        items.append(("parameters", f"{top.network.n_parameters:,}", f"{layers} weight matrices"))
    seconds = [row["seconds"] for group in groups for one in group.subjects for row in one.history[-1:]]
    items.append(("training time", took(sum(seconds) / max(len(seconds), 1)), "a run, evaluations included"))
    return Headline(tuple(items))


def _seeds(groups: Sequence[Group]) -> str:
    if len(groups) > 1:
        return f"{len(groups)} groups that differ in more than the seed"
    seeds = [one.config.training.seed for one in groups[0].subjects]
    return (
        f"seed {seeds[0]}"
        if len(seeds) == 1
        else f"seeds {', '.join(map(str, seeds[:6]))}" + (" ..." if len(seeds) > 6 else "")
    )


def took(seconds: float) -> str:
    """A time in the unit that suits it."""
    return f"{seconds:.1f} s" if seconds < 90 else f"{seconds / 60:.1f} min" if seconds < 5400 else (
        f"{seconds / 3600:.1f} h"
    )  # fmt: skip


def _table_of(groups: Sequence[Group], rows: Sequence[Any], column: str) -> Table:
    part = part_of(rows)
    others = [f"{part}_{name}" for name in metrics_of(rows) if f"{part}_{name}" != column]
    differ = dict(list(differences(groups).items())[:COLUMNS])
    header = ("runs", *differ, "n", "parameters", words_of(column), "95 % over seeds", "95 % over rows",
              *map(words_of, others), "epochs")  # fmt: skip
    body: list[tuple[Cell, ...]] = []
    for i, group in enumerate(groups):
        value = over_seeds(group, column)
        own = [over_seeds(group, name) for name in others]
        epochs = over_seeds(group, "epoch")
        parameters = group.network.n_parameters if group.network else None
        body.append((
            group.name, *(values[i] for values in differ.values()), len(group.subjects), parameters,
            value[0] if value else None, value[1] if value else None,
            over_rows(group, column, value[0]) if value else None,
            *(one[0] if one else None for one in own), f"{epochs[0]:.4g}" if epochs else None,
        ))  # fmt: skip
    right = tuple(range(1 + len(differ), len(header)))
    note = "The options in which the groups differ stand first." if differ else ""
    return Table(header, tuple(body), right, "Means over the runs of each group", note)


def _means(groups: Sequence[Group], column: str) -> Dots:
    found = [(group, over_seeds(group, column)) for group in groups]
    known = [(group, value) for group, value in found if value is not None]
    if len(known) > DRAWN:
        sign = -1.0 if greater_is_better(column) else 1.0
        known = sorted(known, key=lambda one: sign * one[1][0])[:DRAWN]
    rows: tuple[tuple[Cell, ...], ...] = tuple((group.name, *value) for group, value in known)
    note = "Mean over the runs of each group, with Student's 95 % interval over seeds where there are several."
    if len(known) < len(found):
        note += f" The best {len(known)} of {len(found)}."
    return Dots(
        "groups", f"{words_of(column).capitalize()} of each group", note,
        Table(("runs", words_of(column), "95 % over seeds"), rows, (1, 2)),
        tuple(group.name for group, _ in known), tuple(value[0] for _, value in known),
        tuple(value[1] for _, value in known), words_of(column),
    )  # fmt: skip


def _states(groups: Sequence[Group], rows: Sequence[Any]) -> list[str]:
    found = []
    open_ = [one for group in groups for one in group.subjects if one.run is None]
    for one in open_[:5]:
        row = one.history[-1] if one.history else None
        come = f"at step {row['step']:,}, epoch {row['epoch']:.4g}" if row else "before its first row of history"
        found.append(f"{one.name}, seed {one.config.training.seed}, has not finished: {come}.")
    if len(open_) > 5:
        found.append(f"{len(open_) - 5} more runs have not finished.")
    for group in groups:
        for run in group.finished:
            if n := len(run.metrics["setbacks"]):
                found.append(
                    f"{group.name}, seed {run.config.training.seed}, diverged {n} time{'s' if n > 1 else ''} and went "
                    "back with half the learning rate."
                )
    kept = {run.metrics["kept"] for group in groups for run in group.finished}
    if "best" in kept:
        found.append(
            "The figures are of the best row of history, which the validation rows chose: they flatter it a little."
        )
    if rows and part_of(rows) == "train":
        found.append("There are no validation rows: these are figures of training rows, and say little about others.")
    return [*found, "The test rows were not read for this page."]


def conclusions(groups: Sequence[Group], data: Dataset | None, part: str = "validation") -> Section | None:
    """What can be concluded of each pair of groups, in sentences; None where there is nothing to compare."""
    ended = [group for group in groups if group.finished]
    if len(ended) < 2:
        return None
    title = "Conclusions"
    if data is None:
        return Section("conclusions", title, (Words("The data cannot be read, so the runs were not compared."),))
    try:
        check_comparable([(group.name, run) for group in ended for run in group.finished])
        judged = compare([scored(group.name, group.finished, part, data) for group in ended])
    except ChainruleError as error:
        return Section("conclusions", title, (Words(f"Not compared: {error}"),))
    told = [one.sentence for one in sorted(judged, key=lambda one: one.better is None)]
    n_better = sum(one.better is not None for one in judged)
    note = (
        f"Each pair on the same {part} rows; intervals and p-values count both seeds and rows, and the p-values are "
        "corrected for the number of pairs (Holm)."
    )
    few = told[:TOLD]
    if len(told) > len(few):
        few.append(f"Of {len(told):,} pairs, {n_better:,} could be told apart; chainrule compare lists all.")
    return Section("conclusions", title, (Words(note), Sentences(tuple(few))))


def learning(groups: Sequence[Group]) -> Section:
    """The curves of training: losses, metrics, learning rate, gradients, updates."""
    rows = [row for group in groups for one in group.subjects for row in one.history[:1]]
    if not rows:
        return Section("learning", "Learning", (Words("No row of history has been written yet."),))
    blocks: list[Block] = []
    for metric in metrics_of(rows):
        both = [line for part in ("train", "validation") for line in _of(groups, f"{part}_{metric}", part, part)]
        if both:
            note = "Evaluation mode; training rows (a fixed sample where there are many) dashed, validation rows solid."
            blocks.append(_curves(metric, words_of(metric).capitalize(), both, words_of(metric), note))
    rate = _of(groups, "lr", "", "learning rate")
    if rate:
        note = "The learning rate of the step before each row of history, by the schedule and any setback."
        blocks.append(_curves("learning-rate", "Learning rate", rate, "learning rate", note))
    norm = _of(groups, "gradient_norm", "", "gradient norm")
    if norm:
        note = "Norm of the gradient of the whole network at the last step before each row of history."
        blocks.append(_curves("gradient-norm", "Gradient norm", norm, "norm", note, log=True))
    return Section("learning", "Learning", (*blocks, *_by_layer(groups)))


def _of(groups: Sequence[Group], column: str, part: str, what: str) -> list[Line]:
    found = []
    for group in groups:
        name = what if len(groups) == 1 else f"{group.name}, {part}" if part else group.name
        colour = group.colour if len(groups) > 1 else int(part == "validation")
        found += lines([one.history for one in group.subjects], column, name, colour, dashed=part == "train")
    crowded = len(groups) > CROWD
    return [replace(line, hidden=crowded and line.dashed) for line in found]


def _curves(name: str, title: str, found: list[Line], label: str, note: str, *, log: bool = False) -> Curves:
    if any(line.low for line in found):
        note += " Lines are means over seeds, bands the range from the lowest to the highest."
    positive = all(y > 0 for line in found for y in line.y)
    return Curves(name, title, note, table(found), "step", label, tuple(found), log and positive)


LAYERED = (
    ("gradient_norms", "layer-gradients", "Gradient norm of each weight matrix", "norm",
     "Norm of the gradient of each weight matrix."),
    ("update_ratios", "update-ratios", "Update against weight of each matrix", "ratio",
     "Norm of an update over the norm of the weights that it changes; about 0.001 is usual: far less learns slowly, "
     "far more is unstable."),
)  # fmt: skip


def _by_layer(groups: Sequence[Group]) -> list[Curves]:
    """What was measured for each weight matrix, of the first run of each group."""
    found = []
    for column, name, title, label, note in LAYERED:
        each = []
        for group in groups:
            names = dict.fromkeys(key for row in group.first.history for key in row.get(column) or {})
            for place, key in enumerate(names):
                steps, values = pairs(group.first.history, column, key)
                shown = f"{group.name}, {key}" if len(groups) > 1 else key
                if steps:
                    each.append(Line(shown, steps, values, colour=place if len(groups) == 1 else group.colour))
        if each:
            several = any(len(group.subjects) > 1 for group in groups)
            told = note + (" Of the lowest seed of each group." if several else "")
            found.append(_curves(name, title, each, label, told, log=True))
    return found
