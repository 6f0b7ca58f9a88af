"""What came of an experiment: every network with its figures, and their intervals over seeds and over rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.comparing.groups import scored
from chainrule.data import Dataset
from chainrule.intervals import mean_interval, proportion_interval
from chainrule.replication.experiments import Experiment
from chainrule.replication.training_mode import accuracy_in_training_mode
from chainrule.runs.run import Run, load_run
from chainrule.study.conduct import opened, run_folders
from chainrule.training.metrics import bounds

FIRST = 1000
"""The report judged by the first so many test images."""


@dataclass(frozen=True, eq=False)
class Measured:
    """One network of an experiment, trained with several seeds. right (n_seeds, n_rows): of the test rows, in order."""

    experiment: str
    network: str
    label: str
    runs: tuple[Run, ...]
    folders: tuple[Path, ...]
    right: NDArray[np.float64]
    in_training_mode: tuple[float, ...]

    @cached_property
    def validation(self) -> list[float]:
        """Accuracy of each seed on all validation rows, in evaluation mode."""
        return [run.history[-1]["validation_accuracy"] for run in self.runs]

    @property
    def plain(self) -> dict[str, Any]:
        """As results.json holds it."""
        modes = any(one != other for one, other in zip(self.in_training_mode, self.validation, strict=True))
        return {
            "experiment": self.experiment,
            "network": self.network,
            "label": self.label,
            "layers": [repr(layer) for layer in self.runs[0].model.network.layers],
            "parameters": self.runs[0].model.network.n_parameters,
            "seeds": [run.config.training.seed for run in self.runs],
            "train_accuracy": spread([run.history[-1]["train_accuracy"] for run in self.runs]),
            "validation_accuracy": spread(self.validation),
            "validation_in_training_mode": spread(self.in_training_mode) if modes else None,
            "test_accuracy": spread(self.right.mean(axis=1).tolist()) | _rows(self.right),
            "test_accuracy_first_1000": spread(self.right[:, :FIRST].mean(axis=1).tolist())
            | _rows(self.right[:, :FIRST]),
            "seconds": float(np.mean([run.metrics["seconds"] for run in self.runs])),
        }


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean of accuracies, Student's interval over seeds (None for one), and the values."""
    mean, low, high = mean_interval(values, bounds("accuracy"))
    return {"mean": mean, "over_seeds": [low, high] if len(values) > 1 else None, "values": list(values)}


def _rows(right: NDArray[np.float64]) -> dict[str, Any]:
    n = right.shape[1]
    return {"n_rows": n, "over_rows": list(proportion_interval(float(right.mean()), n))}


def measured(experiment: Experiment, directory: Path, data: Dataset) -> list[Measured]:
    """All networks of an experiment whose study is in `directory`."""
    _, ledger = opened(directory)
    trials = ledger.trials()
    ledger.close()
    found = []
    for network, trial in zip(experiment.networks, trials, strict=True):
        folders = tuple(run_folders(directory, trial))
        runs = tuple(load_run(folder) for folder in folders)
        right = scored(network, runs, "test", data).scores
        modes = tuple(accuracy_in_training_mode(run, data) for run in runs)
        found.append(Measured(experiment.name, network, experiment.label(network), runs, folders, right, modes))
    return found
