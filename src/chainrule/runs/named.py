"""What stands at a path that someone named, where it is not what was asked for.

One rule for exit codes: a path that holds nothing of the kind is a wrong name, a ConfigError; what is there and is not
whole is damaged, a DamagedError.
"""

import json
from pathlib import Path
from shlex import quote

from chainrule.errors import ConfigError, DamagedError
from chainrule.runs.directory import CONFIG, DIVERGED, METRICS
from chainrule.runs.sealed import MANIFEST
from chainrule.training.position import Divergence


def nothing_at(path: Path, wanted: str, mark: str) -> ConfigError:
    """The error for a path without a `wanted`, whose mark is a file of that name; it says what to name instead."""
    advice = "name what `chainrule train --output` wrote"
    if not path.exists():
        return ConfigError(f"{path} does not exist; {advice}")
    if not path.is_dir():
        return ConfigError(f"{path} is a file and holds no {wanted}; {advice}")
    runs = sorted((one.parent for one in path.glob(f"*/{CONFIG}")), key=lambda run: (len(run.name), run.name))
    if runs:
        n = f"{len(runs)} run{'s' if len(runs) > 1 else ''}"
        return ConfigError(f"{path} holds no {wanted} itself, but {n}; name one of them, such as {runs[0]}")
    return ConfigError(f"{path} holds no {wanted}: it has no {mark}; {advice}")


def unfinished(directory: Path) -> DamagedError:
    """The error for a run without its manifest, which is the last file that training writes.

    Of one that diverged it says what training said: going on as before would end at the same numbers.
    """
    going_on = f"chainrule train --resume {quote(str(directory))}"
    if (directory / METRICS).is_file():
        return DamagedError(
            f"{directory} holds a run that finished, but its {MANIFEST} is missing, so nothing in it can be checked. "
            f"{going_on} goes on from its last checkpoint and writes it anew"
        )
    diverged = divergence_in(directory)
    if diverged is not None:
        return DamagedError(f"{directory} holds a run that diverged: {diverged.measured} {diverged.change}")
    return DamagedError(f"{directory} holds a run that did not finish: it has no {MANIFEST}. Go on with: {going_on}")


def divergence_in(directory: Path) -> Divergence | None:
    """What ended the run in `directory`, where it diverged. Raises a DamagedError."""
    path = directory / DIVERGED
    if not path.is_file():
        return None
    try:
        return Divergence(**json.loads(path.read_bytes()))
    except (ValueError, TypeError) as error:
        raise DamagedError(f"{path} is not what training wrote: {error}. Remove it and ask again.") from error
