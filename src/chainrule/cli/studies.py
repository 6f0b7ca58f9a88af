"""Conduct studies and look at them."""

import json
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from chainrule.cli.common import Changes, Database, Json, Quiet, app, show, warn
from chainrule.cli.options import ConfiguredStudy
from chainrule.errors import ChainruleError, ConfigError, Interrupted


@app.command(cls=ConfiguredStudy)
def study(
    config: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="Training, space, search, finalists.")],
    changes: Changes = [],  # noqa: B006
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Study directory; studies/NAME if not given.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that train at the same time.")] = 1,
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="local|auto|ADDRESS", help="Train on a Ray cluster instead.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the study in the directory, or start it there.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Read the test rows although they have been read.")] = False,
    database: Database = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Search hyperparameters, train the finalists again with fresh seeds, and read the test rows once."""
    from chainrule.study import load_study, run_study
    from chainrule.study.text import Progress, fruitless, told

    asked = load_study(config, changes)
    directory = output or Path("studies") / asked.name
    if ray is not None and workers > 1:
        raise ConfigError(
            f"--workers {workers} with --ray: the cluster's CPUs decide how many trials run; leave one out"
        )
    how: dict[str, Any] = {} if quiet else {"view": Progress(asked, workers)}
    try:
        outcome = run_study(
            asked, directory, workers=workers, resume=resume, again=again, database=database, ray=ray, **how
        )
    except Interrupted as stopped:
        warn(str(stopped))
        raise typer.Exit(stopped.exit_code) from None
    show(json.dumps(outcome.summary) if as_json else told(asked, outcome.summary), data=as_json)
    if (why := fruitless(outcome.summary)) is not None:
        raise ChainruleError(why)


@app.command()
def trials(
    directory: Annotated[Path, typer.Argument(metavar="STUDY", help="Directory that `study` wrote.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List the trials of a study, also while it runs: values, states, reasons."""
    from chainrule.study.conduct import opened
    from chainrule.study.text import listed

    asked, ledger = opened(directory, database)
    with closing(ledger):
        found = ledger.trials()
    if not found:
        raise ConfigError(f"the study in {directory} has no trials yet")
    show(json.dumps([asdict(one) for one in found]) if as_json else listed(found, asked), data=as_json)
