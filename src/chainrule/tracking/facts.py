"""What trackers log, as flat names and plain values: options, conditions, a row's points."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chainrule.network import own_layers
from chainrule.spec import is_own, to_plain
from chainrule.training import Config
from chainrule.training.measure import Row
from chainrule.training.plan import Plan

Plain = str | int | float | bool


def flat(table: Mapping[str, Any], separator: str = ".", above: str = "") -> dict[str, Plain]:
    """Tables in tables as one; lists as JSON; nothing for None.

    >>> flat({"network": {"hidden": [50, 20]}, "loss": None, "optimizer": {"lr": 0.1}})
    {'network.hidden': '[50, 20]', 'optimizer.lr': 0.1}
    """
    found: dict[str, Plain] = {}
    for key, value in table.items():
        name = f"{above}{separator}{key}" if above else str(key)
        if isinstance(value, Mapping):
            found |= flat(value, separator, name)
        elif value is not None:
            found[name] = value if isinstance(value, Plain) else json.dumps(value)
    return found


def options(plan: Plan) -> dict[str, Plain]:
    """The resolved configuration by path, such as `optimizer.lr`; of what no file can name, what is printed."""
    config, usual = plan.config, Config()
    parts = {"loss": plan.loss, "optimizer": config.optimizer, "schedule": config.schedule}
    printed: dict[str, Any] = {name: repr(part) for name, part in parts.items() if is_own(part)}
    if own_layers(plan.network.layers):
        printed["network"] = {"layers": repr(plan.network)}
    plain = to_plain(replace(config, **{name: getattr(usual, name) for name in printed})) | printed
    return flat(plain) | {"parameters": plan.network.n_parameters}


def conditions(environment: Mapping[str, Any]) -> dict[str, Plain]:
    """Versions, hardware, the digest of the data, the command: `environment.json` without its sessions."""
    shown = {name: value for name, value in environment.items() if name != "sessions"}
    return flat(shown | {"command": " ".join(environment["command"])})


def points(row: Row) -> dict[str, float]:
    """Every column of a row but its step; of a table by layer one each.

    >>> points({"step": 3, "train_loss": 0.5, "gradient_norms": {"0.W": 2.0}})
    {'train_loss': 0.5, 'gradient_norms/0.W': 2.0}
    """
    return {name: float(value) for name, value in flat(row, "/").items() if name != "step"}
