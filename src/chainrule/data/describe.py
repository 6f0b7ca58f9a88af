"""A data set in a few facts."""

from typing import Any

import numpy as np

from chainrule.data.dataset import Dataset


def described(data: Dataset) -> dict[str, Any]:
    """Name, sizes, ranges, class counts and digest."""
    facts: dict[str, Any] = {
        "name": data.name,
        "rows": data.n_rows,
        "official test rows": data.n_test,
        "columns": data.n_features,
        "shape of a row": "x".join(map(str, data.row_shape or (data.n_features,))),
        "dtype": str(data.X.dtype),
        "range": f"{data.X.min():.6g} to {data.X.max():.6g}",
        "task": data.task,
    }
    if data.task == "classification":
        counts = np.bincount(data.y, minlength=data.n_outputs)
        facts["classes"] = ", ".join(f"{name}: {n:,}" for name, n in zip(data.target_names, counts, strict=True))
    else:
        facts["targets"] = ", ".join(data.target_names)
    if data.note:
        facts["note"] = data.note
    return facts | {"sha256": data.digest}
