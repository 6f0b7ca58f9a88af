"""Losses against torch.nn.functional, far from zero, and under sample weights."""

import re
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.errors import ConfigError
from chainrule.losses import (
    Huber,
    Loss,
    Poisson,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    SquaredError,
    default_loss,
)
from gradients import BOTH, NUMPY, TORCH, backend

ROWS, K = 7, 4


def target_of(loss: Loss, rng: np.random.Generator, rows: int = ROWS) -> np.ndarray:
    match loss:
        case SoftmaxCrossEntropy():
            return rng.integers(0, K, rows)
        case SigmoidCrossEntropy():
            return rng.uniform(0, 1, (rows, K))
        case Poisson():
            return rng.poisson(2.0, (rows, K)).astype(float)
    return rng.normal(size=(rows, K))


def cross_entropy(smoothing: float) -> Any:
    return lambda z, t, reduction: F.cross_entropy(z, t, reduction=reduction, label_smoothing=smoothing)


PAIRS = [
    (SoftmaxCrossEntropy(), cross_entropy(0.0)),
    (SoftmaxCrossEntropy(0.1), cross_entropy(0.1)),
    (SigmoidCrossEntropy(), lambda z, t, reduction: F.binary_cross_entropy_with_logits(z, t, reduction=reduction)),
    (SquaredError(), lambda z, t, reduction: F.mse_loss(z, t, reduction=reduction)),
    (Huber(), lambda z, t, reduction: F.huber_loss(z, t, reduction=reduction)),
    (Huber(0.3), lambda z, t, reduction: F.huber_loss(z, t, reduction=reduction, delta=0.3)),
    (Poisson(), lambda z, t, reduction: F.poisson_nll_loss(z, t, reduction=reduction)),
]
ALL = [loss for loss, _ in PAIRS]


def ours(loss: Loss, z: np.ndarray, t: np.ndarray, w: np.ndarray | None, on: Any) -> tuple[np.ndarray, np.ndarray]:
    value, dlogits = loss(on.array(z), on.array(t), None if w is None else on.array(w), on.xp)
    return on.numpy(value), on.numpy(dlogits)


@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
@pytest.mark.parametrize(("loss", "function"), PAIRS, ids=[str(loss) for loss in ALL])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_and_dlogits_are_those_of_pytorch(loss: Loss, function: Any, weighted: bool, on: Any) -> None:
    rng = np.random.default_rng(0)
    z, t = 3 * rng.normal(size=(ROWS, K)), target_of(loss, rng)
    w = rng.uniform(0.5, 2, ROWS) if weighted else None
    z_theirs = torch.tensor(z, requires_grad=True)
    if w is None:
        theirs = function(z_theirs, torch.tensor(t), "mean")
    else:  # PyTorch weighs classes, not rows: the weighted mean over rows of the mean over outputs, by hand
        rows = function(z_theirs, torch.tensor(t), "none").reshape(ROWS, -1).mean(1)
        theirs = (torch.tensor(w) * rows).sum() / w.sum()
    theirs.backward()
    value, dlogits = ours(loss, z, t, w, on)
    assert value == pytest.approx(theirs.item(), rel=1e-14)
    np.testing.assert_allclose(dlogits, z_theirs.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_softmax_takes_probabilities_as_pytorch_does(smoothing: float) -> None:
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(ROWS, K)), rng.dirichlet(np.ones(K), ROWS)
    z_theirs = torch.tensor(z, requires_grad=True)
    theirs = F.cross_entropy(z_theirs, torch.tensor(t), label_smoothing=smoothing)
    theirs.backward()
    value, dlogits = ours(SoftmaxCrossEntropy(smoothing), z, t, None, NUMPY)
    assert value == pytest.approx(theirs.item(), rel=1e-14)
    np.testing.assert_allclose(dlogits, z_theirs.grad, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_class_indices_of_any_integer_type_are_one_hot_probabilities(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(ROWS, K)), rng.integers(0, K, ROWS)
    one_hot = ours(SoftmaxCrossEntropy(), z, np.eye(K)[t], None, NUMPY)
    for on in BOTH:
        for a, b in zip(ours(SoftmaxCrossEntropy(), z, t.astype(dtype), None, on), one_hot, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-14, atol=1e-16)


def test_the_slope_of_softmax_cross_entropy_is_the_reports() -> None:
    """∂J/∂z = (ψ(z) - Δ)/N, written out."""
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(ROWS, K)), rng.integers(0, K, ROWS)
    psi = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    np.testing.assert_allclose(
        ours(SoftmaxCrossEntropy(), z, t, None, NUMPY)[1], (psi - np.eye(K)[t]) / ROWS, rtol=1e-13
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("loss", ALL, ids=str)
def test_everything_is_finite_at_logits_of_ten_thousand(loss: Loss, precision: str) -> None:
    rng = np.random.default_rng(0)
    z = rng.choice([1e4, -1e4, 1e3, -1e3, 0.0], (50, K))
    t = target_of(loss, rng, 50)
    for name in ("numpy", "torch") if precision == "float32" else ("torch",):
        on = backend(name, precision)
        logits = on.array(z, on.dtype)
        with np.errstate(all="raise", under="ignore"):
            for w in (None, on.array(rng.uniform(0.5, 2, 50), on.dtype)):
                value, dlogits = loss(logits, on.array(t), w, on.xp)
                assert np.isfinite(on.numpy(value))
                assert np.isfinite(on.numpy(dlogits)).all()
                assert dlogits.dtype == logits.dtype
            assert np.isfinite(on.numpy(loss.predict(logits, on.xp))).all()


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), SigmoidCrossEntropy()], ids=str)
def test_cross_entropy_far_out_is_the_distance_to_the_right_side(loss: Loss) -> None:
    z = np.array([[1e4, -1e4]])
    right, wrong = (np.array([0]), np.array([1])) if loss.task == "classification" else (
        np.array([[1, 0]]), np.array([[0, 1]]))  # fmt: skip
    distance = 2e4 if loss.task == "classification" else 1e4
    for on in BOTH:
        assert ours(loss, z, right, None, on)[0] == 0
        assert ours(loss, z, wrong, None, on)[0] == distance


def test_sigmoid_cross_entropy_of_the_nearly_certain_keeps_its_digits() -> None:
    """log(1 + e⁻⁴⁰) = e⁻⁴⁰, where 1 + e⁻⁴⁰ is 1 in float64."""
    for on in BOTH:
        value, _ = ours(SigmoidCrossEntropy(), np.array([[40.0]]), np.array([[1.0]]), None, on)
        assert value == pytest.approx(np.exp(-40.0), rel=1e-14, abs=0)


# float32 sums of float32 terms; in bfloat16 the logits are given and the slopes rounded in 8 bits, the sums are not
@pytest.mark.parametrize(("precision", "of_loss", "of_slope"), [("float32", 1e-6, 1e-6), ("bfloat16", 1e-6, 2**-8)])
@pytest.mark.parametrize("loss", ALL, ids=str)
def test_low_precision_is_close_to_float64(loss: Loss, precision: str, of_loss: float, of_slope: float) -> None:
    rng = np.random.default_rng(1)
    t = target_of(loss, rng, 300)
    for name in ("numpy", "torch") if precision == "float32" else ("torch",):
        on = backend(name, precision)
        logits = on.array(2 * rng.normal(size=(300, K)), on.dtype)
        held = on.array(t.astype(np.float32) if t.dtype == float else t)
        value, dlogits = loss(logits, held, None, on.xp)
        exact, exact_slopes = ours(loss, on.numpy(logits).astype(float), on.numpy(held), None, NUMPY)
        assert float(value) == pytest.approx(float(exact), rel=of_loss)
        np.testing.assert_allclose(
            on.numpy(dlogits), exact_slopes, rtol=of_slope, atol=of_slope * np.abs(exact_slopes).max()
        )


@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
@pytest.mark.parametrize("loss", ALL, ids=str)
def test_a_batch_of_zero_weight_has_loss_zero_and_no_slope(loss: Loss, on: Any) -> None:
    rng = np.random.default_rng(0)
    with np.errstate(all="raise"):
        value, dlogits = ours(loss, rng.normal(size=(ROWS, K)), target_of(loss, rng), np.zeros(ROWS), on)
    assert value == 0
    assert not dlogits.any()


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(ALL),
    st.lists(st.integers(0, 4), min_size=2, max_size=8).filter(any),
    st.floats(0.01, 100),
    st.integers(0, 2**32),
)
def test_weights_are_repetitions_of_rows(loss: Loss, counts: list[int], unit: float, seed: int) -> None:
    """And only their ratios count."""
    rng = np.random.default_rng(seed)
    n = len(counts)
    z, t = rng.normal(size=(n, K)), target_of(loss, rng, n)
    value, dlogits = ours(loss, z, t, unit * np.array(counts), NUMPY)
    rows = np.repeat(np.arange(n), counts)
    repeated_value, repeated = ours(loss, z[rows], t[rows], None, NUMPY)
    added = np.zeros_like(z)
    np.add.at(added, rows, repeated)
    assert value == pytest.approx(repeated_value, rel=1e-12, abs=1e-14)
    np.testing.assert_allclose(dlogits, added, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
@pytest.mark.parametrize("loss", ALL, ids=str)
@pytest.mark.parametrize("own", [False, True], ids=["shared targets", "targets of each"])
def test_stacked_networks_have_a_loss_each(loss: Loss, own: bool, on: Any) -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3, ROWS, K))
    t = np.stack([target_of(loss, rng) for _ in range(3)]) if own else target_of(loss, rng)
    w = rng.uniform(0.5, 2, (3, ROWS) if own else ROWS)
    value, dlogits = ours(loss, z, t, w, on)
    assert value.shape == (3,)
    for i in range(3):
        alone, slopes = ours(loss, z[i].copy(), t[i] if own else t, w[i] if own else w, on)
        assert value[i] == pytest.approx(alone, rel=1e-14)
        np.testing.assert_allclose(dlogits[i], slopes, rtol=1e-13, atol=1e-16)


def test_probabilities_shared_by_stacked_networks_are_not_taken_for_class_indices() -> None:
    """With as many rows as classes their shape is that of class indices too."""
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(K, K, K)), rng.dirichlet(np.ones(K), K)
    for on in BOTH:
        value, _ = ours(SoftmaxCrossEntropy(), z, t, None, on)
        alone = [ours(SoftmaxCrossEntropy(), one.copy(), t, None, on)[0] for one in z]
        np.testing.assert_allclose(value, alone, rtol=1e-14)


@pytest.mark.parametrize(("loss", "link"), [
    (SoftmaxCrossEntropy(), lambda z: torch.softmax(z, -1)),
    (SigmoidCrossEntropy(), torch.sigmoid),
    (SquaredError(), lambda z: z),
    (Huber(), lambda z: z),
    (Poisson(), torch.exp),
])  # fmt: skip
def test_predict_is_the_link(loss: Loss, link: Any) -> None:
    z = 3 * np.random.default_rng(0).normal(size=(ROWS, K))
    for on in BOTH:
        np.testing.assert_allclose(on.numpy(loss.predict(on.array(z), on.xp)), link(torch.tensor(z)), rtol=1e-14)


def test_the_rate_of_poisson_goes_on_as_a_straight_line() -> None:
    z = np.array([[49.0], [50.0], [51.0], [60.0]])
    rate = Poisson().predict(z, np)[:, 0]
    np.testing.assert_allclose(rate, np.exp(50.0) * np.array([np.exp(-1.0), 1, 2, 11]), rtol=1e-14)
    slopes = ours(Poisson(), z, np.zeros((4, 1)), None, NUMPY)[1][:, 0] * 4
    np.testing.assert_allclose(slopes, np.exp(50.0) * np.array([np.exp(-1.0), 1, 1, 1]), rtol=1e-14)


@pytest.mark.parametrize(("task", "loss"), [
    ("classification", SoftmaxCrossEntropy()), ("multilabel", SigmoidCrossEntropy()), ("regression", SquaredError()),
])  # fmt: skip
def test_each_task_has_its_usual_loss(task: str, loss: Loss) -> None:
    assert default_loss(task) == loss
    assert loss.task == task


@pytest.mark.parametrize(("cls", "options", "problem"), [
    (SoftmaxCrossEntropy, {"label_smoothing": 1.0}, "label_smoothing: should be less than 1, got 1.0"),
    (Huber, {"delta": 0.0}, "delta: should be greater than 0, got 0.0"),
    (Huber, {"dleta": 1.0}, "dleta: unknown option (did you mean 'delta'?)"),
    (SquaredError, {"delta": 1.0}, "delta: unknown option; there are no options here"),
])  # fmt: skip
def test_constants_that_cannot_be_are_refused(cls: type, options: dict[str, float], problem: str) -> None:
    with pytest.raises(ConfigError, match=f"^{re.escape(f'{cls.__name__}: {problem}')}$"):
        cls(**options)


def test_a_loss_changes_nothing_it_is_given() -> None:
    rng = np.random.default_rng(0)
    for loss in ALL:
        z, t, w = rng.normal(size=(ROWS, K)), target_of(loss, rng), rng.uniform(0.5, 2, ROWS)
        before = [a.copy() for a in (z, t, w)]
        for on in (NUMPY, TORCH):
            ours(loss, z, t, w, on)
        for a, b in zip((z, t, w), before, strict=True):
            np.testing.assert_array_equal(a, b)
