"""Options for `train` that suit a kind of data, with the reasons: docs/tabular.md."""

from typing import Any, Literal

from chainrule.errors import ConfigError
from chainrule.layers import PeriodicEmbedding
from chainrule.losses import SoftmaxCrossEntropy
from chainrule.network import mlp
from chainrule.optim import Adam, FlatCosine
from chainrule.training.config import Evaluation, Training

_METRICS = {"classification": ("loss", "accuracy"), "multilabel": ("loss", "label_accuracy"),
            "regression": ("loss", "rmse", "mae")}  # fmt: skip


def tabular(
    task: Literal["classification", "multilabel", "regression"],
    *,
    metric: str = "loss",
    members: int = 4,
    epochs: int = 64,
    seed: int = 0,
) -> dict[str, Any]:
    """The recipe for tables, after RealMLP (Holzmüller 2024) and TabM (Gorishniy 2024): options of `train` by name.

    Columns scaled by their quartiles, clipped smoothly at 3 and embedded in waves; `members` networks of two layers of
    128 that share their weights; Adam at 4e-3 for half of the epochs, then down to 0; the best epoch's parameters.
    metric: by which an epoch is the best on the validation rows. For "accuracy" labels are smoothed by 0.1.
    Any option may be replaced: `tabular("regression") | {"training": cr.Training(epochs=200)}`.
    Raises a ConfigError for an unknown task or metric.

    >>> from chainrule import read, train
    >>> run = train(data=read("digits"), **tabular("classification", metric="accuracy", epochs=2))
    >>> run.model.network.n_members
    4
    """
    if task not in _METRICS:
        raise ConfigError(f"there is no recipe for the task {task!r}; the tasks are {', '.join(_METRICS)}")
    if metric not in _METRICS[task]:
        known = ", ".join(_METRICS[task])
        raise ConfigError(
            f"metric {metric!r} is none that the recipe for {task} can choose epochs by; expected {known}"
        )
    return {
        "network": mlp((128, 128), members=members, embedding=PeriodicEmbedding()),
        "loss": SoftmaxCrossEntropy(label_smoothing=0.1) if metric == "accuracy" else None,
        "optimizer": Adam(lr=4e-3),
        "schedule": FlatCosine(),
        "training": Training(epochs=epochs, seed=seed),
        "evaluation": Evaluation(monitor=f"validation_{metric}", keep="best"),
        "preprocessing": "robust",
    }
