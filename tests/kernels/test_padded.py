"""Padded tensors: layers see the shape that they expect, kernels the zeros around it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chainrule.kernels.padded import aligned, fill, matrix, roomy, rows

SIZES = st.integers(1, 40)


@given(n=st.integers(0, 10_000))
def test_aligned_is_the_next_multiple_of_eight(n):
    assert n <= aligned(n) < n + 8
    assert aligned(n) % 8 == 0


@given(n_in=SIZES, n_out=SIZES, lead=st.sampled_from([(), (1,), (3,)]))
def test_a_roomy_copy_is_the_values_with_zeros_around(n_in, n_out, lead):
    W = torch.rand(*lead, n_in, n_out) + 1
    made = roomy(W)
    whole = matrix(made)
    assert torch.equal(made, W)
    assert whole.shape == (*lead, aligned(n_in), aligned(n_out))
    assert whole.is_contiguous()
    assert whole.data_ptr() == made.data_ptr()
    assert float(whole.sum()) == pytest.approx(float(W.sum()), rel=1e-5)
    assert torch.equal(whole[..., :n_in, :n_out], W)


@given(n_in=SIZES, n_out=SIZES, lead=st.sampled_from([(), (2,)]))
def test_what_was_not_made_roomy_is_whole_only_where_it_needs_no_room(n_in, n_out, lead):
    plain = torch.rand(*lead, n_in, n_out)
    found = matrix(plain)
    if n_in % 8 == n_out % 8 == 0:
        assert torch.equal(found, plain)
    else:
        assert found is None
    assert matrix(plain.mT) is None or n_in == n_out == 1 or 1 in (n_in, n_out)


def test_filling_makes_zeros_of_what_became_of_them():
    made = roomy(torch.ones(2, 3, 5))
    matrix(made)[...] = torch.nan
    fill(made, 2 * torch.ones(2, 3, 5))
    assert float(matrix(made).sum()) == 2 * made.numel()
    plain = torch.zeros(2, 5)
    fill(plain, torch.ones(2, 5))
    assert float(plain.sum()) == 10


@given(n=SIZES, batch=SIZES, lead=st.sampled_from([(), (3,)]))
def test_rows_are_seen_with_their_padding(n, batch, lead):
    whole = torch.rand(*lead, batch, aligned(n))
    found = rows(whole[..., :n])
    assert found.shape[:-1] == whole.shape[:-1]
    assert torch.equal(found[..., :n], whole[..., :n])
    if batch > 1:
        assert found.shape == whole.shape
    plain = torch.rand(*lead, batch, n)
    assert rows(plain) is plain


def test_a_part_of_something_else_is_not_taken_for_a_padded_one():
    stack = torch.rand(2, 12, 8)
    assert matrix(stack[0]) is None  # the next one's rows would be taken for its zeros
    assert matrix(stack[1]) is None
    assert rows(torch.rand(3, 4, 8)[0, :, :6]) is None


def test_rows_out_of_order_are_none():
    assert rows(torch.rand(4, 6).mT) is None
    assert rows(torch.rand(4, 20)[:, :6]) is None
    assert rows(torch.rand(8, 6, 8)[::2, :, :5]) is None
