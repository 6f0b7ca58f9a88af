"""Commands that say of an unknown option which is one of the configuration how to set it."""

import json
import re
import shlex
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

from chainrule.text import printable

MOST = 3
"""Options that are named where several of the configuration have the name."""

USUAL = {
    "learning_rate": "lr",
    "learning_rate_init": "lr",
    "hidden_layer_sizes": "hidden",
    "l2": "penalty",
    "n_iter": "iterations",
}
"""Names that options have elsewhere, each with ours."""


class Configured(TyperCommand):
    """A command with `--set` for the options of a training."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As always; the message about an unknown option names those of the configuration that are called so."""
        given = list(args)  # the parser empties `args`
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            # By its name: the class is Typer's own or Click's, as the version has it.
            if type(error).__name__ == "NoSuchOption" and not ctx.resilient_parsing:
                self._hint(error, given)
            raise

    def _hint(self, error: Any, given: Sequence[str]) -> None:
        option, specification = error.option_name, self._specification()
        settings = settings_for(option, given, specification)
        if not settings and not error.possibilities:
            settings = settings_for(option, given, specification, meant(option, specification))
        if settings:
            error.possibilities = None
            told = ", or ".join(settings)
            error.message = f"No such option: {error.option_name}. It belongs to the configuration: {told}"

    def _specification(self) -> type:
        from chainrule.training import Config

        return Config


class ConfiguredStudy(Configured):
    """A command with `--set` for the tables of a study."""

    def _specification(self) -> type:
        from chainrule.study.config import Tables

        return Tables


def meant(option: str, specification: type) -> str | None:
    """The option of the specification that `option` is elsewhere, or whose name is nearest.

    >>> from chainrule.training import Config
    >>> meant("--learning-rate", Config), meant("--epoch", Config), meant("--frobnicate", Config)
    ('lr', 'epochs', None)
    """
    import difflib

    from chainrule.spec import paths

    name = _name(option)
    names = sorted({path.rpartition(".")[2] for path in paths(specification)})
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    return USUAL.get(name) or (near[0] if near else None)


def settings_for(option: str, given: Sequence[str], specification: type, name: str | None = None) -> list[str]:
    """`--set KEY=VALUE` for each option of the specification that is called as `option` is, with the value given.

    name: what the specification calls it, where that is not as it was typed.
    """
    from chainrule.spec import paths

    name, value = f".{name or _name(option)}", _value(option, given)
    known = paths(specification)
    found = [path for path in known if f".{path}".endswith(name)]
    found = found or [path for path in known if f".{path}".endswith(f"{name}.kind")]
    return [f"--set {shlex.quote(f'{path}={_written(value, known[path])}')}" for path in found[:MOST]]


def _name(option: str) -> str:
    """As the configuration writes it."""
    return option.lstrip("-").replace("-", "_")


def _value(option: str, given: Sequence[str]) -> str | None:
    for i, word in enumerate(given):
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}=")
        if word == option:
            after = given[i + 1] if i + 1 < len(given) else "-"
            return None if re.match(r"-(?![\d.])", after) else after
    return None


def _written(value: str | None, in_list: set[str]) -> str:
    """The value as TOML has it, in brackets where a list is wanted."""
    if value is None or "table" in in_list:
        return "..."
    value = printable(value)
    if not in_list or value.startswith("["):
        return value
    return json.dumps(value.split(","), ensure_ascii=False) if "string" in in_list else f"[{value}]"
