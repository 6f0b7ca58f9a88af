"""What a diagnosis says: one finding in four sentences, as text for a terminal and as plain values for JSON."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any, Literal, NamedTuple

from chainrule.training.plan import Plan

Severity = Literal["problem", "hint"]


class Finding(NamedTuple):
    """One thing that looks unhealthy.

    name: a short slug such as "dead-units". where: the layer, such as "layer 2 (ReLU)", or "". measured: the numbers.
    why: why they matter. change: what to change, with the configuration's keys. severity: a "problem" keeps the network
    from learning or makes its result misleading; a "hint" is true and worth knowing, but the run may be as meant.
    """

    name: str
    where: str
    measured: str
    why: str
    change: str
    severity: Severity


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Problems before hints, each in the order in which they were found."""
    return tuple(sorted(findings, key=lambda finding: finding.severity != "problem"))


def text(findings: Sequence[Finding], width: int = 100) -> str:
    """The findings for a terminal, no line of words longer than `width`.

    >>> print(text([Finding("dead-units", "layer 1 (ReLU)", "60 of 100 units are 0.", "They stay 0.", "Lower it.",
    ...                     "problem")]))
    problem: dead-units, layer 1 (ReLU)
      measured  60 of 100 units are 0.
      why       They stay 0.
      change    Lower it.
    """
    return "\n\n".join(_block(finding, width) for finding in findings) or "nothing found that looks unhealthy"


def plain(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The findings as plain values, ready for JSON."""
    return [finding._asdict() for finding in findings]


def _block(finding: Finding, width: int) -> str:
    head = ", ".join(part for part in (finding.name, finding.where) if part)
    lines = [f"{finding.severity}: {head}"]
    for label in ("measured", "why", "change"):
        sentence = getattr(finding, label)
        lines.append(fill(sentence, width, initial_indent=f"  {label:10}", subsequent_indent=" " * 12,
                          break_long_words=False, break_on_hyphens=False))  # fmt: skip
    return "\n".join(lines)


def option(plan: Plan, short: str, layers: str) -> str:
    """How to say a change of the network: `short` for one written as network.hidden, `layers` for a list of layers."""
    return short if plan.config.network.layers is None else layers


def several(names: Sequence[str], most: int = 5) -> str:
    """A list in words, at most `most` of it."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
