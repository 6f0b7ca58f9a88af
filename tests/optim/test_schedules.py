"""Schedules equal torch.optim.lr_scheduler's, and the report's own decay."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr

PER_EPOCH, EPOCHS = 7, 12
STEPS = PER_EPOCH * EPOCHS


def factors(schedule, n=STEPS):
    return [schedule.factor(step, n, PER_EPOCH) for step in range(n)]


def of_torch(make, n, scale=1.0):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    found = []
    for _ in range(n):
        found.append(optimizer.param_groups[0]["lr"] / scale)
        optimizer.step()
        scheduler.step()
    return found


def per_epoch(values):
    return [value for value in values for _ in range(PER_EPOCH)]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (cr.Constant(), lambda: [1.0] * STEPS),
        (
            cr.Exponential(0.9),
            lambda: per_epoch(of_torch(lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9), EPOCHS)),
        ),
        (cr.Step(3, 0.1), lambda: per_epoch(of_torch(lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.1), EPOCHS))),
        (
            cr.Cosine(last=0.2),
            lambda: of_torch(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.2), STEPS),
        ),
        (
            cr.OneCycle(rise=0.3, first=0.04, last=4e-6),
            lambda: of_torch(
                lambda o: torch.optim.lr_scheduler.OneCycleLR(
                    o, 1.0, total_steps=STEPS, pct_start=0.3, div_factor=25, final_div_factor=1e4, cycle_momentum=False
                ),
                STEPS,
            ),
        ),
    ],
    ids=["constant", "exponential", "step", "cosine", "one_cycle"],
)
def test_factors_equal_torchs(schedule, expected):
    assert factors(schedule) == pytest.approx(expected(), abs=1e-12)


def test_warm_up_rises_in_equal_steps_to_the_schedules_start():
    found = factors(cr.Constant(warm_up=1))
    assert found[:PER_EPOCH] == pytest.approx([(i + 1) / (PER_EPOCH + 1) for i in range(PER_EPOCH)])
    assert found[PER_EPOCH:] == [1.0] * (STEPS - PER_EPOCH)


def test_after_a_warm_up_the_schedule_has_the_rest_of_the_run():
    found = factors(cr.Cosine(warm_up=2))
    assert found[2 * PER_EPOCH :] == pytest.approx(factors(cr.Cosine(), STEPS - 2 * PER_EPOCH))


def test_the_early_decay_is_the_reports_loop():
    """if it % per_epoch == 0: lr *= decay, after the update of step `it`."""
    lr, expected = 1.0, []
    for step in range(STEPS):
        expected.append(lr)
        if step % PER_EPOCH == 0:
            lr *= 0.95
    assert factors(cr.Exponential(0.95, early=True)) == pytest.approx(expected)


def test_coslog_is_four_waves_each_twice_as_long_as_the_last():
    """½(1 - cos(2π log₂(1 + 15 t))): 0 at t = 0, 1/15, 3/15, 7/15, 1, and 1 halfway in the logarithm."""
    n = 15_000
    found = factors(cr.CosLog(), n)
    for start, length in ((0, 1000), (1000, 2000), (3000, 4000), (7000, 8000)):
        assert found[start] == pytest.approx(0, abs=1e-12)
        assert found[start + round(length * (2**0.5 - 1))] == pytest.approx(1, abs=1e-5)
    assert found[-1] < 1e-6
    assert sum(a < b > c for a, b, c in zip(found, found[1:], found[2:], strict=False)) == 4


def test_flat_cosine_is_1_for_half_the_run_and_ends_at_0():
    found = factors(cr.FlatCosine())
    assert found[: STEPS // 2 + 1] == [1.0] * (STEPS // 2 + 1)
    assert found[STEPS // 2 :] == pytest.approx(factors(cr.Cosine(), STEPS // 2))


@given(
    st.one_of(
        st.builds(cr.CosLog, st.integers(1, 6)),
        st.builds(cr.FlatCosine, st.floats(0, 0.99), st.floats(0, 1), st.floats(0, 5)),
        st.builds(cr.OneCycle, st.floats(0.01, 0.99)),
        st.builds(cr.Cosine, st.floats(0, 1), st.floats(0, 5)),
        st.builds(cr.Exponential, st.floats(0.1, 1), st.booleans(), st.floats(0, 5)),
        st.builds(cr.Step, st.integers(1, 5), st.floats(0.1, 1), st.floats(0, 5)),
    ),
    st.integers(1, 60),
    st.integers(1, 20),
)
def test_every_factor_of_every_run_is_between_0_and_1(schedule, n_steps, per_epoch):
    """However short the run, also when it is over before the warm-up is."""
    for step in range(n_steps):
        assert 0 <= schedule.factor(step, n_steps, per_epoch) <= 1 + 1e-12


def test_one_cycle_may_start_at_its_top():
    """A tenth of ten steps: the first step is the highest, and nothing is divided by its distance of 0."""
    found = factors(cr.OneCycle(rise=0.1), 10)
    assert found[0] == 1
    assert found == sorted(found, reverse=True)
