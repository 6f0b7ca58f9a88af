"""What a check compares, and its table."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from chainrule.text import columns

BOUNDS = {"central differences": 1e-7, "autograd": 1e-12, "numpy against torch": 1e-10}
"""Largest relative error that passes, for each witness, in float64."""


class Comparison(NamedTuple):
    """One gradient held against one witness.

    error: max|ours - theirs| over the compared entries, relative to the largest entry of that gradient (or to a
    thousandth of the largest of any gradient beside it, so that a gradient that is exactly 0 can pass).
    entries: how many were compared; kinks: how many more lay at a kink and were left out.
    """

    layer: str
    parameter: str
    against: str
    entries: int
    kinks: int
    error: float
    note: str = ""

    @property
    def verdict(self) -> Literal["pass", "FAIL", "not run"]:
        """FAIL for an error above the bound, NaN, or nothing but kinks."""
        if self.entries == 0 and self.kinks == 0:
            return "not run"
        return "pass" if self.entries > 0 and self.error <= BOUNDS[self.against] else "FAIL"


def passed(comparisons: Sequence[Comparison]) -> bool:
    """Whether nothing failed."""
    return all(comparison.verdict != "FAIL" for comparison in comparisons)


def table(comparisons: Sequence[Comparison]) -> str:
    """The comparisons as text, one line each.

    >>> print(table([Comparison("0 linear 4", "W", "autograd", 12, 0, 2e-16)]))
    layer       parameter  against   entries  at kinks  max rel. error  bound  verdict
    0 linear 4  W          autograd       12         0         2.0e-16  1e-12  pass
    """
    rows = [
        [f.layer, f.parameter, f.against, f.entries, f.kinks, f"{f.error:.1e}" if f.entries else "-",
         f"{BOUNDS[f.against]:.0e}", f"{f.verdict} {f.note}".strip()]
        for f in comparisons
    ]  # fmt: skip
    header = ["layer", "parameter", "against", "entries", "at kinks", "max rel. error", "bound", "verdict"]
    return columns(header, rows, right=(3, 4, 5, 6))
