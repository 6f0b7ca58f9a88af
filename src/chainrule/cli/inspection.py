"""Prove gradients, diagnose and verify runs, print the schema."""

import json
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.common import Changes, Data, Json, RunDirectory, Target, app, merged, show, warn
from chainrule.cli.options import Configured


@app.command(cls=Configured)
def check(
    subject: Annotated[
        Path | None, typer.Argument(metavar="CONFIG|RUN", help="What to check; all built-in layers if left out.")
    ] = None,
    data: Data = None,
    target: Target = None,
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

        comparisons = check_builtin(entries)
    else:
        from chainrule.runs.directory import CONFIG
        from chainrule.runs.named import nothing_at
        from chainrule.verify.configured import check_config

        path = subject
        if subject is not None and subject.is_dir():
            path = subject / CONFIG
            if not path.is_file():
                raise nothing_at(subject, "run", CONFIG)
        comparisons = check_config(path, merged(changes, data, None, None, target), rows, entries)
    if as_json:
        show(
            json.dumps([one._asdict() | {"verdict": one.verdict} for one in comparisons]),
            data=True,
        )
    else:
        failed = sum(one.verdict == "FAIL" for one in comparisons)
        show(table(comparisons))
        show(f"{len(comparisons)} gradients compared, {failed} failed")
    if not passed(comparisons):
        raise typer.Exit(1)


@app.command()
def diagnose(run: RunDirectory, as_json: Json = False) -> None:
    """Say in words what is wrong with a run, finished or not: what was measured, why it matters, what to change."""
    from chainrule.diagnosis.finding import plain, text
    from chainrule.runs.diagnosing import diagnose_run

    findings = diagnose_run(run, lambda sentence: warn(f"warning: {sentence}"))
    show(json.dumps(plain(findings)) if as_json else text(findings), data=as_json)


@app.command()
def verify(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run, a model folder or a checkpoint.")],
    as_json: Json = False,
) -> None:
    """Check the SHA-256 of every file; exit code 4 if one is damaged."""
    from chainrule.runs.integrity import verify as verify_run

    found = verify_run(run)
    if as_json:
        show(json.dumps({"run": str(run), "parts": found}), data=True)
    else:
        for part, problem in found.items():
            show(f"{part}: {'sound' if problem is None else 'DAMAGED: ' + problem}")
    if any(found.values()):
        raise typer.Exit(4)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration."""
    from chainrule.spec import json_schema
    from chainrule.training import Config

    show(json.dumps(json_schema(Config), indent=2, ensure_ascii=False), data=True)
