"""The command line: parse, call, print, exit code. Results go to stdout, progress and log to stderr."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule.errors import ChainruleError, ConfigError

app = typer.Typer(
    name="chainrule",
    help="Write a fully-connected network down, prove its gradients, train it, read the result.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="List, describe and fetch data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

ConfigFile = Annotated[Path | None, typer.Argument(metavar="CONFIG.toml", help="Configuration; defaults if left out.")]
RunDirectory = Annotated[Path, typer.Argument(metavar="RUN", help="Directory that `train` wrote.")]
Data = Annotated[str | None, typer.Option("--data", metavar="NAME|PATH", help="A named data set, or files.")]
Changes = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change one option, e.g. optimizer.lr=3e-4.")
]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Json = Annotated[bool, typer.Option("--json", help="Print one machine-readable object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]


def main() -> None:
    """Run the command line; errors of ours end with one message and their own exit code."""
    try:
        app()
    except ChainruleError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except MemoryError as error:
        print(f"error: not enough memory: {error}. Make the network or the batch smaller.", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _print(text: str = "") -> None:
    print(text)  # noqa: T201


def _warn(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        _print(f"chainrule {version('chainrule')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before any command."""


def _changes(changes: list[str], data: str | None, seed: int | None, device: str | None) -> list[str]:
    quoted = [f"data.source={json.dumps(data)}"] if data is not None else []
    seeded = [f"training.seed={seed}"] if seed is not None else []
    placed = [f"compute.device={json.dumps(device)}"] if device is not None else []
    return [*changes, *quoted, *seeded, *placed]


@app.command()
def train(
    config: ConfigFile = None,
    data: Data = None,
    changes: Changes = [],  # noqa: B006
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Run directory; runs/NAME-N if not given.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Seed of weights, batches and dropout.")] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Train so many runs, with this seed and the next ones.")
    ] = 1,
    device: Device = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in the output directory.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network by a configuration; without one, on the embedded digits."""
    from chainrule.runs.progress import PlainProgress, progress
    from chainrule.runs.train import check_free, read_data, train_config
    from chainrule.training import load
    from chainrule.training.config import with_seed

    options = load(config, _changes(changes, data, seed, device))
    output = _free_name(config.stem if config else Path(options.data.source).stem) if output is None else output
    first = options.training.seed
    folders = [output / f"seed-{s}" if seeds > 1 else output for s in range(first, first + seeds)]
    for folder in folders:
        check_free(folder, overwrite)
    rows, runs = read_data(options.data), []
    for s, folder in enumerate(folders, start=first):
        with PlainProgress(silent=True) if quiet else progress() as shown:
            own = with_seed(options, s)
            runs.append(train_config(own, folder, data=rows, overwrite=overwrite, hooks=(shown,), track=shown.track))
    if as_json:
        found = [{"run": str(run.directory), "seed": run.config.training.seed} | run.metrics for run in runs]
        _print(json.dumps(found[0] if seeds == 1 else found))
        return
    _print(_summary(runs))


def _free_name(stem: str) -> Path:
    n = 1
    while (Path("runs") / f"{stem}-{n}").exists():
        n += 1
    return Path("runs") / f"{stem}-{n}"


def _summary(runs: list[Any]) -> str:
    from chainrule.text import columns, number

    measured = [name for name in runs[0].metrics["model"] if name not in ("step", "epoch")]
    rows = [
        [run.directory, run.config.training.seed, f"{run.metrics['model']['epoch']:.4g}",
         *(number(run.metrics["model"][name]) for name in measured), f"{run.metrics['seconds']:.1f}"]
        for run in runs
    ]  # fmt: skip
    table = columns(["run", "seed", "epoch", *(name.replace("_", " ") for name in measured), "seconds"], rows,
                    right=range(1, len(measured) + 4))  # fmt: skip
    first = runs[0].directory if len(runs) == 1 else f"{runs[0].directory.parent}/seed-*"
    return f"{table}\nThe test rows were not read. Next: chainrule evaluate {first}"


@app.command()
def evaluate(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Directories that `train` wrote.")],
    data: Data = None,
    split: Annotated[
        str, typer.Option("--split", help="test, validation or train rows of the run's own data.")
    ] = "test",
    best: Annotated[bool, typer.Option("--best", help="The best row's parameters instead of the model's.")] = False,
    as_json: Json = False,
) -> None:
    """Metrics of finished runs in evaluation mode over all rows of a part, with intervals."""
    from chainrule.data import read
    from chainrule.runs import assess_run, load_run

    if split not in ("test", "validation", "train"):
        raise ConfigError(f"--split {split!r}: expected test, validation or train")
    if data is not None and split != "test":
        raise ConfigError(f"--split {split} with --data: other data give their test rows, or all; leave --split out")
    other = None if data is None else read(data)
    found = [(path, assess_run(load_run(path), split, other, best=best)) for path in runs]
    if len({tuple(assessment.metrics) for _, assessment in found}) > 1:
        raise ConfigError("the runs are of different tasks or metrics; evaluate them one by one")
    for path, assessment in found:
        for note in assessment.notes:
            _warn(f"warning: {path}: {note}")
    if as_json:
        listed = [
            {"run": str(path), "part": a.part, "n": a.n, "metrics": a.metrics, "accuracy_interval_95": a.interval}
            for path, a in found
        ]
        _print(json.dumps(listed[0] if len(listed) == 1 else {"runs": listed, "mean": _means(found)}))
        return
    _print(_evaluation(found))


def _means(found: list[tuple[Path, Any]]) -> dict[str, dict[str, float]]:
    from chainrule.intervals import mean_interval

    means = {}
    for name in found[0][1].metrics:
        mean, low, high = mean_interval([a.metrics[name] for _, a in found])
        means[name] = {"mean": mean, "low_95": low, "high_95": high, "runs": len(found)}
    return means


def _evaluation(found: list[tuple[Path, Any]]) -> str:
    from chainrule.text import columns, number

    names = list(found[0][1].metrics)
    header = ["run", "rows", "n", *names, *(["accuracy, 95 % over rows"] if found[0][1].interval else [])]
    rows = [
        [path, a.part, f"{a.n:,}", *(number(a.metrics[name]) for name in names),
         *([f"{a.interval[0]:.4f} to {a.interval[1]:.4f}"] if a.interval else [])]
        for path, a in found
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
    output: Annotated[Path | None, typer.Option("--output", "-o", help="CSV file; stdout if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Predict raw rows: one line each, the prediction and the scores behind it."""
    from chainrule.data.readers import read_rows
    from chainrule.runs import load_model
    from chainrule.runs.files import write
    from chainrule.runs.predictions import as_csv, as_records

    folder = run / "model" if (run / "model").is_dir() else run
    model = load_model(folder)
    X = read_rows(rows, model.feature_names, model.network.widths[0])
    scores = model.scores(X)
    text = json.dumps(as_records(model, scores)) if as_json else as_csv(model, scores)
    if output is None:
        _print(text.rstrip("\n"))
    else:
        write(output, text.encode())
        _warn(f"{len(X):,} rows predicted, written to {output}")


@app.command()
def check(
    subject: Annotated[
        Path | None, typer.Argument(metavar="CONFIG|RUN", help="What to check; all built-in layers if left out.")
    ] = None,
    data: Data = None,
    changes: Changes = [],  # noqa: B006
    rows: Annotated[int, typer.Option("--rows", min=2, help="Training rows the network is checked on.")] = 8,
    entries: Annotated[
        int, typer.Option("--entries", min=1, help="Entries of each array for central differences.")
    ] = 8,
    as_json: Json = False,
) -> None:
    """Prove the gradients of a network as configured; without one, of every built-in layer and loss."""
    from chainrule.verify import passed, table

    if subject is None and data is None and not changes:
        from chainrule.verify.builtin import check_builtin

        findings = check_builtin(entries)
    else:
        from chainrule.verify.configured import check_config

        path = subject / "config.toml" if subject is not None and subject.is_dir() else subject
        findings = check_config(path, _changes(changes, data, None, None), rows, entries)
    if as_json:
        _print(json.dumps([finding._asdict() | {"verdict": finding.verdict} for finding in findings]))
    else:
        failed = sum(finding.verdict == "FAIL" for finding in findings)
        _print(table(findings))
        _print(f"{len(findings)} gradients compared, {failed} failed")
    if not passed(findings):
        raise typer.Exit(1)


@data_app.command("list")
def data_list(as_json: Json = False) -> None:
    """The data sets known by name."""
    from chainrule.data.registry import NAMES
    from chainrule.text import columns

    if as_json:
        _print(json.dumps({name: {"title": known.title, "rows": known.rows} for name, known in NAMES.items()}))
        return
    rows = [[name, known.title, f"{known.rows:,}", "x".join(map(str, known.row_shape)), known.classes]
            for name, known in NAMES.items()]  # fmt: skip
    _print(columns(["name", "title", "rows", "shape", "classes"], rows, right=(2, 4)))


@data_app.command("info")
def data_info(source: Annotated[str, typer.Argument(metavar="NAME|PATH")], target: Annotated[str | None, typer.Option(
        "--target", help="Target column of a table.")] = None, as_json: Json = False) -> None:  # fmt: skip
    """Read a data set, check it and describe it."""
    from chainrule.data import read
    from chainrule.data.describe import described
    from chainrule.text import columns

    facts = described(read(source, target=target))
    _print(json.dumps(facts) if as_json else columns(["fact", "value"], [[k, v] for k, v in facts.items()]))


@data_app.command("fetch")
def data_fetch(
    name: str, path: Annotated[Path | None, typer.Option("--path", help="Folder to put it in.")] = None
) -> None:
    """Download a named data set, its size and digest checked."""
    from chainrule.data.registry import fetch

    _print(str(fetch(name, path)))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration."""
    from chainrule.spec import json_schema
    from chainrule.training import Config

    _print(json.dumps(json_schema(Config), indent=2, ensure_ascii=False))
