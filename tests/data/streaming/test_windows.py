"""The shuffle: every row once an epoch, windows of their blocks, a function of seed and step."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chainrule.data.streaming.windows import FEW_BLOCKS, Key, windowed


def visited(windows, epoch):
    """(block, row of the block) in the order of an epoch's steps, one array a step."""
    held, key_held = np.empty((0, 2), int), None
    for step in range(epoch * windows.per_epoch, (epoch + 1) * windows.per_epoch):
        key, begin, end = windows.at(step)
        if key != key_held:
            pieces = [np.stack([np.full(p.stop - p.start, p.block), np.arange(p.start, p.stop)], axis=1)
                      for p in windows.pieces(key)]  # fmt: skip
            held, key_held, order = np.concatenate(pieces), key, windows.order(key)
            assert windows.first_step(key) == step
            assert len(held) == len(order)
        yield held[order[begin:end]]


sets = st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(lambda counts: sum(counts) >= 2)


@given(sets, st.integers(1, 30), st.integers(1, 200), st.integers(0, 3))
def test_every_epoch_visits_every_row_once_in_full_batches(counts, size, most, epoch):
    size = min(size, sum(counts))
    windows = windowed(np.array(counts), size, 7, most)
    batches = list(visited(windows, epoch))
    found = sorted(map(tuple, np.concatenate(batches)))
    assert found == [(block, row) for block, n in enumerate(counts) for row in range(n)]
    assert all(len(batch) == size for batch in batches[:-1])
    assert [len(batch) / size for batch in batches] == [windows.share(step) for step in range(len(batches))]
    assert len(batches[-1]) > 1 or size == 1


@given(sets, st.integers(1, 30), st.integers(1, 200))
def test_windows_are_of_about_the_length_asked_for_and_of_equal_length(counts, size, most):
    windows = windowed(np.array(counts), size, 7, most)
    lengths = [end - begin for begin, end in map(windows.bounds, range(windows.n_windows))]
    assert sum(lengths) == sum(counts)
    assert max(lengths) <= max(most, size) + size
    assert set(lengths[:-1]) <= {windows.window}


def test_seeds_and_epochs_have_orders_of_their_own_and_each_is_the_same_again():
    windows = windowed(np.full(20, 10), 5, 1, 50)
    one, again, later, other = (
        np.concatenate(list(visited(w, epoch)))
        for w, epoch in ((windows, 0), (windowed(np.full(20, 10), 5, 1, 50), 0), (windows, 1),
                         (windowed(np.full(20, 10), 5, 2, 50), 0))
    )  # fmt: skip
    assert np.array_equal(one, again)
    assert not np.array_equal(one, later)
    assert not np.array_equal(one, other)


def test_a_batch_mixes_the_blocks_of_its_window():
    windows = windowed(np.full(64, 100), 100, 1, 1600)
    mixed = [len(np.unique(batch[:, 0])) for batch in visited(windows, 0)]
    assert windows.n_windows == 4
    assert min(mixed) >= 12  # of 16, in a batch of 100


def test_one_window_after_the_other():
    windows = windowed(np.full(4, 10), 5, 1, 20)
    assert windows.after(Key(0, 0)) == Key(0, 1)
    assert windows.after(Key(0, 1)) == Key(1, 0)


def test_windows_of_few_blocks_are_said_to_mix_badly():
    few, many = windowed(np.full(FEW_BLOCKS * 2 - 2, 10), 5, 1, 150), windowed(np.full(FEW_BLOCKS * 2, 10), 5, 1, 160)
    assert few.described.endswith("so few mix badly: write smaller row groups, or raise data.stream.window_mb")
    assert (
        many.described
        == "streamed: 320 training rows in 32 blocks, shuffled in 2 windows of 160 rows from about 16 blocks each"
    )
