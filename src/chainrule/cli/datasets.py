"""List, describe and fetch data sets."""

import json
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.common import Json, data_app, show


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
def data_info(source: Annotated[str, typer.Argument(metavar="NAME|PATH")], target: Annotated[str | None, typer.Option(
        "--target", help="Target column of a table.")] = None, as_json: Json = False) -> None:  # fmt: skip
    """Read a data set, check it and describe it."""
    from chainrule.data import read
    from chainrule.data.describe import described
    from chainrule.text import columns

    facts = described(read(source, target=target))
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
