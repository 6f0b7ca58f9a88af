"""Run a report again."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from chainrule.cli.common import Json, Quiet, app, show, warn
from chainrule.errors import Interrupted


@app.command()
def replicate(
    report: Annotated[Literal["aml-hw1"], typer.Argument(metavar="aml-hw1", help="The 2021 coursework report.")],
    data: Annotated[str | None, typer.Option("--data", metavar="FOLDER", help="Where CIFAR-10 is.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="On the embedded digits, in two minutes.")] = False,
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Runs of each network.")] = 5,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="runs/aml-hw1 or runs/aml-hw1-quick if not given.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that train at the same time.")] = 1,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a report's experiments again, measure every figure anew, and judge every conclusion. Safe to repeat."""
    from chainrule.replication import replicate as run
    from chainrule.replication.conduct import PAGE

    directory = output or Path("runs") / (f"{report}-quick" if quick else report)
    how: dict[str, Any] = {} if quiet else {"tell": warn}
    try:
        results = run(directory, data=data, in_two_minutes=quick, seeds=seeds, workers=workers, **how)
    except KeyboardInterrupt as stopped:
        warn(f"interrupted; the same command goes on with what is in {directory}")
        raise typer.Exit(stopped.exit_code if isinstance(stopped, Interrupted) else 130) from None
    page = directory / PAGE
    show(json.dumps(results) if as_json else "\n".join([*_said(results), "", f"all of it: {page}"]), data=as_json)


def _said(results: dict[str, Any]) -> list[str]:
    return [f"{one['claim']}: {one['verdict']}" for one in results["conclusions"]]
