"""Inverted dropout: what is kept, what is dropped, and that a mask is a function of its address."""

import numpy as np
import pytest

from chainrule.errors import ConfigError
from chainrule.layers import Dropout, LayerNorm, Linear, Residual
from gradients import BOTH, NUMPY, TORCH, apply


def mask_at(path: str = "0", seed: int | tuple[int, ...] = 5, step: int = 0, rate: float = 0.4) -> np.ndarray:
    return NUMPY.context(training=True, seed=seed, step=step).mask(path, 50, 40, rate, np.float64)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_the_mean_is_preserved_and_the_share_dropped_is_the_rate(rate: float) -> None:
    x = np.ones((500, 400))
    y = apply(Dropout(rate), x, {}, NUMPY).y
    deviation = np.sqrt(rate / (1 - rate) / x.size)  # of the mean of 200,000 independent entries
    assert abs(y.mean() - 1) < 4 * deviation
    assert abs((y == 0).mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / x.size)
    kept = y[y != 0]
    assert kept.min() == kept.max() == pytest.approx(1 / (1 - rate), rel=1e-4)  # the rate is rounded to 2⁻¹⁶


@pytest.mark.parametrize("rate", [0.25, 0.4])
def test_the_mask_is_the_same_bits_on_numpy_and_torch(rate: float) -> None:
    x = np.random.default_rng(0).normal(size=(33, 17))
    ours, theirs = (on.numpy(apply(Dropout(rate), on.array(x), {}, on).y) for on in BOTH)
    np.testing.assert_array_equal(ours, theirs)


def test_the_mask_is_a_function_of_seed_layer_and_step() -> None:
    np.testing.assert_array_equal(mask_at(), mask_at())
    for other in (mask_at(path="1"), mask_at(path="0.body.0"), mask_at(seed=6), mask_at(step=1)):
        agreement = np.mean((other == 0) == (mask_at() == 0))
        assert abs(agreement - (0.4**2 + 0.6**2)) < 4 * np.sqrt(0.25 / other.size)  # that of independent masks


def test_each_stacked_network_has_the_mask_of_its_own_seed() -> None:
    stacked = mask_at(seed=(5, 9))
    np.testing.assert_array_equal(stacked[0], mask_at(seed=5))
    np.testing.assert_array_equal(stacked[1], mask_at(seed=9))


def test_dropouts_in_a_residual_block_have_masks_of_their_own() -> None:
    asked = []
    context = NUMPY.context(training=True, seed=0)

    def mask(path: str, *rest: object) -> np.ndarray:
        asked.append(path)
        return context.mask(path, *rest)

    layer = Residual([Dropout(0.5), Residual([LayerNorm(), Dropout(0.5)])])
    parameters = {"body.1.body.0.gamma": np.ones(3), "body.1.body.0.beta": np.zeros(3)}
    layer.forward(parameters, np.ones((4, 3)), context._replace(mask=mask, path="2"))
    assert asked == ["2.body.0", "2.body.1.body.1"]


@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
@pytest.mark.parametrize(("rate", "training"), [(0.4, False), (0.0, True)])
def test_evaluation_and_rate_zero_are_the_identity(rate: float, training: bool, on: object) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3))
    done = apply(Dropout(rate), on.array(x), {}, on, training=training)
    np.testing.assert_array_equal(on.numpy(done.y), x)
    np.testing.assert_array_equal(on.numpy(done.pullback(on.array(2 * x))[0]), 2 * x)


def test_the_pullback_uses_the_mask_of_its_forward() -> None:
    done = apply(Dropout(0.4), np.ones((20, 10)), {}, NUMPY)
    np.testing.assert_array_equal(done.pullback(np.ones((20, 10)))[0], done.y)


def test_a_pass_without_masks_is_refused() -> None:
    context = NUMPY.context(training=True)._replace(mask=None, path="4")
    with pytest.raises(ValueError, match=r"^layer 4: dropout in training needs a mask in its context$"):
        Dropout(0.5).forward({}, np.ones((2, 2)), context)


def test_a_rate_just_below_one_stays_finite() -> None:
    for on in (NUMPY, TORCH):
        y = on.numpy(apply(Dropout(0.9999999), on.array(np.ones((300, 300))), {}, on).y)
        assert np.isfinite(y).all()


@pytest.mark.parametrize("rate", [1.0, -0.1, "half", True])
def test_a_rate_that_cannot_be_is_refused(rate: object) -> None:
    with pytest.raises(ConfigError, match=r"^Dropout: rate: should be "):
        Dropout(rate)


def test_linear_layers_take_no_notice_of_masks() -> None:
    x, W = np.ones((2, 3)), {"W": np.ones((3, 2)), "b": np.zeros(2)}
    np.testing.assert_array_equal(
        apply(Linear(2), x, W, NUMPY, seed=1).y, apply(Linear(2), x, W, NUMPY, seed=2, training=False).y
    )
