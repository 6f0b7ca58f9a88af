"""Where, on what and with what runs were trained, and in which options they differ."""

from collections.abc import Sequence
from typing import Any

import tomli_w

from chainrule.data import Dataset
from chainrule.data.describe import about_columns
from chainrule.network.network import describe
from chainrule.reporting.blocks import Block, Cell, Code, Section, Table, Words
from chainrule.reporting.groups import Group
from chainrule.reporting.sources import Subject
from chainrule.spec import to_plain


def conditions(groups: Sequence[Group], data: Dataset | None, why: str) -> Section:
    """Where, on what and with what the runs were trained: all that another reader needs to make them again."""
    every = [one for group in groups for one in group.subjects]
    facts: list[tuple[Cell, ...]] = [
        ("runs", f"{len(every):,} in {len(groups):,} group{'s' if len(groups) > 1 else ''}"),
        ("seeds", _same([str(one.config.training.seed) for one in every])),
        ("data", _same([_data_name(one) for one in every])),
    ]
    if data is not None:
        facts.append(("data, as read", repr(data) + (f"; {data.note}" if data.note else "")))
        facts += about_columns(data).items()
    facts += [("data sha256", _same([str(one.environment.get("data_sha256", "")) for one in every]))]
    counted = [run.metrics["rows"] for group in groups for run in group.finished]
    if counted:
        facts.append(("rows", _same([", ".join(f"{n:,} {part}" for part, n in one.items()) for one in counted])))
    for name in ("cpu", "cores", "device", "backend", "precision", "threads", "compiled", "system"):
        facts.append((name, _same([str(one.environment.get(name, "")) for one in every])))
    versions = [one.environment.get("versions") or {} for one in every]
    for name in dict.fromkeys(key for one in versions for key in one):
        facts.append((name, _same([str(one.get(name) or "not installed") for one in versions])))
    facts.append(("started", _same([_started(one) for one in every])))
    facts.append(("commit of the working folder", _same([_commit(one) for one in every])))
    shown = tuple(row for row in facts if row[1])
    blocks: list[Block] = [Table(("condition", "value"), shown)]
    if why:
        blocks.append(Words(f"The data could not be read again: {why} What needs them is left out."))
    blocks.append(Code(f"The configuration of {groups[0].name}", _written(groups[0].first)))
    return Section("conditions", "Conditions", tuple(blocks))


def _same(values: Sequence[str]) -> str:
    """The distinct values, a few of them."""
    found = list(dict.fromkeys(value for value in values if value))
    return ", ".join(found[:10]) + (f" and {len(found) - 10} more" if len(found) > 10 else "")


def _data_name(one: Subject) -> str:
    options = one.config.data
    return options.source + (f" in {options.path}" if options.path else "")


def _started(one: Subject) -> str:
    sessions = one.environment.get("sessions") or [{}]
    return at(str(sessions[0].get("started", "")))


def at(time: str) -> str:
    """A time as written in UTC, to the minute.

    >>> at("2026-11-25T21:43:33+00:00")
    '2026-11-25 21:43 UTC'
    """
    return f"{time[:16].replace('T', ' ')} UTC" if time else ""


def _commit(one: Subject) -> str:
    git = one.environment.get("git") or {}
    return f"{git['commit']}{' with changes' if git.get('changed') else ''}" if git.get("commit") else ""


def _written(one: Subject) -> str:
    return tomli_w.dumps(to_plain(one.config))


def _flat(value: Any, above: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {above: value}
    inner = (_flat(one, f"{above}.{name}" if above else name) for name, one in value.items())
    return {key: one for found in inner for key, one in found.items()}


def differences(groups: Sequence[Group]) -> dict[str, list[str]]:
    """The options in which the groups differ, each with its value in every group; all of a network's are one."""
    if len(groups) < 2:
        return {}
    plain = [_flat(to_plain(group.first.config)) for group in groups]
    names = dict.fromkeys(name for one in plain for name in one if not name.startswith(("checkpoint.", "compute.")))
    differ = [name for name in names if name != "training.seed" and len({str(one.get(name)) for one in plain}) > 1]
    found = {}
    if any(name.startswith("network.") for name in differ):
        built = [group.network or group.first.config.network.build() for group in groups]
        found["network"] = [" | ".join(describe(layer) for layer in one.layers) for one in built]
    for name in differ:
        if not name.startswith("network."):
            found[name] = [_short(one.get(name)) for one in plain]
    return found


def _short(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
