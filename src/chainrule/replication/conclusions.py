"""Each conclusion of the report held against what was measured: it holds, it does not, or it cannot be told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from chainrule.comparing.statistics import Difference, difference, holm
from chainrule.layers import Linear
from chainrule.replication.measured import Measured

Verdict = Literal["holds", "does not hold", "cannot be told with this n"]
Found = Mapping[tuple[str, str], Measured]
LEVEL = 0.05


@dataclass(frozen=True)
class Judged:
    """claim: the report's. tested: how. differences: name, accuracy of one less the other with its interval, p."""

    claim: str
    tested: str
    verdict: Verdict
    differences: tuple[tuple[str, Difference, float], ...]
    remark: str

    @property
    def plain(self) -> dict[str, Any]:
        """As results.json holds it."""
        rows = [{"what": name, "mean": one.mean, "interval_95": [one.low, one.high], "p": p}
                for name, one, p in self.differences]  # fmt: skip
        return {"claim": self.claim, "tested": self.tested, "verdict": self.verdict, "differences": rows,
                "remark": self.remark}  # fmt: skip


def judged(claim: str, tested: str, pairs: Sequence[tuple[str, Measured, Measured]],
           decide: Callable[[Sequence[int]], Verdict], remark: str = "") -> Judged:  # fmt: skip
    """Differences of test accuracy, first less second, over seeds and rows, corrected for their number.

    decide: given for each pair 1 (the first is better), -1 (the second) or 0 (it cannot be told).
    """
    found = [difference(a.right, b.right, paired=True) for _, a, b in pairs]
    p = holm([one.p for one in found])
    signs = [0 if q >= LEVEL else 1 if one.mean > 0 else -1 for one, q in zip(found, p, strict=True)]
    rows = tuple((name, one, q) for (name, _, _), one, q in zip(pairs, found, p, strict=True))
    return Judged(claim, tested, decide(signs), rows, remark)


def all_first(signs: Sequence[int]) -> Verdict:
    """Holds if the first is better in every pair; fails if the second is better in any."""
    return "does not hold" if -1 in signs else "holds" if all(signs) else "cannot be told with this n"


def all_first_in_most(signs: Sequence[int]) -> Verdict:
    """For 'often': holds if the first is better in more than half of the pairs, fails if it is not in half or more."""
    if 2 * signs.count(1) > len(signs):
        return "holds"
    return "does not hold" if 2 * signs.count(-1) >= len(signs) else "cannot be told with this n"


def any_second(signs: Sequence[int]) -> Verdict:
    """For 'not always': holds if the second is better in any pair, fails if the first is better in all."""
    return "holds" if -1 in signs else "does not hold" if all(signs) else "cannot be told with this n"


def conclusions(found: Found) -> list[Judged]:
    """Of every claim whose experiments are there."""
    return [judge(found) for judge in (_width, _depth, _depth_of_table, _dropout, _norm, _before_output, _heuristic)]


def _width(found: Found) -> Judged:
    *smaller, last = [one for (experiment, _), one in found.items() if experiment == "sweep"]
    return judged(
        f"A hidden layer of {last.label} is the best size",
        "against every smaller size of the true sweep",
        [(f"{last.label} less {one.label}", last, one) for one in smaller],
        all_first,
        "The report's sweep trained 0 to 6 hidden units and labelled them 50 to 350; it tried no larger size.",
    )


def _depth(found: Found) -> Judged:
    shallow = found["depth", "2 layers, He"]
    return judged(
        "More layers do not always help",
        "deeper plain networks against the two-layer one, with He's initial weights",
        [(f"{n} layers less 2", found["depth", f"{n} layers, He"], shallow) for n in (3, 4, 5)],
        any_second,
        "With the report's initial weights, of deviation 1e-3, deep plain networks hardly learn: that hurt them.",
    )


def _depth_of_table(found: Found) -> Judged:
    first, *deeper = [one for (experiment, _), one in found.items() if experiment == "table-1"]
    return judged(
        "The shallowest network of table 1 is the best",
        "against each of the others",
        [(f"{first.label} less {one.label}", first, one) for one in deeper],
        all_first,
        "The rows differ in width, dropout and batch norm too, so depth alone cannot be judged by them.",
    )


ABLATED = ("2000/700", "700/400/100")


def _often(found: Found, what: str, other: str) -> Judged:
    """`what` alone less neither, and both less `other` alone, of each network that was trained with all four."""
    pairs = []
    for widths in ABLATED:
        both = found["table-1", f"{widths}, dropout, batch norm"]
        alone, rest, neither = (found["ablations", f"{widths}, {name}"] for name in (what, other, "neither"))
        pairs += [(f"{alone.label} less neither", alone, neither)]
        pairs += [(f"{both.label} less {other} alone", both, rest)]
    tested = f"with less without, two networks, with and without {other}"
    return judged(f"{what.capitalize()} often helps", tested, pairs, all_first_in_most)


def _dropout(found: Found) -> Judged:
    return _often(found, "dropout", "batch norm")


def _norm(found: Found) -> Judged:
    return _often(found, "batch norm", "dropout")


def _before_output(found: Found) -> Judged:
    before = found["ablations", "700/400/100, batch norm, dropout before the output"]
    none = found["ablations", "700/400/100, batch norm"]
    pairs = [("none less before the output", none, before)]
    return judged("Dropout just before the output hurts", f"on {none.label}", pairs, all_first)


def _heuristic(found: Found) -> Judged:
    narrow, wide = (
        found["table-1", "2000/700, dropout, batch norm"],
        found["ablations", "4000/700, dropout, batch norm"],
    )
    few, many = (_neurons(one) for one in (narrow, wide))
    network = narrow.runs[0].model.network
    ends = network.widths[0] + network.n_out
    tested = f"{few:,} hidden neurons against {many:,}; inputs and outputs are {ends:,}"
    pairs = [(f"{narrow.label} less {wide.label}", narrow, wide)]
    return judged("The best number of neurons is below inputs + outputs", tested, pairs, all_first)


def _neurons(one: Measured) -> int:
    return sum(layer.width or 0 for layer in one.runs[0].model.network.layers[:-1] if isinstance(layer, Linear))
