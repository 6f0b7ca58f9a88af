"""What history shows: gaps beyond noise, chance, an end that came too soon, and the chance level itself."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.diagnosis.chance import chance, effective_rows, explained, floor
from chainrule.diagnosis.progress import is_over, progress_findings
from chainrule.training import load
from chainrule.training.plan import plan
from diagnosis.trained import NUMPY, classes, numbers, trained

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2000, 10))
LABELS = X[:, 0] > 0
DIGITS = cr.read("digits")


def decided(data, *changes):
    config = load(None, [*NUMPY, *changes])
    return plan(config, data, config.network.build())


def row(step, **values):
    return {"step": step, "epoch": step / 10, "batch_loss": values.get("train_loss", 1.0)} | values


def accuracies(train, validation, loss=0.3):
    return row(500, train_loss=loss, validation_loss=loss, train_accuracy=train, validation_accuracy=validation)


def names(run, history, step=None):
    return {found.name: found for found in progress_findings(run, history, step or run.n_steps)}


@pytest.mark.parametrize("rows", [2000, 200])
def test_a_gap_must_exceed_the_noise_of_the_validation_rows(rows):
    """0.95 against 0.80: 5 standard errors of 160 validation rows, 1.4 of 16."""
    run = decided(classes(X[:rows], LABELS[:rows]))
    found = names(run, [accuracies(0.95, 0.80)])
    assert ("overfitting" in found) == (rows == 2000)
    if found:
        assert found["overfitting"].severity == "hint"
        assert "a gap of 0.150, 5 standard errors of 160 validation rows." in found["overfitting"].measured


def test_a_small_gap_and_a_better_validation_are_none():
    run = decided(classes(X, LABELS))
    assert names(run, [accuracies(0.95, 0.93)]) == {}
    assert names(run, [accuracies(0.80, 0.95)]) == {}
    assert names(run, [accuracies(0.999, 0.93)]) == {}  # 3.4 standard errors, but small


def test_a_network_that_learns_noise_by_heart_overfits():
    y = X[:300, 0] + RNG.normal(size=300) > 0
    sick = trained(classes(X[:300], y), "network.hidden=[256]", "training.epochs=60", "optimizer.lr=5e-3",
                   "data.split.validation=0.4", "data.split.test=20")  # fmt: skip
    found = sick.the("overfitting")
    assert "The validation loss was best, " in found.measured
    for key in ("evaluation.patience = 5", "evaluation.keep = 'best'", "network.dropout", "training.penalty",
                "data.split.validation"):  # fmt: skip
        assert key in found.change
    regression = trained(numbers(X[:300], X[:300, 0] + RNG.normal(size=300)), "network.hidden=[256]",
                         "training.epochs=60", "optimizer.lr=5e-3", "data.split.validation=0.4")  # fmt: skip
    assert regression.the("overfitting").severity == "problem"
    assert "underfitting" not in sick.names() | regression.names()


def test_no_gap_and_little_explained_is_underfitting_at_the_end_only():
    run = decided(classes(X, LABELS), "network.hidden=[2]", "training.penalty=0.5")
    history = [accuracies(0.66, 0.65, loss=0.6)]
    found = names(run, history)["underfitting"]
    assert found.severity == "hint"
    assert "a larger network.hidden" in found.change
    assert "a smaller training.penalty (now 0.5)" in found.change
    assert names(run, history, step=run.n_steps - 1) == {}
    assert names(run, [accuracies(0.9, 0.9, loss=0.2)]) == {}


def test_labels_without_a_rule_stay_at_chance():
    sick = trained(classes(X, RNG.random(2000) < 0.5), "training.epochs=5", "optimizer.lr=1e-4", "network.hidden=[4]")
    assert sick.the("chance-level").severity == "problem"
    assert "validation accuracy" in sick.the("chance-level").measured
    assert "chance-level" not in trained(classes(X, LABELS), "training.epochs=5").names()


def test_numbers_without_a_rule_stay_at_chance():
    sick = trained(numbers(X, RNG.normal(size=2000)), "training.epochs=3", "network.hidden=[2]")
    assert sick.the("chance-level").severity == "problem"
    assert "chance-level" not in trained(numbers(X, X[:, 0]), "training.epochs=10").names()


def test_few_rows_do_not_make_a_weak_model_a_constant():
    run = decided(numbers(X[:200], X[:200, 0]))
    best = {part: chance(run, part)["loss"] for part in ("train", "validation")}
    for share, at_chance in ((0.9, False), (0.97, True)):
        weak = [row(500, **{f"{part}_loss": share * value for part, value in best.items()})]
        assert ("chance-level" in names(run, weak)) == at_chance


def test_chance_in_the_middle_of_a_falling_loss_is_only_a_hint():
    run = decided(classes(X, LABELS))
    slow = [row(100, train_loss=0.75, validation_loss=0.75, train_accuracy=0.5, validation_accuracy=0.5),
            row(200, train_loss=0.72, validation_loss=0.72, train_accuracy=0.5, validation_accuracy=0.5)]  # fmt: skip
    assert names(run, slow, step=200)["chance-level"].severity == "hint"
    assert names(run, slow[::-1], step=200)["chance-level"].severity == "problem"
    assert names(run, slow)["chance-level"].severity == "problem"


def test_the_monitored_metric_stands_beside_its_chance_level():
    options = ("evaluation.metrics=['balanced_accuracy']", "evaluation.monitor='validation_balanced_accuracy'")
    sick = trained(classes(X, RNG.random(2000) < 0.5), *options, "training.epochs=5", "optimizer.lr=1e-5")
    assert "validation balanced_accuracy" in sick.the("chance-level").measured
    assert "(constant: 0.5000)" in sick.the("chance-level").measured


def curve(values):
    return [row(50 * i, train_loss=v, validation_loss=v, train_accuracy=0.9, validation_accuracy=0.9)
            for i, v in enumerate(values, 1)]  # fmt: skip


def test_a_loss_that_still_falls_at_the_end_wants_longer_training():
    run = decided(classes(X, LABELS), "training.epochs=30")
    found = names(run, curve(np.linspace(0.6, 0.2, 10)))["still-improving"]
    assert found.change == "Set training.epochs = 60."
    by_steps = decided(classes(X, LABELS), "training.iterations=500")
    assert names(by_steps, curve(np.linspace(0.6, 0.2, 10)))["still-improving"].change == (
        "Set training.iterations = 1000."
    )
    noisy = np.array([0.6, 0.2, 0.24, 0.2, 0.25, 0.19, 0.23, 0.2, 0.24, 0.18])
    for values in (noisy, np.r_[0.6, 0.3, 0.21, 0.2, 0.2, 0.2, 0.199], np.linspace(0.6, 0.2, 10)[::-1], [0.6, 0.3],
                   np.r_[10.0, 1.0, np.linspace(0.9, 0.8, 8)], np.r_[0.6, 0.2, np.linspace(0.5, 0.25, 8)]):  # fmt: skip
        assert "still-improving" not in names(run, curve(values))


def test_patience_ends_a_run_before_its_last_step():
    run = decided(classes(X, LABELS), "evaluation.patience=2")
    rising = curve([0.3, 0.2, 0.25, 0.26])
    assert is_over(run, rising, 200)
    assert not is_over(run, rising[:3], 150)
    assert is_over(run, rising[:3], run.n_steps)


@pytest.mark.parametrize(
    ("loss", "y"),
    [
        ("squared_error", X[:, 0] * 3 + 7),
        ("huber", X[:, 0] * 3 + 7),
        ("poisson", RNG.poisson(np.exp(0.5 * X[:, 0]))),
    ],
)
def test_no_constant_beats_the_chance_level(loss, y):
    run = decided(numbers(X, y), f"loss={{kind='{loss}'}}", "evaluation.train_rows=0")
    best = chance(run, "train")["loss"]
    t = run.targets[run.rows.train]
    for constant in np.linspace(-3, 3, 31):
        assert float(run.loss(np.full(t.shape, constant), t, None, np)[0]) >= best - 1e-3
    with np.errstate(divide="ignore"):
        perfect = np.log(t) if loss == "poisson" else t
    least = float(run.loss(np.maximum(perfect, -30.0), t, None, np)[0])
    assert floor(run, "train") == pytest.approx(least, abs=1e-9)
    assert explained(run, "train", best) == 0
    assert explained(run, "train", least) == pytest.approx(1)


def test_smoothed_labels_keep_a_floor():
    run = decided(classes(X, LABELS), "loss={kind='softmax_cross_entropy',label_smoothing=0.2}")
    assert floor(run, "train") == pytest.approx(-0.9 * np.log(0.9) - 0.1 * np.log(0.1))
    rare = decided(classes(X, X[:, 0] > 1), "loss={kind='softmax_cross_entropy',label_smoothing=0.2}",
                   "evaluation.train_rows=0")  # fmt: skip
    t = rare.targets[rare.rows.train]
    losses = [rare.loss(np.tile([z, 0.0], (len(t), 1)), t, None, np)[0] for z in np.linspace(-5, 5, 201)]
    assert chance(rare, "train")["loss"] == pytest.approx(min(losses), abs=1e-3)


def test_the_constant_for_hubers_loss_is_nearly_the_best():
    y = np.exp(2 * X[:, 0])
    run = decided(numbers(X, y), "loss={kind='huber',delta=0.01}", "evaluation.train_rows=0")
    t = run.targets[run.rows.train]
    losses = [run.loss(np.full(t.shape, z), t, None, np)[0] for z in np.linspace(-1, 1, 401)]
    assert chance(run, "train")["loss"] == pytest.approx(min(losses), rel=0.01)


def test_weights_leave_fewer_rows():
    weight = np.ones(2000)
    weight[::2] = 0
    run = decided(classes(X, LABELS, weight=weight))
    assert effective_rows(run, "validation") == (weight[run.rows.validation] == 1).sum()
    assert effective_rows(decided(classes(X, LABELS)), "validation") == 160
