"""Frames with words and gaps in the estimators: fit, predict, searches, pickles, validation rows, partial_fit."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score

import chainrule as cr
from chainrule.estimator import inputs
from tabular import written

SHORT = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


@pytest.fixture(scope="module")
def frame(tmp_path_factory) -> pd.DataFrame:
    frame = pd.read_csv(written(tmp_path_factory.mktemp("frame"), 200))
    return frame.assign(flag=frame["size"] > 1, kind=pd.Categorical(np.where(frame["age"] > 0, "a", "b")))


@pytest.fixture(scope="module")
def X(frame: pd.DataFrame) -> pd.DataFrame:  # noqa: N802
    return frame.drop(columns="price")


@pytest.fixture(scope="module")
def y(frame: pd.DataFrame) -> np.ndarray:
    return np.where(frame["price"] > frame["price"].median(), "high", "low")


def test_it_learns_from_words(frame, X) -> None:
    model = cr.MLPRegressor((32,), max_iter=60, learning_rate_init=5e-3, random_state=0).fit(X, frame["price"])
    assert model.score(X, frame["price"]) > 0.8
    assert model.feature_names_in_.tolist() == list(X.columns)


def test_it_is_train_on_the_same_table(frame, X) -> None:
    """The same path: the frame read as a data set and trained has the same arrays."""
    model = cr.MLPRegressor(**SHORT, alpha=0.0).fit(X, frame["price"])
    data = cr.read(frame[[*X.columns, "price"]], target="price")
    run = cr.train(cr.mlp([8]), data, split=cr.Split(test=0, validation=0), compute=model._compute,
                   training=cr.Training(epochs=3, batch_size=200))  # fmt: skip
    for name, array in run.model.parameters.items():
        np.testing.assert_array_equal(model.models_[0].parameters[name], array)


def test_polars_says_the_same(X, y) -> None:
    other = pl.from_pandas(X.assign(kind=X["kind"].astype(str)))
    expected = cr.MLPClassifier(**SHORT).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(cr.MLPClassifier(**SHORT).fit(other, y).predict_proba(other), expected)


def test_pickles_and_searches(X, y) -> None:
    search = GridSearchCV(cr.MLPClassifier(**SHORT), {"alpha": [1e-4, 1e-2]}, cv=2).fit(X, y)
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    assert np.isfinite(cross_val_score(cr.MLPClassifier(**SHORT), X, y, cv=3)).all()


def test_validation_rows_members_weights_and_scorers(X, y) -> None:
    held = X[:40].assign(city="elsewhere")
    model = cr.MLPClassifier(**SHORT, n_members=2, early_stopping=True, scoring="roc_auc")
    model.fit(X[40:], y[40:], np.r_[np.zeros(10), np.ones(150)], X_val=held, y_val=y[:40])
    assert len(model.validation_scores_) == 3
    assert np.isfinite(model.predict_proba(held)).all()


def test_partial_fit_and_warm_start_keep_the_words_of_the_first_rows(X, y) -> None:
    model = cr.MLPClassifier(**SHORT).partial_fit(X[:100], y[:100], classes=["high", "low"])
    before = model.models_[0].preprocessing
    model.partial_fit(X[100:].assign(city="new"), y[100:])
    assert model.models_[0].preprocessing is before
    warm = cr.MLPClassifier(**SHORT, warm_start=True).fit(X[:100], y[:100]).fit(X, y)
    assert warm.n_iter_ == 6


def test_a_frame_of_plain_numbers_is_as_an_array(X, y) -> None:
    plain = X[["size", "const"]]
    by_frame, by_array = (cr.MLPClassifier(**SHORT).fit(Z, y) for Z in (plain, plain.to_numpy()))
    np.testing.assert_array_equal(by_frame.predict_proba(plain), by_array.predict_proba(plain.to_numpy()))


def test_refused(X, y) -> None:
    model = cr.MLPClassifier(**SHORT).fit(X, y)
    with pytest.raises(
        cr.DataError, match="X is an array of numbers, and this model takes words in 3 of its 7 columns"
    ):
        model.predict(np.zeros((2, 7)))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(X[X.columns[::-1]])
    with pytest.raises(cr.ConfigError, match="standardise is False, and X has words or gaps, which are prepared"):
        cr.MLPClassifier(**SHORT, standardise=False).fit(X, y)
    with pytest.raises(ValueError, match="NaN"):
        cr.MLPClassifier(**SHORT).fit(X[["size", "age"]].to_numpy(), y)
    with pytest.raises(cr.DataError, match="column 'when' holds dates or times"):
        cr.MLPClassifier(**SHORT).fit(X.assign(when=pd.Timestamp(0)), y)
    for twice in (X.rename(columns={"size": "age"}), pd.DataFrame(np.ones((len(X), 2)), columns=["age", "age"])):
        message = r"^frame: two columns are called 'age'\. Rename or remove one of them\.$"
        with pytest.raises(cr.DataError, match=message):
            cr.MLPClassifier(**SHORT).fit(twice, y)
        with pytest.raises(cr.DataError, match=message):
            model.predict(twice)
    with pytest.raises(AttributeError, match="has no weights of its columns"):
        model.coefs_  # noqa: B018


def test_names_of_columns_are_checked_once_a_fit(X, y, monkeypatch):
    asked = []
    monkeypatch.setattr(inputs, "check_names", asked.append)
    for frame in (X, X[["size", "flag"]].assign(size=1.0)):  # with words, and without
        cr.MLPClassifier(**SHORT).fit(frame, y)
        assert [one is frame for one in asked] == [True]
        asked.clear()
