"""What the commands share: the application, their options, printing."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from chainrule.errors import ConfigError
from chainrule.text import printable, tell

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
Target = Annotated[str | None, typer.Option("--target", metavar="COLUMN", help="The column of a table to predict.")]
Changes = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change one option, e.g. optimizer.lr=3e-4.")
]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Database = Annotated[
    str | None, typer.Option("--database", metavar="URL", help="PostgreSQL or SQLite; a file in the study if left out.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one machine-readable object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]


def show(text: str = "", *, data: bool = False) -> None:
    """A line of the result, on stdout. CSV and JSON are `data`: as they are, but for what a terminal would act on."""
    print(text if data and not sys.stdout.isatty() else printable(text))  # noqa: T201


def warn(text: str) -> None:
    """A line on stderr."""
    tell(printable(text))


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        show(f"chainrule {version('chainrule')}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before any command."""
    from chainrule.backends.world import size

    if context.invoked_subcommand != "train" and size() > 1:
        raise ConfigError(
            f"chainrule {context.invoked_subcommand} was started as one of {size()} processes, as torchrun does; only "
            "'chainrule train' runs on several. Start it by itself"
        )


def merged(
    changes: list[str], data: str | None, seed: int | None, device: str | None, target: str | None = None
) -> list[str]:
    """`--set` and the options that are short for one, in one list."""
    quoted = [f"data.source={json.dumps(data)}"] if data is not None else []
    quoted += [f"data.target={json.dumps(target)}"] if target is not None else []
    seeded = [f"training.seed={seed}"] if seed is not None else []
    placed = [f"compute.device={json.dumps(device)}"] if device is not None else []
    return [*changes, *quoted, *seeded, *placed]
