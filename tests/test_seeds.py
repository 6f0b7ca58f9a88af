"""Streams of random numbers: addressed, independent, and the same for ever."""

import numpy as np
import pytest

from chainrule.seeds import bits, stream

KNOWN = [[826, 538, 699, 247], [3, 2, 0, 4, 1], -0.11958870500716873]


def test_known_answers():
    """These may never change: runs of the past could not be repeated."""
    assert stream(0, "init").integers(0, 1000, 4).tolist() == KNOWN[0]
    assert stream(7, "shuffle", 3).permutation(5).tolist() == KNOWN[1]
    assert stream(7, "shuffle", 3).normal() == pytest.approx(KNOWN[2], rel=1e-15)


def test_a_stream_does_not_depend_on_what_was_drawn_before():
    first = stream(1, "a", 5).random(10)
    stream(1, "a", 4).random(1000)
    stream(1, "b", 5).random(1000)
    np.testing.assert_array_equal(first, stream(1, "a", 5).random(10))


def test_seeds_names_and_positions_give_different_numbers():
    drawn = {
        stream(seed, name, position).integers(2**63)
        for seed in (-1, 0, 1, 2**70)
        for name in ("init", "shuffle", "dropout/0", "dropout/1")
        for position in (0, 1, 2, 10**9)
    }
    assert len(drawn) == 64


def test_positions_do_not_overlap():
    """2^192 blocks lie between two positions, so a long draw never runs into the next."""
    long = stream(0, "a", 0).integers(2**63, size=100_000)
    assert not np.isin(stream(0, "a", 1).integers(2**63, size=100), long).any()


def test_streams_are_uncorrelated():
    drawn = np.stack([stream(0, "a", position).normal(size=5000) for position in range(10)])
    correlation = np.corrcoef(drawn) - np.eye(10)
    assert np.abs(correlation).max() < 0.06  # four standard errors of 1/sqrt(5000)


def test_seed_and_name_cannot_be_mistaken_for_each_other():
    assert stream(1, "2/x").random() != stream(12, "/x").random()
    assert stream(1, "1/x").random() != stream(11, "x").random()


def test_the_stream_of_masks_is_known():
    """Masks are made of raw bits, which no change of NumPy's distributions touches."""
    assert bits(7, "dropout/2", 41).random_raw(2).tolist() == [14775744154768200277, 14290136509905431911]
