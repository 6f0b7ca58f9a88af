"""The results as one page of Markdown."""

from collections.abc import Sequence
from itertools import compress
from typing import Any

from chainrule.replication.experiments import Experiment

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


def markdown(results: dict[str, Any], asked: Sequence[Experiment]) -> str:
    """All of it: conditions, conclusions, an experiment each."""
    parts = [_head(results), _conclusions(results), _gradients(results), _toy(results)]
    for one in asked:
        rows = [row for row in results["networks"] if row["experiment"] == one.name]
        parts.append(_experiment(one, rows))
        if one.name == "defaults":
            parts.append(_diagnosis(results))
    return "\n\n".join(parts) + "\n"


def _head(results: dict[str, Any]) -> str:
    about, data = results["environment"], results["data"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items() if version)
    return (
        "# The 2021 report, run again\n\n"
        f"Data: {data['name']} (SHA-256 {data['sha256'][:16]}). {about['cpu']}, {about['cores']} cores, "
        f"{about['threads']} threads a run; {versions}.\n\n"
        "Accuracies are means over seeds; [in brackets] Student's 95 % interval over seeds, (in parentheses) Wilson's "
        "over the rows. Validation and test are in evaluation mode unless a column says otherwise. Nothing was chosen "
        "by the test rows."
    )


def _conclusions(results: dict[str, Any]) -> str:
    lines = ["## What holds of its conclusions", ""]
    for one in results["conclusions"]:
        lines += [f"- **{one['claim']}: {one['verdict']}.** Tested {one['tested']}. {one['remark']}".rstrip()]
        lines += [f"  - {row['what']}: {100 * row['mean']:+.2f} points "
                  f"[{100 * row['interval_95'][0]:+.2f}, {100 * row['interval_95'][1]:+.2f}], p = {row['p']:.2g}"
                  for row in one["differences"]]  # fmt: skip
    note = (
        "Differences are of test accuracy; intervals hold seeds and rows; p-values are corrected for the number of "
        "comparisons under a claim (Holm)."
    )
    return "\n".join([*lines, "", note])


def _gradients(results: dict[str, Any]) -> str:
    found = results["gradients"]
    rows = [[row["parameter"], row["against"], row["entries"], f"{row['error']:.1e}"] for row in found["rows"]]
    verdict = "as asked" if found["holds"] else "more than asked"
    return (
        "## Gradients (question 2d)\n\n"
        + table(["parameter", "against", "entries", "largest relative error"], rows)
        + f"\n\nAgainst central differences at most {found['largest']:.1e}; asked below {found['bound']:g}: {verdict}."
    )


def _toy(results: dict[str, Any]) -> str:
    toy = results["toy"]
    every = toy["curve"][9::10]
    return (
        "## A toy set learnt by heart (question 3a)\n\n"
        f"Loss after 100 steps {toy['last']:.4f}; asked at most {toy['bound']}: "
        f"{'reached' if toy['holds'] else 'missed'}. "
        f"After 10, 20, ... steps: {', '.join(f'{value:.3f}' for value in every)}."
    )


def _experiment(one: Experiment, rows: Sequence[dict[str, Any]]) -> str:
    test, first = (rows[0][key]["n_rows"] for key in ("test_accuracy", "test_accuracy_first_1000"))
    modes = any(row["validation_in_training_mode"] for row in rows)
    reported = any((one.name, row["network"]) in REPORTED for row in rows)
    header = ["network", "parameters", "training", "validation", "validation in training mode", f"test, {test:,} rows",
              f"test, first {first:,}", "the report says"]  # fmt: skip
    body = [
        [row["network"], f"{row['parameters']:,}", share(row["train_accuracy"]), share(row["validation_accuracy"]),
         share(row["validation_in_training_mode"]), share(row["test_accuracy"]), share(row["test_accuracy_first_1000"]),
         REPORTED.get((one.name, row["network"]), "")]
        for row in rows
    ]  # fmt: skip
    kept = [True, True, True, True, modes, True, first < test, reported]
    seeds, seconds = len(rows[0]["seeds"]), sum(row["seconds"] for row in rows) / len(rows)
    return (
        f"## {one.title}\n\n{_settings(one)}; {seeds} seed{'s' if seeds > 1 else ''} each, {seconds:.0f} s a run.\n\n"
        + table([*compress(header, kept)], [[*compress(line, kept)] for line in body])
    )


def _settings(one: Experiment) -> str:
    training, optimizer = one.train["training"], one.train["optimizer"]
    length = f"{training['iterations']:,} iterations" if "iterations" in training else f"{training['epochs']} epochs"
    decay = one.train["schedule"].get("decay")
    decays = f", decay {decay} an epoch" if decay else ", cosine schedule"
    return f"{length}, batch {training['batch_size']}, {optimizer['kind']} at {optimizer['lr']:g}{decays}"


def _diagnosis(results: dict[str, Any]) -> str:
    lines = ["What `chainrule diagnose` says of the default network, seed 0:", ""]
    lines += [] if results["diagnosis"] else ["- nothing that looks unhealthy"]
    for one in results["diagnosis"]:
        where = f", {one['where']}" if one["where"] else ""
        lines.append(f"- {one['severity']}: {one['name']}{where}. {one['measured']} {one['why']} {one['change']}")
    return "\n".join(lines)


def share(found: dict[str, Any] | None) -> str:
    """A mean accuracy with its intervals."""
    if found is None:
        return ""
    text = f"{found['mean']:.4f}"
    if found["over_seeds"]:
        text += f" [{found['over_seeds'][0]:.4f}, {found['over_seeds'][1]:.4f}]"
    if "over_rows" in found:
        text += f" ({found['over_rows'][0]:.4f} to {found['over_rows'][1]:.4f})"
    return text


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown's."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
