"""Findings about the data of a training that goes on from a model, whose preprocessing stands in for the kind asked for."""

import numpy as np

import chainrule as cr
from chainrule.diagnosis.data import _scales
from chainrule.runs.start import planned, starting
from chainrule.training.config import Config, DataOptions
from chainrule.training.step import resident

X = np.random.default_rng(0).normal(size=(100, 3))
NAMES = ("a", "b", "c")


def made(rows, **more):
    return cr.Dataset("made", rows, (X[:, 0] > 0).astype(int), "classification", ("no", "yes"), NAMES, **more)


def test_prepared_columns_are_on_one_scale_whatever_kind_was_asked_for():
    gaps = np.where(np.arange(100)[:, None] < 20, [[0.0, np.nan, 0.0]], X)
    once = cr.Training(iterations=1)
    model = cr.train(cr.mlp([4]), made(gaps, categories=(None,) * 3), training=once).model
    config = starting(Config(DataOptions(preprocessing="none"), training=once), model)
    decided = planned(config, made(X * [1e6, 1.0, 1e-3]), start=model)
    with decided.backend.scope():
        assert _scales(decided, resident(decided)) == []
