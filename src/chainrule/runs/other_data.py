"""Other data than a run's own, as its model was trained: columns by name, labels numbered as its classes are."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from chainrule.data import Dataset
from chainrule.data.readers.values import check_row_shape
from chainrule.errors import DataError
from chainrule.runs.model import Model


def as_trained(model: Model, data: Dataset) -> Dataset:
    """The data with the model's columns in its order, and y numbered by its classes where these are all known to it.

    Columns without names are taken as they stand. Raises a DataError for a column that is not there, and for rows of
    another shape.
    """
    check_row_shape(data.name, data.row_shape, model.row_shape)
    return _numbered(model, _ordered(model, data))


def target_among(model: Model, source: str, names: Sequence[str]) -> str | None:
    """The target among a table's columns, for a model whose training named none; None where it is the last, as there.

    Raises a DataError where the last column is one of the model's and no other can be meant.
    """
    if not model.feature_names or not names or names[-1] not in model.feature_names:
        return None
    others = [name for name in names if name not in model.feature_names]
    wanted = [name for name in others if model.task != "classification" and name in model.target_names] or others
    if len(wanted) == 1:
        return wanted[0]
    if not others:
        raise DataError(f"{source}: has no column beside the model's own; to evaluate it needs the target, too.")
    raise DataError(
        f"{source}: its last column, {names[-1]!r}, is one that the model was trained on, and any of "
        f"{', '.join(map(repr, others[:5]))} may be the target. Put the target last."
    )


def _ordered(model: Model, data: Dataset) -> Dataset:
    wanted, there = tuple(model.feature_names), tuple(data.feature_names)
    if not wanted or not there or wanted == there:
        return data
    missing = next((name for name in wanted if name not in there), None)
    if missing is not None:
        raise DataError(f"{data.name}: there is no column {missing!r}, which the model was trained on.")
    places = [there.index(name) for name in wanted]
    categories = tuple(data.categories[i] for i in places) if data.categories else ()
    return replace(data, X=data.X[:, places], feature_names=wanted, categories=categories)


def _numbered(model: Model, data: Dataset) -> Dataset:
    known = {name: label for label, name in enumerate(model.target_names)}
    classes = data.task == model.task == "classification"
    if not classes or data.target_names == model.target_names or not known.keys() >= set(data.target_names):
        return data
    labels = np.array([known[name] for name in data.target_names], np.int64)
    return replace(data, y=labels[data.y], target_names=model.target_names)
