"""Verdicts by what was measured: three outcomes, and none of them by chance."""

import numpy as np
import pytest

from chainrule.replication.conclusions import all_first, all_first_in_most, any_second, judged
from chainrule.replication.measured import Measured

RNG = np.random.default_rng(0)


def measured(share, rows=4000):
    right = (RNG.random((5, rows)) < share).astype(float)
    return Measured("made", "a", "a", (), (), right, ())


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [(0.6, 0.5, "holds"), (0.5, 0.6, "does not hold"), (0.55, 0.55, "cannot be told with this n")],
)
def test_one_pair(first, second, verdict):
    found = judged("claim", "tested", [("a less b", measured(first), measured(second))], all_first)
    assert found.verdict == verdict
    ((_, difference, p),) = found.differences
    assert difference.low < first - second < difference.high
    assert found.plain["differences"][0]["p"] == p


@pytest.mark.parametrize(
    ("decide", "signs", "verdict"),
    [
        (all_first, [1, 1, 1], "holds"), (all_first, [1, 0, 1], "cannot be told with this n"),
        (all_first, [1, 0, -1], "does not hold"),
        (all_first_in_most, [1, 1, 1, 0], "holds"), (all_first_in_most, [1, 1, 0, 0], "cannot be told with this n"),
        (all_first_in_most, [1, 1, -1, -1], "does not hold"),
        (any_second, [1, 0, -1], "holds"), (any_second, [1, 1, 1], "does not hold"),
        (any_second, [1, 0, 1], "cannot be told with this n"),
    ],
)  # fmt: skip
def test_decisions(decide, signs, verdict):
    assert decide(signs) == verdict


def test_p_values_are_corrected_for_their_number():
    pairs = [(str(i), measured(0.56), measured(0.55)) for i in range(4)]
    alone = [judged("", "", [pair], all_first).differences[0][2] for pair in pairs]
    together = [p for _, _, p in judged("", "", pairs, all_first).differences]
    assert min(together) == pytest.approx(min(min(alone) * 4, 1))
