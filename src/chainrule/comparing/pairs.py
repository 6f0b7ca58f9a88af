"""Every pair of groups, in numbers and in a sentence."""

from collections.abc import Sequence
from itertools import combinations
from math import inf, isfinite
from typing import NamedTuple

from chainrule.comparing.groups import Group
from chainrule.comparing.statistics import Difference, difference, holm, of_alike_rows, seeds_needed
from chainrule.intervals import cut
from chainrule.text import columns, number

LEVEL = 0.05


class Pair(NamedTuple):
    """p: corrected for the number of pairs. better: the name of the better group, or None where it cannot be told."""

    a: str
    b: str
    found: Difference
    p: float
    better: str | None
    sentence: str


def compare(groups: Sequence[Group]) -> list[Pair]:
    """All pairs. A conclusion is drawn where the corrected p-value is below 5 %, and there were several seeds."""
    pairs = list(combinations(groups, 2))
    found = [_difference(a, b) for a, b in pairs]
    corrected = holm([one.p for one in found])
    return [_judged(a, b, one, p, len(pairs)) for (a, b), one, p in zip(pairs, found, corrected, strict=True)]


def _difference(a: Group, b: Group) -> Difference:
    """Of shares, it lies within [-1, 1]; and so does its interval."""
    found = difference(a.scores, b.scores, paired=a.seeds == b.seeds)
    within = (a.bounds[0] - b.bounds[1], a.bounds[1] - b.bounds[0])
    if found.se_rows == 0:
        found = of_alike_rows(found, a.scores.shape[1], within)
    low, high = cut(found.low, found.high, within)
    return found._replace(low=low, high=high)


def _judged(a: Group, b: Group, found: Difference, p: float, n_pairs: int) -> Pair:
    better = None
    if p < LEVEL:
        better = a.name if (found.mean > 0) == a.greater_is_better else b.name
    over = {
        "paired": f"paired over {len(a.seeds)} seeds",
        "Welch": f"over {len(a.seeds)} and {len(b.seeds)} seeds",
        "McNemar": "one run each, McNemar's test",
        "rows": "one of them a single run",
    }[found.how]
    correction = f" after correcting for {n_pairs} comparisons" if n_pairs > 1 else ""
    between = f"[{found.low:+.4g}, {found.high:+.4g}]" if isfinite(found.high - found.low) else "[no interval]"
    alike = ", all rows differing alike" if found.alike else ""
    measured = (
        f"{a.name} against {b.name}: {found.mean:+.4g} in {a.metric} {between} on "
        f"{a.scores.shape[1]:,} {a.part} rows ({over}{alike}), p = {p:.2g}{correction}"
    )
    return Pair(a.name, b.name, found, p, better, f"{measured}. {_concluded(found, better, n_pairs)}")


def _concluded(found: Difference, better: str | None, n_pairs: int) -> str:
    if found.how in ("McNemar", "rows"):
        these = (
            f"These very networks differ: {better} is better" if better else "These very networks cannot be told apart"
        )
        return f"{these}. Of other seeds it says nothing; train each with several (--seeds 5)."
    if better:
        return f"{better} is better."
    n = seeds_needed(found, n_pairs)
    if found.mean == 0:
        return "No difference was seen."
    if n is None:
        return "It cannot be told which is better, and no number of seeds would tell on so few rows."
    return f"It cannot be told which is better; a true difference of this size would show with about {n} seeds each."


def shown(groups: Sequence[Group], pairs: Sequence[Pair]) -> str:
    """A table of the groups and a line for each pair."""
    rows = []
    for one in groups:
        mean, low, high = one.over_seeds()
        seeds = f"{number(low)} to {number(high)}" if low > -inf else "one seed"
        share = one.over_rows()
        rows.append([one.name, len(one.seeds), number(mean), seeds,
                     f"{number(share[0])} to {number(share[1])}" if share else ""])  # fmt: skip
    header = ["runs", "seeds", f"{groups[0].part} {groups[0].metric}", "95 % over seeds", "95 % over rows"]
    return "\n".join([columns(header, rows, right=(1,)), "", *(pair.sentence for pair in pairs)])
