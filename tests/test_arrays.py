"""The array helpers, on NumPy and torch arrays alike."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import erf as scipy_erf

from chainrule.arrays import erf, like, sum_to, wide
from gradients import BOTH, TORCH


@pytest.mark.parametrize(("dtype", "expected"), [
    (torch.bfloat16, torch.float32), (torch.float16, torch.float32), (torch.float32, torch.float32),
    (torch.float64, torch.float64),
])  # fmt: skip
def test_wide_is_float32_at_least(dtype: torch.dtype, expected: torch.dtype) -> None:
    x = torch.ones(2, dtype=dtype)
    widened = wide(x, TORCH.xp)
    assert widened.dtype == expected
    assert (widened is x) == (dtype == expected)  # no copy where none is needed


def test_like_takes_the_dtype_of_another() -> None:
    y = np.ones(2)
    assert like(y, np.ones(3), np) is y
    assert like(y, np.ones(3, np.float32), np).dtype == np.float32


@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
@pytest.mark.parametrize(("shape", "to"), [
    ((4, 3), (4, 3)), ((2, 4, 3), (4, 3)), ((2, 5, 4, 3), (4, 3)), ((2, 4, 3), (1, 4, 3)), ((5, 2, 4, 3), (2, 1, 3)),
    ((2, 3), (3,)), ((1, 4, 3), (4, 3)), ((1, 4), (1, 4)),
], ids=str)  # fmt: skip
def test_sum_to_undoes_broadcasting(shape: tuple[int, ...], to: tuple[int, ...], on: Any) -> None:
    """Against torch's own pullback of broadcasting."""
    dy = np.random.default_rng(0).normal(size=shape)
    small = torch.zeros(to, dtype=torch.float64, requires_grad=True)
    small.broadcast_to(shape).backward(torch.tensor(dy))
    found = on.numpy(sum_to(on.array(dy), to, on.xp))
    assert found.shape == to
    np.testing.assert_allclose(found, small.grad, rtol=1e-13)


@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
def test_erf_is_the_error_function(on: Any) -> None:
    x = np.linspace(-6, 6, 101)
    np.testing.assert_allclose(on.numpy(erf(on.array(x))), scipy_erf(x), rtol=1e-14, atol=1e-16)
