"""What users rely on in a run: the same bits for the same seed, the same history on every backend, evaluation mode."""

import re

import numpy as np
import pytest

import chainrule as cr

DIGITS = cr.read("digits")
FLOAT64 = {name: cr.Compute(backend=name, precision="float64", threads=1) for name in ("numpy", "torch")}


def quick(network: cr.Network | None = None, **options) -> cr.Run:
    options = {"training": cr.Training(epochs=2), "compute": cr.Compute(backend="numpy", threads=1)} | options
    return cr.train(network or cr.mlp([16]), DIGITS, **options)


def columns(run: cr.Run) -> list[dict[str, float]]:
    """The history without what a clock decides."""
    return [{k: v for k, v in row.items() if k not in ("seconds", "rows_per_second")} for row in run.history]


def test_the_same_seed_gives_the_same_bits():
    first, second = quick(), quick()
    assert columns(first) == columns(second)
    for name, value in first.model.parameters.items():
        np.testing.assert_array_equal(value, second.model.parameters[name])


def test_another_seed_gives_another_run_on_the_same_split():
    first, second = quick(), quick(training=cr.Training(epochs=2, seed=1))
    assert columns(first) != columns(second)
    assert first.metrics["rows"] == second.metrics["rows"]


@pytest.mark.parametrize(
    ("optimizer", "clip_norm"),
    [
        (cr.SGD(0.05, momentum=0.9, nesterov=True), None),
        (cr.Adam(), 0.5),
        (cr.AdamW(weight_decay=0.1), None),
        (cr.RMSprop(), None),
    ],
)  # fmt: skip
def test_numpy_and_torch_give_the_same_history_for_the_first_100_steps(optimizer, clip_norm):
    network = cr.mlp([24, 16], dropout=[0.3, 0], norm=[None, "batch"], activation="gelu")
    histories = []
    for compute in FLOAT64.values():
        run = cr.train(
            network,
            DIGITS,
            optimizer=optimizer,
            schedule=cr.Cosine(warm_up=0.5),
            training=cr.Training(iterations=100, batch_size=64, penalty=1e-3, clip_norm=clip_norm),
            evaluation=cr.Evaluation(every_steps=1),
            compute=compute,
        )
        histories.append(columns(run))
    assert len(histories[0]) == 100
    for ours, theirs in zip(*histories, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-8, abs=1e-8), (name, ours["step"])


def test_history_has_every_column_and_the_objective_is_loss_plus_penalty():
    run = quick(training=cr.Training(epochs=3, penalty=0.01))
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    for row in run.history:
        assert set(row) == {
            "step", "epoch", "lr", "batch_loss", "train_loss", "train_accuracy", "validation_loss",
            "validation_accuracy",
            "penalty", "objective", "gradient_norm", "gradient_norms", "update_ratios", "seconds", "rows_per_second",
        }  # fmt: skip
        assert row["objective"] == pytest.approx(row["train_loss"] + row["penalty"])
    weights = [run.model.parameters[name].astype(float) for name in run.model.network.weights]
    assert run.history[-1]["penalty"] == pytest.approx(0.01 * sum(np.sum(W**2) for W in weights), rel=1e-6)


def test_metrics_are_in_evaluation_mode_over_all_rows():
    """Recomputed by hand from the saved parameters, without dropout and with the running statistics."""
    network = cr.mlp([32], dropout=0.5, norm="batch")
    run = quick(network, compute=FLOAT64["numpy"])
    rows = cr.split(DIGITS, run.config.data.split)
    for part, sample in (("train", rows.train), ("validation", rows.validation)):
        predicted = run.model.predict(DIGITS.X[sample])
        truth = np.array(DIGITS.target_names)[DIGITS.y[sample]]
        assert run.history[-1][f"{part}_accuracy"] == pytest.approx(np.mean(predicted == truth))


def test_the_best_row_is_the_best_and_kept_when_asked():
    run = quick(
        optimizer=cr.Adam(0.05),
        training=cr.Training(epochs=8),
        evaluation=cr.Evaluation(monitor="validation_accuracy", keep="best"),
    )
    best = max(row["validation_accuracy"] for row in run.history)
    assert run.metrics["model"]["validation_accuracy"] == best == run.metrics["best"]["validation_accuracy"]
    assert run.best is not None
    found = cr.assess_run(run, "validation")
    assert found.metrics["accuracy"] == pytest.approx(best)


def test_early_stopping_stops_after_patience_rows_without_improvement():
    run = quick(
        optimizer=cr.SGD(1e-12),
        training=cr.Training(epochs=50),
        evaluation=cr.Evaluation(monitor="validation_accuracy", patience=3),
    )
    assert len(run.history) == 4


def test_iterations_stop_mid_epoch_and_are_measured():
    run = quick(training=cr.Training(iterations=50, batch_size=32))
    assert [row["step"] for row in run.history] == [41, 50]
    assert run.metrics["steps"] == 50


def test_bfloat16_trains_with_float32_masters():
    compute = cr.Compute(backend="torch", precision="bfloat16")
    run = quick(
        cr.mlp([64], dropout=0.2, norm="layer"), compute=compute, training=cr.Training(epochs=20, batch_size=32)
    )
    assert {value.dtype for value in run.model.parameters.values()} == {np.dtype("float32")}
    assert run.history[-1]["validation_accuracy"] > 0.9


def test_sample_weights_equal_repeated_rows():
    """One full batch a step, so a weight of 2 and a row given twice are the same objective."""
    X, y = DIGITS.X[:40], DIGITS.y[:40]
    names = DIGITS.target_names
    weight = np.where(np.arange(40) < 10, 2.0, 1.0)
    options = {
        "split": cr.Split(test=0, validation=0, order="file"),
        "preprocessing": "none",
        "compute": FLOAT64["numpy"],
    }
    weighted = cr.Dataset("weighted", X, y, "classification", names, weight=weight)
    repeated = cr.Dataset("repeated", np.concatenate([X, X[:10]]), np.concatenate([y, y[:10]]), "classification", names)
    runs = [
        cr.train(cr.mlp([8]), data, training=cr.Training(iterations=5, batch_size=data.n_rows), **options)
        for data in (weighted, repeated)
    ]
    for name, value in runs[0].model.parameters.items():
        np.testing.assert_allclose(value, runs[1].model.parameters[name], atol=1e-12)
    assert runs[0].history[-1]["train_loss"] == pytest.approx(runs[1].history[-1]["train_loss"])


def regression_data(n: int = 400) -> cr.Dataset:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 5))
    y = 1000 + 300 * (X[:, 0] - 2 * X[:, 1]) + 10 * rng.normal(size=n)
    return cr.Dataset("line", X, y, "regression", ("price",))


@pytest.mark.parametrize("loss", [None, cr.Huber()])
def test_regression_predicts_in_the_targets_own_units(loss):
    data = regression_data()
    run = cr.train(
        cr.mlp([32]), data, loss=loss, training=cr.Training(epochs=60, batch_size=32), optimizer=cr.Adam(5e-3)
    )
    assert run.history[-1]["validation_rmse"] < 60
    assert run.model.predict(data.X[:3]).shape == (3,)
    assert abs(run.model.predict(data.X).mean() - data.y.mean()) < 30


def test_poisson_and_multilabel_train():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    counts = cr.Dataset("counts", X, rng.poisson(np.exp(0.5 * X[:, 0])).astype(float), "regression", ("n",))
    run = cr.train(cr.mlp([16]), counts, loss=cr.Poisson(), training=cr.Training(epochs=20, batch_size=32))
    assert run.history[-1]["train_loss"] < run.history[0]["train_loss"]
    assert (run.model.predict(X) > 0).all()
    labels = cr.Dataset("labels", X, (X[:, :3] > 0).astype(np.int64), "multilabel", ("a", "b", "c"))
    run = cr.train(cr.mlp([16]), labels, training=cr.Training(epochs=40, batch_size=32), optimizer=cr.Adam(1e-2))
    assert run.history[-1]["validation_label_accuracy"] > 0.9
    assert set(np.unique(run.model.predict(X))) <= {0, 1}


def test_a_diverging_run_stops_with_the_step_and_what_to_do():
    with (
        np.errstate(all="raise"),
        pytest.raises(
            cr.DivergenceError, match=r"is (nan|inf) at step \d+.*layer \d \(.*\(epoch .*learning rate 1e\+06\)"
        ) as caught,
    ):
        quick(cr.mlp([16, 16]), optimizer=cr.SGD(1e6), training=cr.Training(epochs=5))
    assert "lower optimizer.lr tenfold" in str(caught.value)


def test_a_rows_prediction_does_not_depend_on_its_neighbours():
    model = quick().model
    alone = np.concatenate([model.scores(DIGITS.X[i : i + 1]) for i in range(5)])
    np.testing.assert_array_equal(alone, model.scores(DIGITS.X)[:5])


def test_hooks_see_the_plan_each_row_and_the_run():
    class Seen(cr.Hook):
        def __init__(self):
            self.events = []

        def started(self, begun):
            self.events.append(("started", begun.plan.n_steps))

        def logged(self, row):
            self.events.append(("logged", row["step"]))

        def finished(self, run):
            self.events.append(("finished", len(run.history)))

    seen = Seen()
    quick(training=cr.Training(epochs=2, batch_size=1294), hooks=[seen])
    assert seen.events == [("started", 2), ("logged", 1), ("logged", 2), ("finished", 2)]


def test_large_offsets_lose_nothing():
    """Seconds since 1970: float32 would round them to two minutes."""
    t = 1.7e9 + np.arange(60.0)
    data = cr.Dataset(
        "times", t[:, None], (np.arange(60) >= 30).astype(np.int64), "classification", ("before", "after")
    )
    run = cr.train(cr.mlp([8]), data, optimizer=cr.Adam(0.05), training=cr.Training(epochs=30, batch_size=8))
    assert run.history[-1]["train_accuracy"] > 0.95


def test_a_small_table_needs_no_smaller_batch_and_the_size_is_written(tmp_path):
    data = regression_data(40)
    run = cr.train(cr.mlp([4]), data, training=cr.Training(epochs=1), output=tmp_path / "run")
    assert run.config.training.batch_size == 29
    assert "batch_size = 29" in (tmp_path / "run" / "config.toml").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"training": cr.Training(batch_size=5000)},
            "training.batch_size 5000 is more than the 1294 training rows; set it to at most 1294",
        ),
        (
            {"training": cr.Training(batch_size=1)},
            "training.batch_size 1 with batch norm: one row standardises to 0, whatever it is; set training.batch_size "
            "to 2 or more, or use norm 'layer'",
        ),
        (
            {"split": cr.Split(validation=0), "evaluation": cr.Evaluation(keep="best")},
            "evaluation.monitor 'validation_loss' needs validation rows, but data.split.validation is 0; "
            "set it to 0.1, or drop evaluation.keep and evaluation.patience",
        ),
    ],
)
def test_options_that_do_not_fit_the_data_are_refused(options, message):
    with pytest.raises(cr.ConfigError) as caught:
        cr.train(cr.mlp([4], norm="batch"), DIGITS, **options)
    assert str(caught.value) == message


def test_what_is_no_network_and_no_data_is_refused():
    with pytest.raises(cr.ConfigError, match=r"^network is \[100\]; expected a Network, such as mlp\(\[100\]\)$"):
        cr.train([100], DIGITS)
    with pytest.raises(cr.ConfigError, match=r"^data is array.*; expected a Dataset: what `read` gives, or Dataset\("):
        cr.train(cr.mlp(), DIGITS.X)
    for hooks in (cr.Hook(), [cr.Hook]):
        with pytest.raises(cr.ConfigError, match=r"^hooks is .*; expected a list of Hooks$"):
            cr.train(cr.mlp(), DIGITS, hooks=hooks)
    for initial in (3, [cr.mlp()]):
        with pytest.raises(cr.ConfigError, match=r"^initial is .*; expected what an earlier run left, `run.end`, or"):
            cr.train(cr.mlp(), DIGITS, initial=initial)
    for config in ({"training": {"epochs": 1}}, "digits.toml"):
        with pytest.raises(cr.ConfigError, match=r"^config is .*; expected a Config, such as Config\(training="):
            cr.train_config(config)


@pytest.mark.parametrize("seeds", [None, 2])
@pytest.mark.parametrize("limit", ["30m", "60", 0, 0.0, -1.0, float("nan"), True])
def test_a_time_limit_is_a_number_of_seconds(limit, seeds, tmp_path):
    message = f"^time_limit is {limit!r}; expected a number of seconds above 0, such as 1800, or None$"
    with pytest.raises(cr.ConfigError, match=message):
        cr.train(cr.mlp([4]), DIGITS, time_limit=limit, seeds=seeds, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_is_assessed_on_data_with_a_compute():
    run = cr.train(cr.mlp([4]), DIGITS, training=cr.Training(epochs=1))
    wrong = {
        "run is 'x'; expected a Run: what `train` or `load_run` gives": ("x",),
        "data is 'digits'; expected a Dataset: what `read` gives, or Dataset(name, X, y, ...)": (run, "test", "digits"),
    }
    for message, given in wrong.items():
        with pytest.raises(cr.ConfigError, match=f"^{re.escape(message)}$"):
            cr.assess_run(*given)
    asked = r"^compute is 'numpy'; expected a Compute, such as Compute\(\"numpy\"\)$"
    with pytest.raises(cr.ConfigError, match=asked):
        cr.assess_run(run, compute="numpy")
    with pytest.raises(cr.ConfigError, match=asked):
        run.model.predict(DIGITS.X[:3], "numpy")


def test_a_run_knows_where_its_data_are(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("a,b,c\n" + "\n".join(f"{i % 7},{i % 3},{i % 2}" for i in range(60)))
    data = cr.read(str(table), target="a", task="classification")
    run = cr.train(cr.mlp([4]), data, training=cr.Training(epochs=1), output=tmp_path / "run")
    assert cr.assess_run(cr.load_run(tmp_path / "run"), "validation") == cr.assess_run(run, "validation", data)


def test_parts_that_are_not_there_are_refused():
    run = cr.train(cr.mlp([4]), DIGITS, training=cr.Training(epochs=1), split=cr.Split(validation=0))
    with pytest.raises(cr.ConfigError, match=r"^part is 'tests'; expected one of train, validation, test$"):
        cr.assess_run(run, "tests")
    with pytest.raises(cr.DataError, match=r"^digits: the run's split has no validation rows"):
        cr.assess_run(run, "validation")


def test_data_given_in_python_are_asked_for_again(tmp_path):
    data = regression_data()
    run = cr.train(cr.mlp([4]), data, training=cr.Training(epochs=1))
    assert cr.assess_run(run, "test", data).n == 80
    with pytest.raises(cr.DataError, match="line: the run was trained on data given in Python"):
        cr.assess_run(run, "test")


def test_metrics_that_are_not_finite_stop_the_run_whatever_part_they_are_of():
    X = np.random.default_rng(0).normal(size=(40, 2))
    X[-10:] = 1e300
    data = cr.Dataset("far", X, np.arange(40) % 2, "classification", ("a", "b"))
    with pytest.raises(cr.DivergenceError, match="validation_loss is nan"):
        cr.train(cr.mlp([4]), data, split=cr.Split(test=0, validation=10, order="file"), training=cr.Training(epochs=2))


def test_a_model_with_values_no_model_has_is_damaged(tmp_path):
    model = quick().model
    model.parameters["0.W"][3, 2] = np.nan
    model.save(tmp_path)
    with pytest.raises(cr.DamagedError, match=r"array 'network\.0\.W' holds values that no model has"):
        cr.load_model(tmp_path)


def test_rows_too_far_to_predict_are_named():
    rows = DIGITS.X[:3].astype(float)
    rows[1] = 1e308
    with pytest.raises(cr.DataError, match="row 1 gives outputs that are not finite"):
        quick().model.predict(rows)
