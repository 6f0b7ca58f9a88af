"""What a backend does: arrays, rows, masks, precision, threads; the same on each."""

from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from chainrule.backends import Compute, choose
from chainrule.layers import BatchNorm, Linear
from chainrule.network import Network
from gradients import BOTH, NUMPY, TORCH, backend

each_backend = pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)


@each_backend
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_arrays_keep_their_dtype_and_come_back(on: Any, dtype: Any) -> None:
    values = np.arange(12).reshape(3, 4).astype(dtype)
    back = on.numpy(on.array(values))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values)


@each_backend
@pytest.mark.parametrize("values", [
    np.arange(12.0).reshape(3, 4)[:, ::2], np.arange(12.0).reshape(3, 4).T, np.arange(3, dtype=">f8"),
    np.array(2.5), np.empty((0, 3)),
], ids=["strided", "transposed", "big-endian", "a number", "empty"])  # fmt: skip
def test_arrays_of_any_layout_come_back(on: Any, values: np.ndarray) -> None:
    back = on.numpy(on.array(values, on.dtype))
    assert back.shape == values.shape
    np.testing.assert_array_equal(back, values)


@each_backend
def test_read_only_data_are_taken_without_a_warning(on: Any) -> None:
    values = np.arange(3.0)
    values.flags.writeable = False
    np.testing.assert_array_equal(on.numpy(on.array(values)), values)


@each_backend
def test_what_comes_back_is_a_copy(on: Any) -> None:
    held = on.array(np.zeros(3))
    back = on.numpy(held)
    back += 1
    np.testing.assert_array_equal(on.numpy(held), np.zeros(3))


@each_backend
def test_gather_takes_rows_in_their_own_dtype(on: Any) -> None:
    values = np.arange(20, dtype=np.uint8).reshape(5, 4)
    rows = np.array([3, 0, 3])
    found = on.gather(on.array(values), rows)
    assert on.numpy(found).dtype == np.uint8
    np.testing.assert_array_equal(on.numpy(found), values[rows])
    on.wait()


def test_bfloat16_comes_back_as_float32() -> None:
    low = backend("torch", "bfloat16")
    back = low.numpy(low.array(np.array([1.0, 1.001]), low.dtype))
    assert back.dtype == np.float32
    assert back.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("name", "precision", "dtype", "master"), [
    ("numpy", "float64", np.dtype("float64"), np.dtype("float64")), ("numpy", "float32", np.dtype("float32"), np.dtype("float32")),
    ("torch", "float64", torch.float64, torch.float64), ("torch", "float32", torch.float32, torch.float32),
    ("torch", "bfloat16", torch.bfloat16, torch.float32),
])  # fmt: skip
def test_master_parameters_are_float32_at_least(name: str, precision: str, dtype: Any, master: Any) -> None:
    on = backend(name, precision)
    network = Network((Linear(2), BatchNorm()), 3)
    parameters = on.parameters(network.initial(0))
    working = on.working(parameters, network.parameters)
    assert {p.dtype for p in parameters.values()} == {master}
    narrow = {"0.W", "0.b"}
    assert {working[key].dtype for key in narrow} == {dtype}
    assert {working[key].dtype for key in set(working) - narrow} == {master}


def test_autograd_is_off_within_a_scope() -> None:
    with TORCH.scope():
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()


def test_a_scope_sets_threads_and_puts_them_back() -> None:
    before = torch.get_num_threads()
    with choose(Compute("torch", threads=before + 1), 0.0).scope():
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before

    def blas() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    outside = blas()
    with NUMPY.scope():
        assert blas() == {1}
    assert blas() == outside


def test_threads_are_put_back_after_an_error() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with choose(Compute("torch", threads=before + 1), 0.0).scope():
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        fail()
    assert torch.get_num_threads() == before
    assert torch.is_grad_enabled()


@each_backend
def test_overflow_within_a_scope_is_left_to_the_loss(on: Any) -> None:
    with on.scope():
        assert np.isinf(on.numpy(on.xp.exp(on.array(np.array([1e4])))))


@each_backend
def test_a_context_of_evaluation_has_no_masks(on: Any) -> None:
    context = on.context(training=False)
    assert context.mask is None
    assert not context.training


def test_masks_are_the_same_on_every_backend_and_precision() -> None:
    backends = [*BOTH, backend("numpy", "float32"), backend("torch", "float32"), backend("torch", "bfloat16")]
    masks = []
    for on in backends:
        mask = on.context(training=True, seed=4, step=9).mask("2", 7, 5, 0.3, on.dtype)
        assert mask.dtype == on.dtype
        masks.append(on.numpy(mask))
    for mask in masks[1:]:
        np.testing.assert_array_equal(mask == 0, masks[0] == 0)
    np.testing.assert_array_equal(masks[1], masks[0])
    np.testing.assert_array_equal(masks[3], masks[2])


def test_the_mask_of_a_step_is_known() -> None:
    """If this changes, a run with dropout can no longer be repeated or resumed."""
    mask = NUMPY.context(training=True, seed=1, step=2).mask("0", 2, 8, 0.5, np.float64)
    assert mask.tolist() == [[0, 2, 2, 2, 2, 2, 0, 0], [0, 0, 0, 0, 0, 0, 2, 0]]
