"""A run killed at random moments and resumed until it is done is the uninterrupted run, bit for bit."""

import pytest

from faults.kills import SETTINGS, campaign

KILLS = 25
STEPS = 500


@pytest.mark.timeout(900)  # the longest took 238 s on a busy machine whose processor has no bfloat16
@pytest.mark.parametrize("place", range(len(SETTINGS)), ids=lambda i: "-".join(map(str, SETTINGS[i])))
def test_killed_and_resumed_is_uninterrupted(place, tmp_path):
    share = (KILLS + place) // len(SETTINGS)
    found = campaign(SETTINGS[place], share, place, tmp_path, STEPS)
    assert found["kills"] >= share
    assert found["equal"] == found["runs"]
