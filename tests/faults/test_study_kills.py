"""A study whose workers and coordinator are killed at random comes to what it comes to undisturbed."""

from faults.study_kills import compared


def test_nothing_is_lost_or_counted_twice(tmp_path):
    found = compared(tmp_path, trials=40, epochs=20, every=0.7, coordinators=2, workers=4, seed=1)
    assert found["workers_killed"] >= 3
    assert found["coordinators_killed"] >= 1
