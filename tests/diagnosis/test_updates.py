"""Update ratios and learning rates, sick and healthy."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.diagnosis.updates import Update, Updates, loss_of, update_findings, updates
from chainrule.training import load
from chainrule.training.plan import plan
from chainrule.training.step import resident, start, train_step
from diagnosis.trained import NUMPY, classes, trained

DIGITS = cr.read("digits")


def decided(*changes):
    config = load(None, [*NUMPY, *changes])
    return plan(config, DIGITS, config.network.build())


@pytest.mark.parametrize("optimizer", ["{kind='sgd',lr=0.1}", "{kind='sgd',lr=0.1,momentum=0.9}", "{kind='adam'}",
                                       "{kind='adamw',weight_decay=0.1}", "{kind='rmsprop'}"])  # fmt: skip
def test_the_ratio_is_that_of_the_real_step_times_the_schedules_factor(optimizer):
    run = decided(f"optimizer={optimizer}", "schedule={kind='cosine'}", "training.iterations=20",
                  "compute.precision='float64'", "training.penalty=1e-3")  # fmt: skip
    with run.backend.scope():
        data, state = resident(run), start(run)
        for step in range(7):
            state = train_step(run, data, state, step)[0]
        found = updates(run, data, state, 7, 1.0)
        half = updates(run, data, state, 7, 0.5)
        after = train_step(run, data, state, 7)[0].parameters
    for one, other in zip(found.matrices, half.matrices, strict=True):
        W = state.parameters[one.name]
        assert one.ratio * found.now == pytest.approx(np.linalg.norm(after[one.name] - W) / np.linalg.norm(W))
        assert other.ratio == pytest.approx(one.ratio / 2)


@pytest.mark.parametrize("optimizer", ["{kind='sgd',lr=1e-6}", "{kind='adam',lr=1e-7}"])
def test_a_rate_far_too_low(optimizer):
    run = trained(DIGITS, f"optimizer={optimizer}", "training.epochs=10")
    found = run.the("learning-rate-low")
    assert found.severity == "problem"
    assert "hardly at all" in found.measured
    assert found.change.startswith("Raise optimizer.lr from 1e-0")
    assert "learning-rate-high" not in run.names()


def test_a_schedule_that_has_come_down_is_no_low_rate():
    for schedule in ("{kind='cosine'}", "{kind='one_cycle'}", "{kind='exponential',decay=0.5}"):
        run = trained(DIGITS, f"schedule={schedule}", "optimizer={kind='sgd',lr=0.1}", "training.epochs=10", watch=True)
        assert run.problems() == []
        assert not run.names() & {"learning-rate-low", "update-ratio-low"}


def test_a_converged_run_is_no_low_rate():
    X = np.random.default_rng(0).normal(size=(400, 3))
    run = trained(classes(X, X[:, 0] > 0), "optimizer={kind='sgd',lr=1.0}", "training.epochs=150",
                  "training.penalty=1.0", "training.batch_size=288", "network.hidden=[]")  # fmt: skip
    assert not run.names() & {"learning-rate-low", "update-ratio-low"}


def test_a_gradient_that_has_become_small_is_no_low_rate():
    crawling = HEALTHY._replace(matrices=(Update("0.W", 1e-6, 1.0), Update("2.W", 2e-6, 1.0)))
    rows = history([2.30, 2.29])
    loss = loss_of(rows, 2.3, 0.0, None)
    assert [f.name for f in update_findings(RUN, crawling, loss, False, True)] == ["learning-rate-low"]
    rows[1]["gradient_norm"] = 0.01
    assert update_findings(RUN, crawling, loss_of(rows, 2.3, 0.0, None), False, True) == []


def test_after_the_last_step_the_last_one_is_measured():
    run = decided("optimizer={kind='sgd',lr=0.1}", "training.iterations=5")
    with run.backend.scope():
        data, state = resident(run), start(run)
        assert updates(run, data, state, 5, 1.0) == updates(run, data, state, 4, 1.0)
        assert updates(run, data, state, 3, 1.0) != updates(run, data, state, 4, 1.0)


def test_weights_of_zero_have_no_ratio():
    run = decided("network.hidden=[]", "network.init='zeros'")
    with run.backend.scope():
        found = updates(run, resident(run), start(run), 0, 1.0)
    assert np.isnan(found.matrices[0].ratio)
    assert np.isnan(found.typical)


def test_a_swinging_loss_is_a_high_rate():
    X = np.random.default_rng(0).normal(size=(600, 6)) * 30
    options = ("data.preprocessing='none'", "network.hidden=[32]", "training.epochs=25")
    sick = trained(classes(X, X[:, 1] > 0), *options, "optimizer.lr=2.0", "network.activation='leaky_relu'")
    assert sick.the("learning-rate-high").severity == "problem"
    assert "optimizer.lr, 2, tenfold" in sick.the("learning-rate-high").change
    assert "learning-rate-high" not in trained(classes(X, X[:, 1] > 0), *options, "optimizer.lr=1e-3").names()


RUN = decided()
HEALTHY = Updates((Update("0.W", 1e-3, 1.0), Update("2.W", 2e-3, 1.0)), 1.0, 1.0, cold=False)


def history(losses, batches=None):
    return [{"train_loss": a, "batch_loss": b, "gradient_norm": 1.0, "step": 100 * i}
            for i, (a, b) in enumerate(zip(losses, batches or losses, strict=True))]  # fmt: skip


def names(found, losses, **options):
    loss = loss_of(history(losses), 2.3, 0.0, None)
    return {f.name: f for f in update_findings(RUN, found, loss, **({"blocked": False, "after": True} | options))}


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ([1.0, 2.0, 0.9, 2.1, 1.2, 2.0, 1.1], "swings"),
        ([2.0, 1.0, 0.8, 1.0, 1.5], "has risen from 0.8 to 1.5"),
        ([2.9, 3.0, 3.2], "stays above the chance level"),
    ],
)
def test_each_way_in_which_a_loss_is_unstable(losses, words):
    assert words in names(HEALTHY, losses)["learning-rate-high"].measured


@pytest.mark.parametrize(
    "losses",
    [
        [2.0, 1.0, 0.5, 0.4, 0.45, 0.4, 0.42, 0.39],  # noise
        [2.0, 0.1, 0.01, 0.03, 0.01, 0.03, 0.01],  # swings of next to nothing
        [2.0, 0.1, 0.01, 0.02],  # a rise of next to nothing
        [3.0, 2.9, 2.8, 2.7],  # above chance, but on its way down
        [2.9],
        [],
        [float("nan"), float("nan")],
    ],
)
def test_a_loss_that_is_none_of_them(losses):
    assert names(HEALTHY, losses) == {}


def test_a_matrix_that_jumps_and_one_that_is_left_behind():
    jump = HEALTHY._replace(matrices=(Update("0.W", 2.0, 1.0), Update("2.W", 1e-3, 1.0)))
    assert names(jump, [2.3, 2.2])["update-ratio-high"].severity == "problem"
    assert names(jump, [2.0, 0.5])["update-ratio-high"].severity == "hint"
    assert names(jump._replace(now=0.01), [2.3, 2.2]) == {}
    assert names(jump._replace(cold=True), [2.3, 2.2]) == {}
    growing = HEALTHY._replace(matrices=(Update("0.W", 2.0, 0.01), Update("2.W", 1e-3, 1.0)))
    assert names(growing, [2.3, 2.2]) == {}
    behind = HEALTHY._replace(matrices=(Update("0.W", 1e-7, 1.0), Update("2.W", 1e-3, 1.0)))
    assert names(behind, [2.3, 2.0])["update-ratio-low"].where == "0.W"
    assert names(behind, [2.3, 2.0], blocked=True) == {}
    assert names(behind, [2.3, 2.0], after=False) == {}
    settled = HEALTHY._replace(matrices=(Update("0.W", 1e-7, 1.0), Update("2.W", 2e-7, 1.0)))
    assert names(settled, [2.3, 0.1]) == {}
    near = HEALTHY._replace(matrices=(Update("0.W", 5e-6, 1.0), Update("2.W", 2e-5, 1.0)))
    assert names(near, [2.3, 0.1]) == {}


def test_a_step_too_large_for_a_number_is_told():
    found = Updates((Update("0.W", float("inf"), 1.0),), 1.0, 1.0, False)
    loss = loss_of([{"train_loss": 2.3}], 2.3, 0.0, 2.3)
    (one,) = update_findings(decided(), found, loss, False, True)
    assert one.name == "update-ratio-high"
    assert one.change == "Lower optimizer.lr, 0.001, by about 1000000, or set training.clip_norm = 1."


def test_sgd_leaves_large_weights_before_a_norm_behind():
    large = cr.Network((cr.Linear(50, cr.Init("normal", std=100.0)), cr.LayerNorm(), cr.ReLU(), cr.Linear()))
    options = ("optimizer={kind='sgd',lr=0.1}", "training.epochs=10")
    assert trained(DIGITS, *options, network=large).the("update-ratio-low").where == "0.W"
    usual = cr.Network((cr.Linear(50), cr.LayerNorm(), cr.ReLU(), cr.Linear()))
    assert "update-ratio-low" not in trained(DIGITS, *options, network=usual).names()
