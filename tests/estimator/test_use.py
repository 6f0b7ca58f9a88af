"""The estimators where users have them: pipelines, searches, tables, sparse matrices, pickles, own validation rows."""

import pickle
import pickletools
from copy import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import chainrule as cr
from chainrule.estimator import inputs

X, Y = load_iris(return_X_y=True)
TABLE, LABELS = load_iris(return_X_y=True, as_frame=True)
XD, YD = load_diabetes(return_X_y=True)
QUICK = {"max_iter": 15, "random_state": 0, "learning_rate_init": 0.01}


def classifier(**more):
    return cr.MLPClassifier(**{"hidden_layer_sizes": (16,)} | QUICK | more)


def regressor(**more):
    return cr.MLPRegressor(**{"hidden_layer_sizes": (16,)} | QUICK | more)


def test_in_pipelines_searches_and_calibration():
    space = {"mlpclassifier__alpha": [1e-4, 1e-2], "mlpclassifier__schedule": ["constant", cr.Cosine(warm_up=1)],
             "mlpclassifier__dropout": [0.0, 0.1]}  # fmt: skip
    scaled = make_pipeline(StandardScaler().set_output(transform="pandas"), classifier())
    search = GridSearchCV(scaled, space, cv=3).fit(TABLE, LABELS)
    assert search.best_score_ > 0.8
    assert list(search.best_estimator_[-1].feature_names_in_) == list(TABLE.columns)
    assert cross_val_score(classifier(), X, Y).mean() > 0.8
    assert cross_val_predict(classifier(), X, Y, method="predict_proba").shape == (150, 3)
    assert cross_validate(regressor(), XD, YD, scoring=["r2", "neg_mean_absolute_error"])["test_r2"].mean() > 0.3
    assert CalibratedClassifierCV(classifier(), cv=3).fit(X, Y).score(X, Y) > 0.8


def test_a_clone_is_unfitted_and_trains_to_the_same_bits():
    first = classifier(solver=cr.AdamW(0.01), schedule=cr.Cosine(), norm="batch", dropout=[0.1]).fit(X, Y)
    other = clone(first)
    assert not hasattr(other, "models_")
    assert other.get_params() == first.get_params()
    np.testing.assert_array_equal(other.fit(X, Y).predict_proba(X), first.predict_proba(X))


@pytest.mark.parametrize("partly", [False, True])
def test_a_pickle_holds_numpy_arrays_and_specifications(partly):
    model = cr.MLPClassifier((700, 700), max_iter=1, n_members=2, random_state=0, callbacks=[cr.Hook()])  # by torch
    model = model.partial_fit(X, Y, classes=[0, 1, 2]) if partly else model.fit(X, Y)
    text = pickle.dumps(model)
    names = [name for opcode, name, _ in pickletools.genops(pickle.dumps(model, protocol=2)) if opcode.name == "GLOBAL"]
    assert {name.replace(" ", ".").split(".")[0] for name in names} <= {
        "chainrule",
        "numpy",
        "_codecs",
        "copy_reg",
        "__builtin__",
    }
    other = pickle.loads(text)
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    on, there = (each.partial_fit(X, Y).predict_proba(X) for each in (other, model))
    np.testing.assert_array_equal(on, there)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
def test_tables_are_checked_by_their_column_names(make):
    table = make({name: TABLE[name].to_numpy() for name in TABLE.columns})
    names = np.array(["a", "b", "c"])[Y]
    y = names if make is pd.DataFrame else pl.Series("y", names)
    model = classifier().fit(table, y)
    assert list(model.feature_names_in_) == list(TABLE.columns)
    assert set(model.predict(table)) <= {"a", "b", "c"}
    assert model.models_[0].feature_names == tuple(TABLE.columns)
    with pytest.raises(ValueError, match="Feature names must be in the same order as they were in fit"):
        model.predict(table[list(TABLE.columns[::-1])])
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing"):
        model.predict(table[list(TABLE.columns[:3])])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_rows_give_what_dense_ones_give(kind):
    x, y = load_digits(return_X_y=True)
    dense = classifier(max_iter=2).fit(x, y)
    model = classifier(max_iter=2).fit(kind(x), y)
    np.testing.assert_array_equal(model.predict_proba(kind(x)), dense.predict_proba(x))


def test_sparse_rows_are_predicted_in_parts_and_fitted_only_where_they_fit(monkeypatch):
    monkeypatch.setattr(inputs, "_BLOCK", 40)
    model = classifier().fit(X, Y)
    np.testing.assert_array_equal(model.predict_proba(sparse.csr_array(X)), model.predict_proba(X))
    monkeypatch.setattr(inputs, "available_memory", lambda: 1e9)
    with pytest.raises(cr.DataError) as caught:
        classifier().fit(sparse.csr_array((150, 10_000_000)), Y)
    assert str(caught.value) == (
        "X is sparse and would need 12.0 GB when dense, but 1.0 GB are free; keep fewer columns (SelectKBest, "
        "TruncatedSVD), or give it in parts to partial_fit"
    )


def test_after_a_one_hot_encoder():
    table = pd.DataFrame({"n": X[:, 0], "kind": np.array(["x", "y"])[Y % 2]})
    encoded = ColumnTransformer([("kind", OneHotEncoder(), ["kind"])], remainder="passthrough")
    assert make_pipeline(encoded, classifier()).fit(table, Y).score(table, Y) > 0.8


@pytest.mark.parametrize("n_members", [1, 2])
def test_partial_fit_goes_on_with_the_optimiser(n_members):
    how = {"random_state": 0, "batch_size": 150, "n_members": n_members, "learning_rate_init": 0.01}
    whole = cr.MLPClassifier((16,), max_iter=5, n_iter_no_change=99, **how).fit(X, Y)
    parts = cr.MLPClassifier((16,), **how)
    for _ in range(5):
        parts.partial_fit(X, Y, classes=[0, 1, 2])
    np.testing.assert_allclose(parts.predict_proba(X), whole.predict_proba(X), atol=1e-9)
    assert parts.n_iter_ == len(parts.loss_curve_) == 5
    assert [row["epoch"] for row in parts.history_] == [1, 2, 3, 4, 5]
    assert len(parts.models_) == n_members


def test_partial_fit_takes_parts_in_which_classes_are_missing():
    model = cr.MLPClassifier(random_state=0, learning_rate_init=0.01)
    for _ in range(30):
        for part in (slice(0, 60), slice(40, 50), slice(60, 150)):  # the second has one class alone
            model.partial_fit(X[part], Y[part], classes=[0, 1, 2])
    assert model.score(X, Y) > 0.85
    assert model.predict_proba(X[:1]).shape == (1, 3)


def test_partial_fit_refuses_what_it_cannot_know():
    with pytest.raises(ValueError, match="classes is None in the first call of partial_fit; name all classes"):
        classifier().partial_fit(X, Y)
    model = classifier().partial_fit(X[:100], Y[:100], classes=[0, 1])
    with pytest.raises(ValueError, match="y is 2 at row 100; expected one of the classes of the first fit, 0, 1"):
        model.partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"expected what the first call named, \[0, 1\]"):
        model.partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(cr.ConfigError, match=r"^solver is 'sgd', which cannot go on from the arrays of the last "
                       r"partial_fit's; set that one again, or begin anew with fit$"):  # fmt: skip
        model.set_params(solver="sgd").partial_fit(X[:100], Y[:100])
    with pytest.raises(ValueError, match="partial_fit does not know how many calls follow, use 'constant'"):
        classifier(schedule="cosine").partial_fit(X, Y, classes=[0, 1, 2])


def test_partial_fit_of_labels_and_numbers():
    x, y = make_multilabel_classification(60, 5, n_classes=3, random_state=0)
    model = classifier().partial_fit(x, y).partial_fit(x, y)
    assert model.predict(x).shape == (60, 3)
    with pytest.raises(ValueError, match="y has 2 labels a row; expected 3 labels a row, as in the first fit"):
        model.partial_fit(x, y[:, :2])
    numbers = regressor()
    for _ in range(15):
        numbers.partial_fit(XD, YD)
    assert numbers.n_iter_ == 15
    assert numbers.score(XD, YD) > 0.4


def test_warm_start_goes_on_from_the_weights():
    cold, warm = classifier(max_iter=4), classifier(max_iter=4, warm_start=True)
    before = warm.fit(X, Y).loss_
    assert cold.fit(X, Y).fit(X, Y).loss_ == before
    warm.set_params(max_iter=3).fit(X, Y)
    assert warm.loss_curve_[4] < before
    assert warm.n_iter_ == len(warm.loss_curve_) == 7
    with pytest.raises(ValueError, match=r"0\.W has shape \(4, 16\), expected \(4, 8\)"):
        warm.set_params(hidden_layer_sizes=8).fit(X, Y)
    with pytest.raises(ValueError, match="n_members is 2, but 1 were trained before; it cannot change now"):
        warm.set_params(hidden_layer_sizes=16, n_members=2).fit(X, Y)


def test_several_labels_and_several_numbers():
    x, y = make_multilabel_classification(200, 8, n_classes=4, random_state=0)
    model = classifier(max_iter=60, early_stopping=True).fit(x, y)
    p = model.predict_proba(x)
    assert p.shape == (200, 4)
    assert ((p >= 0.5) == model.predict(x)).all()
    assert (model.predict(x) == y).mean() > 0.75
    assert len(model.validation_scores_) == model.n_iter_
    two = np.stack([YD, -2 * YD + 5], axis=1)
    numbers = regressor(early_stopping=True).fit(XD, two)
    assert numbers.predict(XD).shape == two.shape
    assert numbers.score(XD, two) > 0.3


@pytest.mark.parametrize("loss", ["huber", "poisson", cr.Huber(0.5)])
def test_losses_of_a_regression(loss):
    assert regressor(loss=loss, max_iter=100).fit(XD, YD).score(XD, YD) > 0.3


def test_own_validation_rows_decide():
    train, held = np.arange(0, 150, 2), np.arange(1, 150, 2)
    model = classifier(early_stopping=True, max_iter=60).fit(
        TABLE.iloc[train], LABELS[train], X_val=TABLE.iloc[held], y_val=LABELS[held]
    )
    assert model.best_validation_score_ == model.score(TABLE.iloc[held], LABELS[held]) == max(model.validation_scores_)
    assert len(model.validation_loss_curve_) == len(model.loss_curve_) == model.n_iter_
    alone = classifier(early_stopping=False).fit(X[train], Y[train])
    watched = classifier(early_stopping=False).fit(X[train], Y[train], X_val=X[held], y_val=Y[held])
    np.testing.assert_array_equal(alone.coefs_[0], watched.coefs_[0])
    assert alone.validation_scores_ is None
    assert len(watched.validation_scores_) == watched.n_iter_


def test_own_validation_rows_are_checked():
    with pytest.raises(ValueError, match="y_val is None; give X_val and y_val, or neither"):
        classifier().fit(X, Y, X_val=X)
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        classifier().fit(TABLE, LABELS, X_val=TABLE[list(TABLE.columns[::-1])], y_val=LABELS)
    with pytest.raises(ValueError, match="y is 7 at row 0; expected one of the classes of the first fit, 0, 1, 2"):
        classifier().fit(X, Y, X_val=X, y_val=Y + 7)
    with pytest.raises(ValueError, match=r"y_val has shape \(442, 1\); expected \('n_rows',\), as y"):
        regressor().fit(XD, YD, X_val=XD, y_val=YD[:, None])


def own(estimator, x, y):
    return -log_loss(y, estimator.predict_proba(x), labels=estimator.classes_)


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("scoring", ["balanced_accuracy", "neg_log_loss", own, "loss", None])
def test_any_scorer_stops_and_its_best_epoch_is_kept(scoring, n_members):
    names = np.array(["a", "b", "c"])[Y]
    rows, held = np.arange(0, 150, 2), np.arange(1, 150, 2)
    model = classifier(early_stopping=True, scoring=scoring, n_members=n_members, max_iter=300, n_iter_no_change=3,
                       learning_rate_init=0.03)  # fmt: skip
    model.fit(X[rows], names[rows], X_val=X[held], y_val=names[held])
    scores = model.validation_scores_
    assert model.n_iter_ == len(scores) < 300
    assert model.best_validation_score_ == max(scores)
    first = copy(model)
    first.models_ = model.models_[:1]
    p, y = first.predict_proba(X[held]), names[held]
    kept = (
        balanced_accuracy_score(y, first.predict(X[held]))
        if scoring in ("balanced_accuracy", None)
        else -log_loss(y, p)
    )
    assert kept == pytest.approx(max(scores), abs=1e-9)


def test_a_scorer_of_a_regression_and_what_is_none():
    model = regressor(early_stopping=True, scoring="neg_median_absolute_error").fit(XD, YD)
    assert -100 < model.best_validation_score_ < 0
    with pytest.raises(ValueError, match="scoring is 3; expected None, 'loss', a scorer's name or a callable"):
        regressor(early_stopping=True, scoring=3).fit(XD, YD)


@pytest.mark.parametrize("first", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_not_the_best(first):
    given = iter([first, 0.25, 0.75, np.nan, 0.5])
    model = classifier(early_stopping=True, scoring=lambda *_: next(given), max_iter=5).fit(X, Y)
    assert model.best_validation_score_ == 0.75
    model.history_ = [
        row | {"objective": value} for row, value in zip(model.history_, [np.nan, 3, 1, np.nan, 2], strict=True)
    ]
    assert model.best_loss_ == 1


@pytest.mark.parametrize("given", [None, "a", [0.5, 0.6]])
def test_a_scorer_that_gives_no_number_is_refused(given):
    def own(estimator, X, y):
        return given

    with pytest.raises(cr.ConfigError) as caught:
        classifier(early_stopping=True, scoring=own).fit(X, Y)
    assert str(caught.value) == f"scoring is {own!r}, which gave {given!r}; expected a number"


def undefined(estimator, X, y):
    return float("nan")


@pytest.mark.parametrize("n_members", [1, 2])
def test_a_score_that_is_never_a_number_is_refused(n_members):
    model = classifier(early_stopping=True, scoring=undefined, max_iter=3, n_members=n_members)
    with pytest.raises(cr.ConfigError, match=r"^scoring is <function undefined at .*>, and the score of the validation "
                       "rows was nan after every one of 3 epochs; expected numbers, give more validation rows or another "
                       "scorer$"):  # fmt: skip
        model.fit(X, Y)
    watched = classifier(scoring=undefined, max_iter=3).fit(X, Y, X_val=X, y_val=Y)  # it decides nothing
    assert np.isnan(watched.validation_scores_).all()


def test_members_are_averaged_and_beside_each_other():
    one = [classifier(random_state=seed).fit(X, Y) for seed in (0, 1, 2)]
    three = classifier(n_members=3).fit(X, Y)
    mean = np.mean([model.predict_proba(X) for model in one], axis=0)
    np.testing.assert_allclose(three.predict_proba(X), mean, atol=1e-12)
    assert not hasattr(three, "coefs_")
    with pytest.raises(AttributeError, match="3 members have no one set of weights; see models_"):
        three._folded()


def test_callbacks_watch_and_the_history_is_theirs():
    class Seen(cr.Hook):
        def __init__(self):
            self.rows = []

        def logged(self, row):
            self.rows.append(row)

    seen = Seen()
    model = classifier(callbacks=[seen]).fit(X, Y)
    assert [row["batch_loss"] for row in seen.rows] == [row["batch_loss"] for row in model.history_]
    assert set(model.history_[0]) >= {"batch_loss", "penalty", "objective", "gradient_norm", "lr"}


def test_a_class_whose_rows_all_weigh_nothing_stays_a_class():
    model = classifier(class_weight="balanced").fit(X, Y, sample_weight=np.where(Y == 2, 0.0, 1.0))
    assert model.predict_proba(X).shape == (150, 3)
    assert 2 not in model.predict(X)


def test_data_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="y has 1 class, 0; a classifier needs two classes"):
        classifier().fit(X, 0 * Y)
    for weight, message in ((np.ones(3), r"sample_weight has shape \(3,\); expected \(150,\)"),
                            (-np.ones(150), "sample_weight is -1 at row 0; weights must be at least 0"),
                            (np.zeros(150), "every sample_weight is zero; at least one row must count")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            classifier().fit(X, Y, sample_weight=weight)
    several = classifier(class_weight="balanced")
    with pytest.raises(
        ValueError, match="class_weight is for one class a row, and y has several labels; use sample_weight"
    ):
        several.fit(*make_multilabel_classification(20, 3, n_classes=3, random_state=0))
    with pytest.raises(
        ValueError, match=r"label_smoothing is 0\.1 for several labels a row; it is for one class a row, set 0"
    ):
        classifier(label_smoothing=0.1).fit(*make_multilabel_classification(20, 3, n_classes=3, random_state=0))


def test_members_that_share_their_weights_are_one_network_whose_predictions_are_averaged():
    shared = classifier(n_members=4, members="shared", schedule="coslog", max_iter=150).fit(X, Y)
    assert len(shared.models_) == 1
    assert shared.models_[0].network == cr.mlp([16], members=4).sized(4, 3)
    assert shared.score(X, Y) > 0.9
    np.testing.assert_allclose(shared.predict_proba(X).sum(axis=1), 1)
    again = pickle.loads(pickle.dumps(shared))
    np.testing.assert_array_equal(again.predict_proba(X), shared.predict_proba(X))
    separate = classifier(n_members=4).fit(X, Y)
    assert [model.network for model in separate.models_] == [cr.mlp([16]).sized(4, 3)] * 4
    with pytest.raises(ValueError, match=r"^members is 'together'; expected 'separate' or 'shared'$"):
        classifier(members="together").fit(X, Y)
    assert regressor(n_members=4, members="shared", max_iter=60).fit(XD, YD).score(XD, YD) > 0.3
