"""What users pass, as plain arrays: rows dense, weights checked."""

from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, validate_data

from chainrule.errors import DataError

SPARSE = ("csr", "csc", "coo")
_BLOCK = 8192
"""Rows of a sparse matrix that are made dense at a time for predicting."""


def rows(estimator: Any, X: Any, *, reset: bool = False) -> Any:
    """X checked against the columns of the fit, or, with `reset`, setting them; sparse stays sparse."""
    return validate_data(estimator, X, accept_sparse=SPARSE, reset=reset)


def rows_and_targets(estimator: Any, X: Any, y: Any, *, reset: bool) -> tuple[NDArray[Any], Any]:
    """X as `rows` gives it, dense, and y checked to have as many rows."""
    numeric = estimator.__sklearn_tags__().estimator_type == "regressor"
    X, y = validate_data(estimator, X, y, accept_sparse=SPARSE, multi_output=True, y_numeric=numeric, reset=reset)
    return dense(X), y.toarray() if issparse(y) else y


def dense(X: Any) -> NDArray[Any]:
    """Checked rows as a dense array of numbers of at most 64 bits; refuses what the memory cannot hold."""
    if issparse(X):
        n_bytes, free = X.shape[0] * X.shape[1] * X.dtype.itemsize, available_memory()
        if free is not None and n_bytes > free:
            raise DataError(
                f"X is sparse and would need {n_bytes / 1e9:,.1f} GB when dense, but {free / 1e9:,.1f} GB are free; "
                "keep fewer columns (SelectKBest, TruncatedSVD), or give it in parts to partial_fit"
            )
        X = X.toarray()
    found: NDArray[Any] = np.asarray(X)
    return found.astype(np.float64) if found.dtype.kind == "f" and found.dtype.itemsize > 8 else found


def blocks(X: Any) -> Iterator[NDArray[Any]]:
    """X at once, or a sparse one in dense blocks of rows."""
    if not issparse(X):
        yield dense(X)
        return
    X = X.tocsr()
    for start in range(0, X.shape[0], _BLOCK):
        yield dense(X[start : start + _BLOCK])


def available_memory() -> int | None:
    """Bytes that can still be taken, where the system says so."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def weights(sample_weight: Any, n: int) -> NDArray[np.float64]:
    """Weights (n,) of at least 0, not all of them 0; ones where none are given."""
    if sample_weight is None or isinstance(sample_weight, Real):
        sample_weight = np.full(n, 1.0 if sample_weight is None else float(sample_weight))
    found: NDArray[np.float64] = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if found.shape != (n,):
        raise DataError(f"sample_weight has shape {found.shape}; expected ({n},), a weight for each row")
    if (found < 0).any():
        row = int(np.argmax(found < 0))
        raise DataError(f"sample_weight is {found[row]:g} at row {row}; weights must be at least 0")
    if not found.any():
        raise DataError("every sample_weight is zero; at least one row must count")
    return found
