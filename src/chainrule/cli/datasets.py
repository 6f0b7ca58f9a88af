"""List, describe and fetch data sets."""

import json
from pathlib import Path
from typing import Annotated, cast, get_args

import typer

from chainrule.cli.common import Json, Target, data_app, show


@data_app.command("list")
def data_list(as_json: Json = False) -> None:
    """The data sets known by name."""
    from chainrule.data.registry import NAMES
    from chainrule.text import columns

    if as_json:
        show(json.dumps({name: {"title": known.title, "rows": known.rows} for name, known in NAMES.items()}))
        return
    rows = [[name, known.title, f"{known.rows:,}", "x".join(map(str, known.row_shape)), known.classes]
            for name, known in NAMES.items()]  # fmt: skip
    show(columns(["name", "title", "rows", "shape", "classes"], rows, right=(2, 4)))


@data_app.command("info")
def data_info(
    source: Annotated[str, typer.Argument(metavar="NAME|PATH")],
    target: Target = None,
    task: Annotated[str | None, typer.Option("--task", help="classification, multilabel or regression.")] = None,
    categorical: Annotated[
        list[str] | None, typer.Option("--categorical", metavar="COLUMN", help="A column whose values are names.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read a data set, check it and describe it."""
    from chainrule.data import read
    from chainrule.data.dataset import Task
    from chainrule.data.describe import described
    from chainrule.errors import ConfigError
    from chainrule.text import columns

    if task not in (None, *get_args(Task)):
        raise ConfigError(f"--task {task!r}: expected one of {', '.join(get_args(Task))}")
    facts = described(read(source, target=target, task=cast("Task | None", task), categorical=categorical or ()))
    if as_json:
        show(json.dumps(facts), data=True)
    else:
        show(columns(["fact", "value"], [[k, v] for k, v in facts.items()]))


@data_app.command("fetch")
def data_fetch(
    name: str, path: Annotated[Path | None, typer.Option("--path", help="Folder to put it in.")] = None
) -> None:
    """Download a named data set, its size and digest checked."""
    from chainrule.data.registry import fetch

    show(str(fetch(name, path)))
