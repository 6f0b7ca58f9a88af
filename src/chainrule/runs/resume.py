"""Going on with a run: its newest sound checkpoint, and what has changed since that was written."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.errors import ConfigError, DamagedError
from chainrule.runs import checkpoint
from chainrule.runs.checkpoint import Saved
from chainrule.runs.directory import CONFIG
from chainrule.runs.sealed import remove
from chainrule.spec import from_plain, to_plain
from chainrule.training.config import Config, load
from chainrule.training.loop import over
from chainrule.training.patience import last_improvement
from chainrule.training.plan import Plan

_HARMLESS = ("data.source", "data.path", "start.model", "checkpoint.")
"""Options that decide no bit of the result: where data and start are (digests are compared), how often to save."""


class Change(NamedTuple):
    """Something that is not as it was when the checkpoint was written. exact: the result is the same all the same.

    asked: an option or the data, not the machine or what is installed on it.
    """

    what: str
    before: Any
    after: Any
    exact: bool
    asked: bool

    def __str__(self) -> str:
        return f"{self.what}: {self.before!r} -> {self.after!r}"


def newest(directory: Path, warn: Callable[[str], None]) -> Saved | None:
    """The newest sound checkpoint, or None where there is none at all; damaged ones are named and set aside.

    Raises a DamagedError where all are damaged.
    """
    problems: list[str] = []
    for found in checkpoint.newest_first(directory):
        if isinstance(found, Saved):
            for problem in problems:
                warn(f"{problem} It was set aside; the run goes on from {found.path.name}.")
            for one in checkpoint.listed(directory):
                path = directory / checkpoint.FOLDER / one.name
                if one > checkpoint.key_of(found.path.name):
                    _set_aside(path)
            return found
        problems.append(str(found))
    if problems:
        raise DamagedError(f"no checkpoint of {directory} is sound: {' '.join(problems)} Train again with --overwrite.")
    return None


def _set_aside(path: Path) -> None:
    aside = path.with_name(f"{path.name}.damaged")
    if aside.exists():
        remove(aside)
    path.rename(aside)


def configuration(directory: Path, saved: Saved | None, changes: Iterable[str], warn: Callable[[str], None]) -> Config:
    """The configuration to go on with: that of the directory's config.toml, which its owner may have edited."""
    try:
        return load(directory / CONFIG, changes)
    except ConfigError as error:
        if saved is None:
            raise DamagedError(f"{directory} holds no checkpoint and no usable {CONFIG}: {error}") from None
        if (directory / CONFIG).is_file() and _is_toml(directory / CONFIG):
            raise
        warn(f"{error} The checkpoint's configuration is used.")
        return from_plain(Config, saved.config)


def _is_toml(path: Path) -> bool:
    try:
        tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return False
    return True


def compare(saved: Saved, config: Mapping[str, Any], about: Mapping[str, Any]) -> list[Change]:
    """What has changed since the checkpoint was written, in the configuration and around it."""
    before, after = flat(_completed(saved.config)), flat(config)
    changes = [
        Change(name, before.get(name), after.get(name), name.startswith(_HARMLESS), asked=True)
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    was, now = _facts(saved.environment), _facts(about)
    libraries = ("chainrule", "numpy", *(("torch", "array-api-compat") if about["backend"] == "torch" else ()))
    deciding = {
        "data",
        "backend",
        "device",
        "precision",
        "threads",
        "ranks",
        "cpu",
        *(f"version of {x}" for x in libraries),
        "compiled",
    }
    changes += [Change(name, was.get(name), now.get(name), name not in deciding, asked=name == "data")
                for name in sorted({*was, *now}) if was.get(name) != now.get(name)]  # fmt: skip
    return changes


def _completed(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the defaults of options that the version which wrote it did not have."""
    try:
        plain: dict[str, Any] = to_plain(from_plain(Config, config))
    except ConfigError:
        return config
    return plain


def check_left(directory: Path, saved: Saved | None, plan: Plan, changes: Iterable[Change]) -> None:
    """Raise a ConfigError where no step is left that what was asked for could change: what is there is of before."""
    picks = "evaluation.keep"  # of what is there already
    asked = [str(change) for change in changes if change.asked and not change.exact and change.what != picks]
    if saved is None or not asked:
        return
    evaluation, step, history = plan.config.evaluation, int(saved.state["step"]), saved.state["history"]
    improved = last_improvement(evaluation, history)
    if saved.state["norms"] is not None or not over(plan, step, len(history), improved):
        return
    why, more = f"{step:,} steps are done of {plan.n_steps:,}", "training.epochs"
    if step < plan.n_steps:
        why, more = f"evaluation.patience ran out at step {step:,}", "evaluation.patience"
    elif plan.config.training.iterations is not None:
        more = "training.iterations"
    raise ConfigError(
        f"{directory} has nothing left to train ({why}), so its model would not be of what has changed since: "
        f"{'; '.join(asked)}. Change it back, set {more} higher too, or train anew in another directory"
    )


def check_exact(directory: Path, changes: Iterable[Change]) -> None:
    """Raise a ConfigError where a change breaks the promise of the same bits."""
    breaking = [str(change) for change in changes if not change.exact]
    if breaking:
        raise ConfigError(
            f"{directory} cannot go on to the same bits; changed since its checkpoint: {'; '.join(breaking)}. "
            "Change it back, or give --inexact to go on all the same"
        )


def flat(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested tables as one, with names such as "training.seed"."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = list(value) if isinstance(value, tuple) else value
    return found


def _facts(about: Mapping[str, Any]) -> dict[str, Any]:
    named = ("backend", "device", "precision", "threads", "compiled", "cpu", "system")
    facts = {name: about.get(name) for name in named}
    facts["ranks"] = about.get("ranks", 1)
    versions = {f"version of {name}": version for name, version in about.get("versions", {}).items()}
    return facts | versions | {"data": about.get("data_sha256")}
