"""Compare runs, and say which options of a study mattered."""

import json
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.common import Data, Database, Json, app, show
from chainrule.errors import ConfigError


@app.command()
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN|STUDY...", help="Runs, folders of seed-* runs, or studies' directories."),
    ],
    split: Annotated[
        str, typer.Option("--split", help="validation or test rows; the test rows are for a last look.")
    ] = "validation",
    data: Data = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Say which runs are better, with intervals over seeds and rows, and what cannot be concluded."""
    from chainrule.comparing import compare as compared
    from chainrule.comparing import gather
    from chainrule.comparing.pairs import shown

    if split not in ("validation", "test"):
        raise ConfigError(f"--split {split!r}: expected validation or test")
    groups = gather(runs, split, data, database)
    pairs = compared(groups)
    if not as_json:
        return show(shown(groups, pairs))
    listed = [{"name": one.name, "seeds": one.seeds, "metric": one.metric, "rows": one.scores.shape[1],
               "mean_low_high_over_seeds": one.over_seeds(), "over_rows": one.over_rows(),
               "values": one.scores.mean(axis=1).tolist()} for one in groups]  # fmt: skip
    judged = [{"a": one.a, "b": one.b, "p": one.p, "better": one.better, "sentence": one.sentence}
              | one.found._asdict() for one in pairs]  # fmt: skip
    return show(_finite(json.dumps({"part": split, "groups": listed, "pairs": judged})), data=True)


def _finite(text: str) -> str:
    """JSON has no infinities; what is unknown is null."""
    return text.replace("-Infinity", "null").replace("Infinity", "null")


@app.command()
def importance(
    directory: Annotated[Path, typer.Argument(metavar="STUDY", help="Directory that `study` wrote.")],
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Say how much each option of a study mattered, by the trials that it has."""
    from chainrule.study.importance import importances
    from chainrule.text import columns

    found = importances(directory, database)
    if as_json:
        show(json.dumps(found), data=True)
    else:
        show(columns(["option", "importance"], [[path, f"{value:.3f}"] for path, value in found.items()], right=(1,)))
