"""Questions 2d and 3a of the report: its gradients held against three witnesses, and a toy set learnt by heart."""

from typing import Any

import numpy as np

from chainrule.data import Dataset, Split
from chainrule.losses import SoftmaxCrossEntropy
from chainrule.optim import SGD
from chainrule.replication.experiments import toy
from chainrule.runs import train
from chainrule.training.config import Evaluation, Training
from chainrule.verify import Comparison, check_network

BOUND = 1e-8
"""Largest relative error that question 2d allows."""


def toy_set() -> Dataset:
    """Five rows of four numbers in three classes, drawn with a deviation of 10, as the exercise's code draws them."""
    X = 10 * np.random.RandomState(1).randn(5, 4)  # the exercise's own generator
    return Dataset("toy", X, np.array([0, 1, 2, 2, 1]), "classification", ("0", "1", "2"))


def gradients() -> dict[str, Any]:
    """Largest relative error of each parameter's gradient in the toy network, penalty 0.05, against each witness."""
    data = toy_set()
    found = check_network(toy(), SoftmaxCrossEntropy(), data.X, data.y, penalty=0.05, n_entries=40)
    rows = [_row(one) for one in found if one.entries and one.parameter != "x"]
    worst = max(row["error"] for row in rows if row["against"] == "central differences")
    return {"rows": rows, "largest": worst, "bound": BOUND, "holds": worst < BOUND}


def _row(one: Comparison) -> dict[str, Any]:
    return {"parameter": one.parameter, "against": one.against, "entries": one.entries, "error": one.error}


def overfitting() -> dict[str, Any]:
    """The toy set trained to a loss of 0.02 or less: learning rate 0.1, λ 5e-6, 100 steps on all five rows."""
    run = train(toy(), toy_set(), optimizer=SGD(lr=0.1), preprocessing="none", split=Split(test=0, validation=0),
                training=Training(iterations=100, batch_size=5, penalty=5e-6),
                evaluation=Evaluation(every_steps=1))  # fmt: skip
    curve = [row["objective"] for row in run.history]
    return {"curve": curve, "last": curve[-1], "bound": 0.02, "holds": curve[-1] <= 0.02}
