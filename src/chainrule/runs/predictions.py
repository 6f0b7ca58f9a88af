"""Predictions as text: one line a row."""

import csv
from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.runs.model import Model


def as_csv(model: Model, scores: NDArray[np.float64]) -> str:
    """A header and a line a row: its number, the predicted class and the probabilities, or the predicted numbers."""
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    if model.task == "classification":
        writer.writerow(["row", "prediction", *(f"p({name})" for name in model.target_names)])
    else:
        writer.writerow(["row", *model.target_names])
    for i, row in enumerate(scores):
        prediction = [model.target_names[int(row.argmax())]] if model.task == "classification" else []
        writer.writerow([i, *prediction, *(f"{value:.6g}" for value in row)])
    return file.getvalue()


def as_records(model: Model, scores: NDArray[np.float64]) -> list[dict[str, Any]]:
    """One object a row."""
    records = []
    for i, row in enumerate(scores):
        values = {name: float(value) for name, value in zip(model.target_names, row, strict=True)}
        if model.task == "classification":
            records.append({"row": i, "prediction": model.target_names[int(row.argmax())], "probabilities": values})
        else:
            records.append({"row": i, "prediction": values})
    return records
