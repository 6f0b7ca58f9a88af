"""What is compared: each method takes a table, a split and a seed, and gives what it predicts for the test rows.

All have the same training rows, and the same validation rows to stop by or to choose their best epoch by.
"""

import contextlib
import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sets import Parts, Table
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

import chainrule as cr

Predict = Callable[[Table, Parts, int], np.ndarray]


def boosting(table: Table, rows: Parts, seed: int) -> np.ndarray:
    """scikit-learn's gradient boosting with its defaults, but as many trees as the validation rows ask for."""
    cls = HistGradientBoostingClassifier if table.task == "classification" else HistGradientBoostingRegressor
    model = cls(max_iter=1000, early_stopping=True, n_iter_no_change=20, random_state=seed)
    X, y = table.X, table.y
    model.fit(X[rows.train], y[rows.train], X_val=X[rows.validation], y_val=y[rows.validation])
    return model.predict(X[rows.test])


def realmlp_td_s(table: Table, rows: Parts, seed: int) -> np.ndarray:
    """pytabkit's RealMLP-TD-S with its defaults."""
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    from pytabkit.models.sklearn.sklearn_interfaces import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

    cls = RealMLP_TD_S_Classifier if table.task == "classification" else RealMLP_TD_S_Regressor
    X, y = table.X, table.y if table.task == "classification" else table.y.astype(np.float32)
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        model = cls(device="cpu", random_state=seed, n_threads=1, verbosity=0)
        model.fit(X[rows.train], y[rows.train], X[rows.validation], y[rows.validation])
        return np.asarray(model.predict(X[rows.test])).reshape(-1)


def estimator(table: Table, rows: Parts, seed: int) -> np.ndarray:
    """Our estimators with their defaults: 100 hidden units, Adam, the best of at most 200 epochs."""
    cls = cr.MLPClassifier if table.task == "classification" else cr.MLPRegressor
    model = cls(early_stopping=True, random_state=seed)
    X, y = table.X, table.y
    model.fit(X[rows.train], y[rows.train], X_val=X[rows.validation], y_val=y[rows.validation])
    return model.predict(X[rows.test])


def recipe(table: Table, rows: Parts, seed: int) -> np.ndarray:
    """Our recipe for tables with its defaults, its best epoch chosen by what the table reports."""
    order, n = np.concatenate([rows.train, rows.validation]), len(rows.validation)
    X, y, classes = table.X[order], table.y[order], table.task == "classification"
    names = tuple(map(str, range(int(y.max()) + 1))) if classes else ("y",)
    options = cr.tabular(table.task, metric="accuracy" if classes else "rmse", seed=seed)
    split = cr.Split(test=0, validation=n, order="file")
    run = cr.train(data=cr.Dataset("table", X, y, table.task, names), split=split, **options)
    scores = run.model.scores(table.X[rows.test])
    return scores.argmax(axis=1) if classes else scores[:, 0]


METHODS: dict[str, Predict] = {
    "recipe": recipe,
    "plain MLP": estimator,
    "boosting": boosting,
    "RealMLP-TD-S": realmlp_td_s,
}
