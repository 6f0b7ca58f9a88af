"""Networks of members in training: the mean of their losses, the mean of what they predict, and every promise of a run."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.backprop import forward
from chainrule.objective import mean_loss, objective
from chainrule.training import load
from gradients import BOTH, NUMPY, generic

K, ROWS, N_IN = 3, 8, 5
EPOCHS = cr.Training(epochs=3, batch_size=16, seed=0)


def table(task: str = "regression", n: int = 120) -> cr.Dataset:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, N_IN))
    signal = X[:, 0] * X[:, 1] + X[:, 2]
    if task == "regression":
        return cr.Dataset("t", X, 5 + 3 * signal + 0.1 * rng.normal(size=n), task, ("y",))
    if task == "multilabel":
        return cr.Dataset("t", X, (X[:, :3] > 0).astype(np.int64), task, ("a", "b", "c"))
    return cr.Dataset("t", X, np.digitize(signal, [-0.7, 0.7]), task, ("a", "b", "c"))


LOSSES = [
    (cr.SoftmaxCrossEntropy(0.1), lambda rng: rng.integers(0, 4, ROWS)),
    (cr.SoftmaxCrossEntropy(), lambda rng: rng.dirichlet(np.ones(4), ROWS)),
    (cr.SigmoidCrossEntropy(), lambda rng: rng.integers(0, 2, (ROWS, 4)).astype(float)),
    (cr.SquaredError(), lambda rng: rng.normal(size=(ROWS, 4))),
    (cr.Huber(), lambda rng: rng.normal(size=(ROWS, 4))),
    (cr.Poisson(), lambda rng: rng.poisson(2.0, (ROWS, 4)).astype(float)),
]
each_loss = pytest.mark.parametrize(
    ("loss", "draw"), LOSSES, ids=[f"{loss.kind}-{i}" for i, (loss, _) in enumerate(LOSSES)]
)


@each_loss
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("on", BOTH, ids=lambda on: on.name)
def test_the_loss_is_the_mean_of_the_members_losses(loss, draw, weighted, on):
    rng = np.random.default_rng(1)
    z, target = rng.normal(size=(ROWS, K * 4)), draw(rng)
    weight = rng.uniform(0.5, 2, ROWS) if weighted else None
    context = on.context(training=True)
    held = None if weight is None else on.array(weight)
    value, dz = mean_loss(loss, on.array(z), on.array(target), held, context, K)
    each = [loss(z[:, 4 * i : 4 * i + 4], target, weight, np) for i in range(K)]
    assert float(value) == pytest.approx(np.mean([float(one) for one, _ in each]), rel=1e-12)
    np.testing.assert_allclose(on.numpy(dz), np.concatenate([slope / K for _, slope in each], axis=1), atol=1e-14)


@each_loss
def test_stacked_networks_of_members_have_the_losses_and_gradients_that_each_has_alone(loss, draw):
    network = cr.mlp([6], activation="tanh", dropout=0.3, members=K).sized(N_IN, 4)
    rng, seeds = np.random.default_rng(2), (4, 9)
    held, x = generic(network, leading=(2,)), rng.normal(size=(2, ROWS, N_IN))
    target = np.stack([draw(rng), draw(rng)])
    both = objective(network.layers, held, loss, x, target, None, NUMPY.context(training=True, seed=seeds))
    for i, seed in enumerate(seeds):
        own = {name: value[i] for name, value in held.items()}
        one = objective(network.layers, own, loss, x[i], target[i], None, NUMPY.context(training=True, seed=seed))
        np.testing.assert_allclose(both.loss[i], one.loss, rtol=1e-12)
        for name, gradient in one.gradients.items():
            np.testing.assert_allclose(both.gradients[name][i], gradient, rtol=1e-10, atol=1e-13)


@each_loss
def test_combined_logits_predict_the_mean_of_what_the_members_predict(loss, draw):
    z = 3 * np.random.default_rng(3).normal(size=(ROWS, K, 4))
    np.testing.assert_allclose(loss.predict(loss.combined(z, np), np), loss.predict(z, np).mean(axis=1), rtol=1e-12)


@pytest.mark.parametrize(
    "loss", [cr.SoftmaxCrossEntropy(), cr.SigmoidCrossEntropy(), cr.Poisson()], ids=lambda one: one.kind
)
@pytest.mark.parametrize("size", [60.0, 1e4])
def test_combined_logits_are_finite_and_right_where_probabilities_are_0_and_1(loss, size):
    z = np.array([[[size, -size], [size, -size]]])
    found = loss.combined(z, np)
    assert np.isfinite(found).all()
    if loss.kind == "poisson":
        np.testing.assert_allclose(found, z[:, 0], rtol=1e-12)
    else:  # members that agree say what each says
        np.testing.assert_allclose(loss.predict(found, np), loss.predict(z[:, 0], np), rtol=1e-12)


@pytest.mark.parametrize("task", ["regression", "classification", "multilabel"])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_table_is_learnt_and_the_model_predicts_the_members_mean(task, backend, tmp_path):
    data = table(task)
    run = cr.train(cr.mlp([24], members=K), data, optimizer=cr.Adam(lr=1e-2), compute=cr.Compute(backend=backend),
                   training=cr.Training(epochs=25, batch_size=32), output=tmp_path / "run")  # fmt: skip
    losses = [row["validation_loss"] for row in run.history]
    assert losses[-1] < 0.7 * losses[0]
    model = cr.load_model(tmp_path / "run" / "model")
    scores = model.scores(data.X)
    assert scores.shape == (120, 1 if task == "regression" else 3)
    np.testing.assert_allclose(scores, run.model.scores(data.X), rtol=1e-6)
    x = model.preprocessing(data.X)
    z = forward(model.network.layers, model.parameters, x, NUMPY.context(training=False)).y.reshape(len(x), K, -1)
    mean = model.loss.predict(z, np).mean(axis=1)
    expected = model.target.back(mean) if task == "regression" else mean
    np.testing.assert_allclose(scores, expected, rtol=2e-4, atol=2e-4)
    row = cr.assess_run(cr.load_run(tmp_path / "run"), "validation", data)
    assert row.metrics["loss"] == pytest.approx(losses[-1], rel=1e-5)


def test_seeds_trained_together_have_the_bits_that_each_has_alone():
    network = cr.mlp([16], dropout=0.2, norm="batch", members=K)
    compute = cr.Compute(backend="numpy")
    runs = cr.train(network, table("classification"), training=EPOCHS, compute=compute, seeds=2)
    for seed, run in enumerate(runs):
        alone = cr.train(network, table("classification"), compute=compute,
                         training=cr.Training(epochs=3, batch_size=16, seed=seed))  # fmt: skip
        for name, value in alone.model.parameters.items():
            np.testing.assert_array_equal(run.model.parameters[name], value)


def test_a_run_of_members_that_was_stopped_goes_on_to_the_same_bits(tmp_path):
    network = cr.mlp([16], dropout=0.2, members=K)
    options = {"checkpoint": cr.Checkpoint(every_steps=2), "training": EPOCHS}
    whole = cr.train(network, table(), **options)

    class Stop(cr.Hook):
        def logged(self, row):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cr.train(network, table(), output=tmp_path / "run", hooks=[Stop()], **options)
    went_on = cr.train(network, table(), output=tmp_path / "run", resume=True, **options)
    for name, value in whole.model.parameters.items():
        np.testing.assert_array_equal(went_on.model.parameters[name], value)


def test_mixed_and_weighted_rows_train_members_too():
    data = table("classification")
    weighted = cr.Dataset("t", data.X, data.y, data.task, data.target_names, weight=np.linspace(0.5, 2, 120))
    run = cr.train(cr.mlp([8], members=K), weighted, augment=cr.Augment(mixup=0.4), training=EPOCHS)
    assert np.isfinite(run.history[-1]["validation_loss"])


def test_members_are_an_option_of_the_configuration():
    config = load(None, ["network.hidden=[8]", "network.members=4"])
    assert config.network.build() == cr.mlp([8], members=4)
    with pytest.raises(cr.ConfigError, match=r"network\.layers lists every layer, so network.members would do nothing"):
        load(None, ["network.layers=[{kind='linear'}]", "network.members=4"])


def test_a_network_of_members_is_diagnosed_like_any_other():
    from chainrule.diagnosis.probe import probe
    from chainrule.runs.start import planned
    from chainrule.training.step import resident, start

    plan = planned(load(None, ["network.hidden=[8]", "network.members=4", "compute.backend=numpy"]))
    found = probe(plan, resident(plan), start(plan).parameters, 0)
    assert found.loss == pytest.approx(np.log(10), rel=0.5)
    assert found.logits.shape[1] == 10
