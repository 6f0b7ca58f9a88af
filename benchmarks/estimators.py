"""The estimators beside scikit-learn's MLP of the same settings: what they score and how long they take.

python benchmarks/estimators.py                                       # digits, breast cancer, wine, iris, diabetes
python benchmarks/estimators.py fashion-mnist --epochs 100 --first 6  # the first epochs of so long a fit

Each seed draws a split (a quarter tests; Fashion-MNIST has its own) and the weights. Both get the same rows, scaled by
the same scaler, and the same parameters: one hidden layer of 100, ReLU, Adam, alpha, batches of 200, the same rule for
stopping. Their fits alternate, each first in every other round. Seconds are the processor's, so set OMP_NUM_THREADS=1.
"""

import argparse
import os
import platform
import warnings
from collections.abc import Callable
from importlib.metadata import version
from statistics import median
from time import process_time
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets, neural_network
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import chainrule as cr
from chainrule.intervals import mean_interval

SETS: dict[str, Callable[..., Any]] = {
    "digits": datasets.load_digits,
    "breast cancer": datasets.load_breast_cancer,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
    "diabetes": datasets.load_diabetes,
}


class Fit(NamedTuple):
    score: float
    seconds: float
    epochs: int


def split(name: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training and test rows, scaled by what the training rows are like."""
    if name == "fashion-mnist":
        data = cr.read(name)
        X, n = (data.X / np.float32(255)).astype(np.float32), data.n_rows - data.n_test
        return X[:n], X[n:], data.y[:n], data.y[n:]
    X, y = SETS[name](return_X_y=True)
    parts = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=None if name == "diabetes" else y)
    scaler = StandardScaler().fit(parts[0])
    return scaler.transform(parts[0]), scaler.transform(parts[1]), parts[2], parts[3]


def estimators(name: str, seed: int, epochs: int, first: int | None = None) -> dict[str, Any]:
    """Both estimators. first: with a tolerance that nothing meets, both stop after so many epochs."""
    found = unlimited(name, seed, epochs)
    if first is not None:
        for model in found.values():
            model.set_params(tol=1e6, n_iter_no_change=first - 2)
    return found


def unlimited(name: str, seed: int, epochs: int) -> dict[str, Any]:
    if name == "diabetes":  # both learn standardised targets, which theirs needs from outside
        theirs = neural_network.MLPRegressor(max_iter=epochs, random_state=seed)
        return {"ours": cr.MLPRegressor(max_iter=epochs, random_state=seed),
                "theirs": TransformedTargetRegressor(theirs, transformer=StandardScaler())}  # fmt: skip
    return {"ours": cr.MLPClassifier(max_iter=epochs, random_state=seed, standardise=name != "fashion-mnist"),
            "theirs": neural_network.MLPClassifier(max_iter=epochs, random_state=seed)}  # fmt: skip


def fitted(model: Any, rows: tuple[np.ndarray, ...]) -> Fit:
    X, X_test, y, y_test = rows
    start = process_time()
    model.fit(X, y)
    seconds = process_time() - start
    return Fit(float(model.score(X_test, y_test)), seconds, getattr(model, "regressor_", model).n_iter_)


def measured(name: str, seeds: int, epochs: int, first: int | None) -> dict[str, list[Fit]]:
    found: dict[str, list[Fit]] = {"ours": [], "theirs": []}
    for seed in range(seeds):
        rows, pair = split(name, seed), estimators(name, seed, epochs, first)
        for who in ("ours", "theirs") if seed % 2 else ("theirs", "ours"):
            found[who].append(fitted(pair[who], rows))
    return found


def mean(values: list[float]) -> str:
    return "{:.4f} [{:.4f}, {:.4f}]".format(*mean_interval(values))


def spread(values: list[float], digits: int) -> str:
    return f"{median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def line(name: str, found: dict[str, list[Fit]]) -> str:
    ours, theirs = found["ours"], found["theirs"]
    differences = [a.score - b.score for a, b in zip(ours, theirs, strict=True)]
    ratios = [b.seconds / a.seconds for a, b in zip(ours, theirs, strict=True)]
    per_epoch = [b.seconds / b.epochs / (a.seconds / a.epochs) for a, b in zip(ours, theirs, strict=True)]
    epochs = f"{median(fit.epochs for fit in ours):g}, {median(fit.epochs for fit in theirs):g}"
    cells = [name, mean([fit.score for fit in ours]), mean([fit.score for fit in theirs]), mean(differences),
             spread([fit.seconds for fit in ours], 3), spread([fit.seconds for fit in theirs], 3), spread(ratios, 2),
             spread(per_epoch, 2), epochs]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(SETS), help=", ".join([*SETS, "fashion-mnist"]))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--first", type=int, help="stop after so many epochs, not with diabetes")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    versions = ", ".join(f"{package} {version(package)}" for package in ("numpy", "scikit-learn"))
    print(f"{options.seeds} seeds, at most {options.epochs} epochs; Python {platform.python_version()}, {versions}; "
          f"OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS')}\n")  # fmt: skip
    print("| | ours | theirs | difference | ours, s | theirs, s | times as fast | an epoch | epochs |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in options.sets:
        fitted(estimators("iris", 0, 2)["ours"], split("iris", 0))  # imports
        print(line(name, measured(name, options.seeds, options.epochs, options.first)), flush=True)


if __name__ == "__main__":
    main()
