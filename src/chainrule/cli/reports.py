"""Pages about runs and studies: written once, or served while training goes on."""

import json
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.common import Data, Database, Json, app, show, warn
from chainrule.errors import ConfigError

SUFFIXES = {"html": ".html", "md": ".md"}


@app.command()
def report(
    about: Annotated[
        list[Path],
        typer.Argument(metavar="RUN|STUDY...", help="Runs, folders of seed-* runs, or studies' directories."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="report.html in the run or study named, if left out."),
    ] = None,
    format: Annotated[str, typer.Option("--format", help="html, or md for Markdown.")] = "html",  # noqa: A002
    figures: Annotated[
        Path | None, typer.Option("--figures", metavar="DIR", help="Write each figure to a file, for a paper.")
    ] = None,
    figure_format: Annotated[str, typer.Option("--figure-format", help="svg or png.")] = "svg",
    watch: Annotated[
        bool, typer.Option("--watch", help="Serve the page on 127.0.0.1, made anew as training goes on, until Ctrl-C.")
    ] = False,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Of --watch; 0 takes a free one.")] = 0,
    data: Data = None,
    database: Database = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file that --output names.")] = False,
    as_json: Json = False,
) -> None:
    """Write a page about runs and studies: curves, mistakes, weights, diagnosis, conditions. One file, nothing else."""
    if format not in SUFFIXES:
        raise ConfigError(f"--format {format!r}: expected html or md")
    if figure_format not in ("svg", "png"):
        raise ConfigError(f"--figure-format {figure_format!r}: expected svg or png")
    if watch:
        if output is not None or figures is not None or format != "html" or as_json:
            raise ConfigError(
                "--watch serves the page and writes no file; leave out --output, --figures, --format and --json"
            )
        from chainrule.reporting.watching import serve

        return serve(about, data, database, port, lambda url: warn(f"serving {url} until Ctrl-C"))
    inside = about[0] if len(about) == 1 and about[0].is_dir() else Path()
    if output is not None and output.exists() and not overwrite:
        raise ConfigError(f"--output {output} is there already; name another file, or give --overwrite to replace it")
    file = output or inside / f"report{SUFFIXES[format]}"
    return _write(about, file, format, figures, figure_format, data, database, as_json)


def _write(
    about: list[Path], file: Path, kind: str, figures: Path | None, figure_format: str, data: str | None,
    database: str | None, as_json: bool,
) -> None:  # fmt: skip
    from chainrule.reporting.blocks import plain
    from chainrule.reporting.compose import compose
    from chainrule.reporting.markdown import markdown
    from chainrule.reporting.page import html
    from chainrule.runs.directory import make_above
    from chainrule.runs.files import write

    page = compose(about, data, database)
    make_above(file)
    drawn: dict[str, Path] = {}
    if figures is not None:
        from chainrule.reporting.figures import save

        drawn = save(page, figures, figure_format)
    links = {name: _relative(path, file.parent) for name, path in drawn.items()}
    content = (html(page) if kind == "html" else markdown(page, links)).encode()
    write(file, content)
    if as_json:
        found = {"output": str(file), "bytes": len(content), "figures": [str(path) for path in drawn.values()]}
        return show(json.dumps(found | {"page": plain(page)}), data=True)
    also = f", and {len(drawn)} figures to {figures}" if figures is not None else ""
    return show(f"{file} ({len(content) / 1000:,.0f} kB){also}")


def _relative(path: Path, start: Path) -> str:
    from os.path import relpath

    return Path(relpath(path, start)).as_posix()
