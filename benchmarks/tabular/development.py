"""Variants of the recipe on the development sets, where its options were chosen: mean errors over two splits.

python benchmarks/tabular/development.py "members=1" "members=1 embed=True" "members=4 embed=True batch=256 lr=4e-3"

Each argument is a variant, options by name; the others are those of `fit`. Set OMP_NUM_THREADS=1.
"""

import ast
import sys
from time import process_time
from typing import Any

import numpy as np
from run import error
from sets import DEVELOPMENT, Parts, Table, parts

import chainrule as cr

SPLITS = (100, 101)
SCHEDULES = {"coslog": cr.CosLog(), "flat": cr.FlatCosine(), "cosine": cr.Cosine()}


def fit(table: Table, rows: Parts, seed: int, *, members: int = 4, embed: bool = False, clip: float | None = None,
        preprocessing: str = "robust", schedule: str = "coslog", lr: float = 2e-3, epochs: int = 64, batch: int = 128,
        smoothing: float = 0.1, activation: str = "relu", dropout: float = 0.0) -> np.ndarray:  # fmt: skip
    """Predictions for the test rows."""
    order, classes = np.concatenate([rows.train, rows.validation]), table.task == "classification"
    X, y = table.X[order], table.y[order]
    names = tuple(map(str, range(int(y.max()) + 1))) if classes else ("y",)
    network = cr.mlp((128, 128), members=members, clip=clip, embedding=cr.PeriodicEmbedding() if embed else None,
                     activation=activation, dropout=dropout)  # fmt: skip
    run = cr.train(
        network,
        cr.Dataset("table", X, y, table.task, names),
        loss=cr.SoftmaxCrossEntropy(smoothing) if classes else None,
        optimizer=cr.Adam(lr=lr),
        schedule=SCHEDULES[schedule],
        training=cr.Training(epochs=epochs, batch_size=min(batch, len(rows.train)), seed=seed),
        evaluation=cr.Evaluation(monitor=f"validation_{'accuracy' if classes else 'rmse'}", keep="best",
                                 train_metrics=False),
        split=cr.Split(test=0, validation=len(rows.validation), order="file"),
        preprocessing=preprocessing,
        compute=cr.Compute(backend="numpy", precision="float32", threads=1),
    )  # fmt: skip
    scores = run.model.scores(table.X[rows.test])
    return scores.argmax(axis=1) if classes else scores[:, 0]


def options(text: str) -> dict[str, Any]:
    """ "a=1 b='x'" as a dictionary."""
    pairs = (part.partition("=") for part in text.split())
    return {name: ast.literal_eval(value) for name, _, value in pairs}


if __name__ == "__main__":
    tables = {name: load() for name, load in DEVELOPMENT.items()}
    print("| variant | " + " | ".join(tables) + " | seconds |")
    for variant in sys.argv[1:]:
        start, means = process_time(), []
        for table in tables.values():
            splits = ((k, parts(table, k)) for k in SPLITS)
            means.append(np.mean([error(table, rows, fit(table, rows, k, **options(variant))) for k, rows in splits]))
        cells = " | ".join(f"{mean:.4f}" for mean in means)
        print(f"| {variant} | {cells} | {process_time() - start:.0f} |", flush=True)
