"""Batches: every row once an epoch without replacement, and a batch depends on seed and step alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.data import Batches


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 200), size=st.integers(1, 50), seed=st.integers(0, 3), epoch=st.integers(0, 3))
def test_an_epoch_visits_every_row_once(n, size, seed, epoch):
    batches = Batches(np.arange(n), min(size, n), seed)
    steps = range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch)
    parts = [batches.rows(step) for step in steps]
    assert sorted(np.concatenate(parts)) == list(range(n))
    assert all(len(part) == batches.size for part in parts[:-1])
    assert batches.size == 1 or n == 1 or all(len(part) > 1 for part in parts)


@given(step=st.integers(0, 1000), replacement=st.booleans())
def test_a_batch_is_a_function_of_seed_and_step(step, replacement):
    one, two = (Batches(np.arange(50), 8, 3, replacement) for _ in range(2))
    one.rows(step // 2)
    np.testing.assert_array_equal(one.rows(step), two.rows(step))


@given(n=st.integers(2, 60), size=st.integers(2, 20), begin=st.integers(0, 60), n_steps=st.integers(0, 60),
       replacement=st.booleans())  # fmt: skip
def test_shares_are_the_sum_of_each_steps(n, size, begin, n_steps, replacement):
    batches = Batches(np.arange(n), min(size, n), 0, replacement)
    each = [batches.share(step) for step in range(begin, begin + n_steps)]
    assert batches.shares(begin, begin + n_steps) == pytest.approx(sum(each), abs=1e-9)


def test_rows_are_those_it_was_given():
    of = np.array([7, 3, 90, 12])
    assert sorted(Batches(of, 4, 0).rows(5).tolist()) == sorted(of.tolist())
    assert set(Batches(of, 4, 0, replacement=True).rows(5).tolist()) <= set(of.tolist())


def test_epochs_and_seeds_differ():
    batches = Batches(np.arange(100), 100, 0)
    assert batches.rows(0).tolist() != batches.rows(1).tolist()
    assert batches.rows(0).tolist() != Batches(np.arange(100), 100, 1).rows(0).tolist()


def test_with_replacement_every_batch_is_full_and_an_epoch_is_n_over_size():
    batches = Batches(np.arange(49_000), 200, 0, replacement=True)
    assert batches.per_epoch == 245
    drawn = np.concatenate([batches.rows(step) for step in range(245)])
    assert len(drawn) == 49_000
    assert 0.60 < len(np.unique(drawn)) / 49_000 < 0.66  # 1 - 1/e of the rows


@given(n=st.integers(1, 200), size=st.integers(1, 50))
def test_the_shares_of_an_epoch_are_its_rows(n, size):
    batches = Batches(np.arange(n), min(size, n), 0)
    shares = [batches.share(step) for step in range(batches.per_epoch)]
    assert [round(share * batches.size) for share in shares] == [len(batches.rows(k)) for k in range(len(shares))]
    assert Batches(np.arange(n), min(size, n), 0, replacement=True).share(3) == 1
