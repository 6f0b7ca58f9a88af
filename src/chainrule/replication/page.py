"""The replication as a page: conclusions first, then an experiment a section, each with its table and figures."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import compress
from typing import Any

from chainrule.diagnosis import Finding
from chainrule.replication.experiments import SHRINK, Experiment
from chainrule.replication.measured import Measured
from chainrule.reporting.about_conditions import conditions
from chainrule.reporting.about_rows import first_weights
from chainrule.reporting.about_runs import learning
from chainrule.reporting.blocks import (
    Block,
    Cell,
    Curves,
    Diagnosed,
    Figure,
    Heading,
    Headline,
    Interval,
    Line,
    Page,
    Point,
    Points,
    Section,
    Sentences,
    Table,
    Words,
)
from chainrule.reporting.curves import within_budget
from chainrule.reporting.groups import Group, groups_of
from chainrule.reporting.sources import sources

REPORTED = {
    ("defaults", "50"): "about 29 % (validation)",
    ("tuned", "350"): "58.6 % (validation), 57.5 % (first 1,000 test images)",
    ("two-layers", "50"): "51.4 % (validation)",
    ("best", "2000/700"): "55.10 % (validation), 59.00 % (first 1,000 test images)",
    ("table-1", "2000/700, dropout, batch norm"): "55.10 % (validation)",
    ("table-1", "700/400/100, dropout, batch norm"): "55 % (validation)",
    ("table-1", "700/400/100/300, batch norm"): "54.5 % (validation)",
    ("table-1", "700/400/100/300/200, batch norm"): "52.8 % (validation)",
}
"""What the report says, by experiment and network."""
LOOKED_AT = ("defaults", "tuned", "best")
"""Experiments of one network, whose learning curves and first weights are drawn."""
TILES = 48

Found = dict[tuple[str, str], Measured]


def composed(results: dict[str, Any], found: Found, asked: Sequence[Experiment]) -> Page:
    """All of it. results: what results.json holds."""
    groups = {key: _group(one) for key, one in found.items() if key[0] in LOOKED_AT}
    sections = [*_narrowed(asked), _conclusions(results), _gradients(results), _toy(results)]
    for one in asked:
        rows = [row for row in results["networks"] if row["experiment"] == one.name]
        blocks: list[Block] = [Words(_settings(one, rows)), _table(one, rows), *_drawn(one, results)]
        for (experiment, _), group in groups.items():
            if experiment == one.name:
                blocks += _looked_at(one.name, group)
        if one.name == "defaults":
            blocks += [Heading("Diagnosis, seed 0"), Diagnosed(tuple(Finding(**each) for each in results["diagnosis"]))]
        sections.append(Section(one.name, one.title, tuple(blocks)))
    sections.append(conditions(list(groups.values()), None, ""))
    data = results["data"]["name"]
    return within_budget(Page("The 2021 report, run again", f"{data}, {len(found)} networks", tuple(sections)))


def _narrowed(asked: Sequence[Experiment]) -> list[Section]:
    """What a reader of the quick replication must know first."""
    if not any(one.labels for one in asked):
        return []
    text = (
        "This is the quick replication: the embedded digits instead of CIFAR-10, hidden widths of 50 and more divided "
        f"by {SHRINK}, a tenth of the iterations. It shows how the replication goes, not the report's figures; "
        "what it says of a conclusion, it says of these small networks. The whole:"
    )
    return [Section("narrowed", "The quick replication", (Words(text, "chainrule replicate aml-hw1"),))]


def _group(one: Measured) -> Group:
    return groups_of([subject for source in sources(one.folders) for subject in source.runs])[0]


def _conclusions(results: dict[str, Any]) -> Section:
    judged = results["conclusions"]
    counts = [(verdict, sum(one["verdict"] == verdict for one in judged))
              for verdict in ("holds", "does not hold", "cannot be told with this n")]  # fmt: skip
    blocks: list[Block] = [Headline(tuple((verdict, str(n), f"of {len(judged)} conclusions") for verdict, n in counts))]
    for one in judged:
        blocks.append(Heading(f"{one['claim']}: {one['verdict']}"))
        blocks.append(Words(f"Tested {one['tested']}. {one['remark']}".strip()))
        blocks.append(Sentences(tuple(_difference(row) for row in one["differences"])))
    note = (
        "Differences are of test accuracy, in points; intervals hold seeds and rows; p-values are corrected for the "
        "number of comparisons under a claim (Holm). Nothing was chosen by the test rows."
    )
    return Section("conclusions", "What holds of its conclusions", (*blocks, Words(note)))


def _difference(row: dict[str, Any]) -> str:
    low, high = (100 * end for end in row["interval_95"])
    return f"{row['what']}: {100 * row['mean']:+.2f} [{low:+.2f}, {high:+.2f}], p = {row['p']:.2g}"


def _gradients(results: dict[str, Any]) -> Section:
    found = results["gradients"]
    rows = tuple((row["parameter"], row["against"], row["entries"], f"{row['error']:.1e}") for row in found["rows"])
    verdict = "as asked" if found["holds"] else "more than asked"
    text = f"Against central differences at most {found['largest']:.1e}; asked below {found['bound']:g}: {verdict}."
    header = ("parameter", "against", "entries", "largest relative error")
    return Section("gradients", "Gradients (question 2d)", (Table(header, rows, (2, 3)), Words(text)))


def _toy(results: dict[str, Any]) -> Section:
    toy = results["toy"]
    line = Line("objective", tuple(float(i + 1) for i in range(len(toy["curve"]))), tuple(toy["curve"]))
    rows = tuple((i + 1, toy["curve"][i]) for i in range(9, len(toy["curve"]), 10))
    reached = "reached" if toy["holds"] else "missed"
    note = f"Five rows, all in each step. Asked at most {toy['bound']}: {reached}, with {toy['last']:.4f} at the end."
    figure = Curves("toy", "A toy set learnt by heart", note, Table(("step", "objective"), rows, (0, 1)), "step",
                    "objective", (line,), log=True)  # fmt: skip
    return Section("toy-set", "A toy set learnt by heart (question 3a)", (figure,))


def _settings(one: Experiment, rows: Sequence[dict[str, Any]]) -> str:
    training, optimizer = one.train["training"], one.train["optimizer"]
    length = f"{training['iterations']:,} iterations" if "iterations" in training else f"{training['epochs']} epochs"
    decay = f"learning rate times {one.train['schedule']['decay']} each epoch"
    seeds, seconds = len(rows[0]["seeds"]), sum(row["seconds"] for row in rows) / len(rows)
    return (
        f"{length}, batch {training['batch_size']}, {optimizer['kind']} at {optimizer['lr']:g}, {decay}, penalty "
        f"{training['penalty']:g}; {seeds} seeds each, {seconds:.2g} s a run. Means over seeds, with Student's 95 % "
        "interval over them, and Wilson's over the rows; in evaluation mode unless a column says otherwise."
    )


def _table(one: Experiment, rows: Sequence[dict[str, Any]]) -> Table:
    test, first = (rows[0][key]["n_rows"] for key in ("test_accuracy", "test_accuracy_first_1000"))
    modes = any(row["validation_in_training_mode"] for row in rows)
    reported = not one.labels and any((one.name, row["network"]) in REPORTED for row in rows)
    header = ("network", "parameters", "training", "validation", "over seeds", "validation in training mode",
              f"test, {test:,} rows", "over seeds", "over rows", f"test, first {first:,}", "over seeds", "over rows",
              "the report says")  # fmt: skip
    kept = [True, True, True, True, True, modes, True, True, True, first < test, first < test, first < test, reported]
    body = [
        (row["label"], row["parameters"], row["train_accuracy"]["mean"], row["validation_accuracy"]["mean"],
         _seeds(row["validation_accuracy"]), (row["validation_in_training_mode"] or {}).get("mean"),
         *_tested(row["test_accuracy"]), *_tested(row["test_accuracy_first_1000"]),
         REPORTED.get((one.name, row["network"]), ""))
        for row in rows
    ]  # fmt: skip
    numbers = tuple(range(1, sum(kept) - reported))
    return Table(tuple(compress(header, kept)), tuple(tuple(compress(line, kept)) for line in body), numbers)


def _seeds(found: dict[str, Any]) -> Interval | None:
    return Interval(*found["over_seeds"]) if found["over_seeds"] else None


def _tested(found: dict[str, Any]) -> tuple[Cell, Cell, Cell]:
    return found["mean"], _seeds(found), Interval(*found["over_rows"])


def _drawn(one: Experiment, results: dict[str, Any]) -> list[Block]:
    """Accuracy against what varies: hidden size, with the report's mislabelled curve beside it, or depth."""

    def point(row: dict[str, Any], x: float, *, apart: bool) -> Point:
        found = row["test_accuracy"]
        return Point(x, found["mean"], _seeds(found), apart, f"{row['label']}: {found['mean']:.4f}")

    def of(name: str) -> list[dict[str, Any]]:
        return [row for row in results["networks"] if row["experiment"] == name]

    if one.name == "sweep":
        sizes = [float(one.label(name)) for name in one.networks]
        points = [point(row, x, apart=False) for row, x in zip(of("sweep"), sizes, strict=True)]
        points += [point(row, x, apart=True) for row, x in zip(of("sweep-as-run"), sizes, strict=True)]
        kinds = ("as they were meant", "as the report's code ran and labelled them")
        title = "The report's hidden-size graph, true and as drawn"
        return [_points("hidden-size", title, points, "hidden units", kinds)]
    if one.name == "depth":
        points = [point(row, float(row["network"].split()[0]), apart="He" not in row["network"]) for row in of("depth")]
        kinds = ("He's initial weights", "deviation 1e-3, as the report's")
        return [_points("depth", "Accuracy by depth and initial weights", points, "linear layers", kinds)]
    return []


def _points(name: str, title: str, points: Sequence[Point], x: str, kinds: tuple[str, ...]) -> Points:
    rows = tuple((point.words, point.y, point.interval) for point in points)
    note = "Test accuracy, means over seeds with Student's 95 % intervals."
    marks = tuple(sorted({point.x for point in points}))
    table = Table(("network", "test accuracy", "over seeds"), rows, (1, 2))
    return Points(f"accuracy-{name}", title, note, table, tuple(points), x, "test accuracy", marks=marks, kinds=kinds)


def _looked_at(name: str, group: Group) -> list[Block]:
    blocks = [*learning([group]).blocks, *first_weights(group, TILES, "")]
    return [replace(one, name=f"{name}-{one.name}") if isinstance(one, Figure) else one for one in blocks]
