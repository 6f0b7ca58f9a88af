"""Tables for the reader: each case, and what was aimed at."""

from collections.abc import Sequence
from statistics import median
from typing import Any, NamedTuple

from chainrule.text import columns

from . import limit, numpy_by_hand, ours, pytorch, sklearn_

Times = dict[str, list[float]]


class Target(NamedTuple):
    """`least` times as fast as the fastest of `peers`; or, where `most` is given, at most so many times its time."""

    case: str
    who: str
    peers: Sequence[str]
    least: float | None = None
    most: float | None = None


TARGETS = [
    Target("A", ours.AUTO, [pytorch.EAGER], least=3.0),
    Target("A", ours.AUTO, [pytorch.LOADER], least=4.0),
    Target("A", ours.AUTO, [sklearn_.NAME], least=6.0),
    Target("A", ours.AUTO, [limit.AUTO], most=1.6),
    Target("B", ours.AUTO, [pytorch.EAGER_FUSED], least=3.5),
    Target("B", ours.AUTO, [pytorch.AUTOCAST_FUSED], least=2.2),
    Target("B", ours.AUTO, [limit.AUTO], most=1.5),
    Target("C", ours.AUTO, [sklearn_.NAME], least=3.0),
    Target("C", ours.AUTO, [pytorch.EAGER], least=4.0),
    Target("C", ours.AUTO, [numpy_by_hand.PLAIN, numpy_by_hand.FLAT], most=1.1),
    Target("C", ours.STACKED, [ours.AUTO], most=5.0),
    Target("C", ours.ON_TWO, [ours.AUTO], most=5.0),
    Target("A", ours.FLOAT32, pytorch.FLOAT32, most=1.0),
    Target("B", ours.FLOAT32, pytorch.FLOAT32, most=1.0),
]


def ratio(times: Times, who: str, peer: str) -> float:
    """Our time over the peer's, the median of the rounds' ratios."""
    return median([a / b for a, b in zip(times[who], times[peer], strict=True)])


def spread(found: list[float]) -> str:
    """Median, smallest and largest."""
    return f"{median(found):.4g} [{min(found):.4g}, {max(found):.4g}] ms"


def table(times: Times) -> str:
    """Every contestant, the fastest first."""
    forced = ours.FLOAT32 in times
    rows = []
    for name, found in sorted(times.items(), key=lambda item: median(item[1])):
        shown = [f"{median(found):.4g}", f"{min(found):.4g}", f"{max(found):.4g}"]
        rows.append([name, len(found), *shown, f"{ratio(times, ours.AUTO, name):.3f}"])
        if forced:
            rows[-1].append(f"{ratio(times, ours.FLOAT32, name):.3f}")
    header = ["", "n", "median, ms", "smallest", "largest", "ours / it", "ours, float32 / it"]
    return columns(header[: 6 + forced], rows, right=range(1, 6 + forced))


def below_limit(times: Times) -> list[str]:
    """Who was faster, by medians, than the limit on what it computes in."""
    bounds = {name: median(times[name]) for name in (limit.AUTO, limit.FLOAT32) if name in times}
    return [
        name
        for name, found in times.items()
        if name not in bounds and median(found) < bounds.get(f"the limit{', float32' * ('float32' in name)}", 0)
    ]


def judged(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Each target whose case was run: what was measured, and whether it was met."""
    found = []
    for target in TARGETS:
        times = results[target.case]["times"] if target.case in results else {}
        there = [peer for peer in target.peers if peer in times]
        if target.who not in times:
            continue
        entry: dict[str, Any] = {"case": target.case, "who": target.who}
        if not there:
            found.append(entry | {"peer": target.peers[0], "asked": asked(target), "measured": None, "met": None})
            continue
        peer = min(there, key=lambda name: median(times[name]))
        measured = ratio(times, target.who, peer)
        met = 1 / measured >= target.least if target.least else measured <= target.most
        found.append(entry | {"peer": peer, "asked": asked(target), "measured": measured, "met": met,
                              "least": target.least})  # fmt: skip
    return found


def asked(target: Target) -> str:
    """The target in words."""
    return f"{target.least:g} times as fast" if target.least else f"at most {target.most:g} of its time"


def targets(found: list[dict[str, Any]]) -> str:
    """The targets as a table."""
    rows = []
    for one in found:
        value = one["measured"]
        measured = "not measured" if value is None else f"{1 / value:.2f}" if one["least"] else f"{value:.3f}"
        verdict = {None: "", True: "met", False: "missed"}[one["met"]]
        rows.append([one["case"], one["who"], one["peer"], one["asked"], measured, verdict])
    return columns(["case", "who", "against", "asked", "measured", ""], rows, right=(4,))
