"""Where the report is wrong or loose: its equations are refuted, and what it leaves out is shown."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.verify.differences import central_differences
from derivation.algebra import Point, ShapeError
from derivation.page import steps
from derivation.told import scene

SLIPS = [step for step in steps() if step.kind == "report"]
OF_ANOTHER_SHAPE = {"matrix-of-ones", "identity"}


def test_the_slips_that_are_known_are_on_the_page():
    assert [step.name for step in SLIPS] == [
        "picked-logit", "sum-over-nothing", "parenthesis", "one-sample", "mask", "last-factor", "matrix-of-ones",
        "identity",
    ]  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS, ids=[step.name for step in SLIPS])
def test_what_the_report_says_does_not_hold(slip):
    built, setting, _ = scene(slip.scene)
    (equation,) = slip.equations
    if slip.name in OF_ANOTHER_SHAPE:
        with pytest.raises(ShapeError, match="the sides have shapes"):
            built.tell(equation)
        return
    claim = built.tell(equation)
    differences = [sides[0] - sides[1] for sides in claim.sides]
    for seed in range(3):
        point = Point(built, seed, setting.scale)
        assert max(np.max(np.abs(point.array(difference))) for difference in differences) > 1e-2


def test_the_sum_over_nothing_is_n_times_the_gradient():
    built, setting, _ = scene("two-layers")
    claim = built.tell(next(step.equations[0] for step in SLIPS if step.name == "sum-over-nothing"))
    point = Point(built, 0)
    for gradient, said in claim.sides:
        assert point.array(said) == pytest.approx(int(setting.base["N"]) * point.array(gradient), rel=1e-12)


@pytest.mark.parametrize("name", ["two-layers", "columns"])
def test_the_points_have_units_on_both_sides_of_the_relu(name):
    built, setting, _ = scene(name)
    arrays = [setting.code(Point(built, seed).base)["Z^{(2)}"] for seed in range(3)]
    assert all((z > 0).any() and (z < 0).any() for z in arrays)


def test_the_softmax_without_its_shift_overflows_and_with_it_does_not():
    z, target = np.array([[1e4, 0.0], [-1e4, 0.0]]), np.array([0, 1])
    with np.errstate(over="ignore", invalid="ignore"):
        as_in_the_report = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    assert np.isnan(as_in_the_report[0, 0])
    loss, dz = cr.SoftmaxCrossEntropy()(z, target, None, np)
    assert loss == 0
    np.testing.assert_array_equal(dz, np.zeros((2, 2)))


def test_at_exactly_0_the_relu_has_two_slopes_and_the_code_takes_0():
    x = np.zeros(1)
    y, pullback = cr.ReLU().forward({}, x, cr.Context(np, training=True))
    assert (y[0], pullback(np.ones(1))[0][0]) == (0, 0)
    f = lambda: float(np.maximum(x, 0)[0])  # noqa: E731
    found = central_differences(f, x, 1.0, 1, np.random.default_rng(0))
    assert found.settled.tolist() == [False]  # verify sees the kink, and compares nothing there
    right, left = (np.maximum(h, 0) / h for h in (1e-6, -1e-6))
    assert (left, right) == (0, 1)
