"""A data set in a few facts."""

from typing import Any

import numpy as np

from chainrule.data.dataset import Dataset

_SHOWN = 12


def described(data: Dataset) -> dict[str, Any]:
    """Name, sizes, ranges, class counts and digest."""
    facts: dict[str, Any] = {
        "name": data.name,
        "rows": data.n_rows,
        "official test rows": data.n_test,
        "columns": data.n_features,
        "shape of a row": "x".join(map(str, data.row_shape or (data.n_features,))),
        "dtype": str(data.X.dtype),
        "range": _range(data),
        "task": f"{data.task}, told from the target: {data.told}" if data.told else data.task,
    } | about_columns(data)
    if data.task == "classification":
        counts = np.bincount(data.y, minlength=data.n_outputs)
        facts["classes"] = ", ".join(f"{name}: {n:,}" for name, n in zip(data.target_names, counts, strict=True))
    else:
        facts["targets"] = ", ".join(data.target_names)
    if data.note:
        facts["note"] = data.note
    return facts | {"sha256": data.digest}


def _range(data: Dataset) -> str:
    numbers = [i for i, words in enumerate(data.categories) if words is None] if data.categories else slice(None)
    X = data.X[:, numbers]
    if not X.size or (data.categories and np.isnan(X).all()):
        return "no numbers"
    low, high = (np.nanmin(X), np.nanmax(X)) if data.categories else (X.min(), X.max())
    return f"{low:.6g} to {high:.6g}"


def about_columns(data: Dataset) -> dict[str, str]:
    """The columns with words and how many they have, and those with gaps, of a table that has any."""
    if not data.categories:
        return {}
    held = zip(data.feature_names, data.categories, np.isnan(data.X).sum(axis=0), strict=True)
    words, gaps = [], []
    for name, categories, n_gaps in held:
        if categories is not None:
            words.append(f"{name} ({len(categories):,})")
        if n_gaps:
            gaps.append(f"{name} ({n_gaps:,})")
    listed = {"columns of categories": words, "columns with gaps": gaps}
    return {name: ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
            for name, found in listed.items() if found}  # fmt: skip
