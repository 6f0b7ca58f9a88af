"""The network of a configuration, checked on rows of its own data."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chainrule.network import describe
from chainrule.runs.start import configured, planned
from chainrule.verify.check import check_layer, check_loss, check_network
from chainrule.verify.comparisons import Comparison


def check_config(path: Path | None, changes: Sequence[str], n_rows: int, n_entries: int) -> list[Comparison]:
    """Each layer alone, the loss alone, and the whole network with loss and penalty in both modes.

    The whole network sees the first `n_rows` training rows, preprocessed as in training, with the configured initial
    weights, seed and penalty.
    """
    config = configured(path, changes)
    decided = planned(config)
    network, seed = decided.network, config.training.seed
    rows = decided.rows.train[:n_rows]
    x, target = decided.preprocessing.on_device(decided.X[rows].astype(np.float64)), decided.targets[rows]
    weight = None if decided.data.weight is None else decided.data.weight[rows]
    comparisons = []
    for i, (layer, n_in) in enumerate(zip(network.layers, network.widths, strict=False)):
        name = f"{i} {describe(layer)}"
        comparisons += check_layer(layer, n_in, name=name, n_entries=n_entries, seed=seed)
    comparisons += check_loss(decided.loss, network.n_out, target, weight, n_entries=n_entries, seed=seed)
    for training in (True, False):
        comparisons += check_network(network, decided.loss, x, target, weight, penalty=config.training.penalty,
                                  training=training, n_entries=n_entries, seed=seed)  # fmt: skip
    return comparisons
