"""Evaluate and predict with finished runs."""

import json
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any, NamedTuple

import typer

from chainrule.cli.common import Data, Json, RunDirectory, app, show, warn
from chainrule.errors import ConfigError


class Evaluated(NamedTuple):
    """A run's figures, and the loss that one of them is of."""

    path: Path
    assessment: Any
    loss: Any


@app.command()
def evaluate(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Runs, or folders of seed-* runs.")],
    data: Data = None,
    split: Annotated[
        str, typer.Option("--split", help="test, validation or train rows of the run's own data.")
    ] = "test",
    best: Annotated[bool, typer.Option("--best", help="The best row's parameters instead of the model's.")] = False,
    as_json: Json = False,
) -> None:
    """Metrics of finished runs in evaluation mode over all rows of a part, with intervals."""
    from chainrule.comparing.groups import folders
    from chainrule.runs import assess_run, load_run

    if split not in ("test", "validation", "train"):
        raise ConfigError(f"--split {split!r}: expected test, validation or train")
    if data is not None and split != "test":
        raise ConfigError(f"--split {split} with --data: other data give their test rows, or all; leave --split out")
    named = [folder for path in runs for _, folder in folders(path)]
    found = list[Evaluated]()
    for path in named:
        run = load_run(path)
        assessment = assess_run(run, split, None if data is None else _read_as(run, data), best=best)
        found.append(Evaluated(path, assessment, run.model.loss))
    if len({tuple(one.assessment.metrics) for one in found}) > 1:
        raise ConfigError("the runs are of different tasks or metrics; evaluate them one by one")
    for one in found:
        for note in one.assessment.notes:
            warn(f"warning: {one.path}: {note}")
    if as_json:
        listed = [
            {"run": str(path), "part": a.part, "n": a.n, "metrics": a.metrics, "accuracy_interval_95": a.interval}
            for path, a, _ in found
        ]
        show(json.dumps(listed[0] if len(listed) == 1 else {"runs": listed, "mean": _means(found)}), data=True)
        return
    show(_evaluation(found))


def _read_as(run: Any, source: str) -> Any:
    """Other data with the target and categories of the run's own, where they are tables, and its task.

    Few rows would tell another one: prices that happen to be whole are no classes.
    """
    from chainrule.data.registry import names_in, useful_options
    from chainrule.data.streaming import Stream, open_data
    from chainrule.runs.other_data import target_among

    own, task = run.config.data, run.model.task
    names = names_in(source)
    target = own.target or target_among(run.model, source, names)
    # Few rows may hold as many words as an identifier does; what the model takes for words is told already.
    words = {*own.categorical, *(name for name in run.model.columns_of_words or () if name in names)}
    categorical = tuple(sorted(words))
    if target is not None:
        return open_data(source, Stream(), target=target, task=task, categorical=categorical)
    options = {"task": task, "categorical": categorical}
    return open_data(source, Stream(), **{name: options[name] for name in options.keys() & useful_options(source)})


def _means(found: list[Evaluated]) -> dict[str, dict[str, float]]:
    from chainrule.intervals import mean_interval
    from chainrule.training.metrics import bounds

    means = {}
    for name in found[0].assessment.metrics:
        values = [one.assessment.metrics[name] for one in found]
        mean, low, high = mean_interval(values, bounds(name, [one.loss for one in found]))
        means[name] = {"mean": mean, "low_95": low, "high_95": high, "runs": len(found)}
    return means


def _evaluation(found: list[Evaluated]) -> str:
    from chainrule.text import columns, number

    first = found[0].assessment
    names = list(first.metrics)
    header = ["run", "rows", "n", *names, *(["accuracy, 95 % over rows"] if first.interval else [])]
    rows = [
        [path, a.part, f"{a.n:,}", *(number(a.metrics[name]) for name in names),
         *([f"{a.interval[0]:.4f} to {a.interval[1]:.4f}"] if a.interval else [])]
        for path, a, _ in found
    ]  # fmt: skip
    lines = [columns(header, rows, right=range(2, 3 + len(names)))]
    if len(found) > 1:
        for name, m in _means(found).items():
            interval = f"[{m['low_95']:.4f}, {m['high_95']:.4f}]"
            lines.append(f"mean {name} of {len(found)} runs: {m['mean']:.4f}, 95 % interval over runs {interval}")
    return "\n".join(lines)


@app.command()
def predict(
    run: RunDirectory,
    rows: Annotated[
        Path, typer.Argument(metavar="INPUT", help="CSV, Parquet, Arrow, npy or npz with rows to predict.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write: .csv, .tsv, .json, .parquet, .arrow or .feather; "
                     "CSV on stdout if not given."),
    ] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Predict raw rows: one line each, the prediction and the scores behind it."""
    from chainrule.runs.directory import make_above
    from chainrule.runs.model import find_model
    from chainrule.runs.predictions import as_text, form, score_blocks, write_predictions

    suffix = form(output, as_json=as_json)
    if output is not None and output.exists() and rows.exists() and output.samefile(rows):
        raise ConfigError(f"output {output} is the file with the rows to predict; name another")
    model = find_model(run)
    blocks = score_blocks(model, rows)
    if output is None:
        _show_at_the_end(as_text(model, blocks, suffix))
        return
    first = list(islice(blocks, 1))  # what cannot be read is refused before a folder is made
    make_above(output)
    n = write_predictions(model, chain(first, blocks), output, suffix)
    warn(f"{n:,} rows predicted, written to {output}")


def _show_at_the_end(pieces: Iterator[str]) -> None:
    """All of a text, or nothing of it where making it fails; what is large waits on the disk."""
    with SpooledTemporaryFile(2**24, "w+", encoding="utf-8", newline="\n") as file:
        file.writelines(pieces)
        file.seek(0)
        for line in file:
            show(line.rstrip("\n"), data=True)
