"""What users pass, as plain arrays: rows dense, targets encoded, weights of the rows that count."""

from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, validate_data

from chainrule.errors import DataError

SPARSE = ("csr", "csc", "coo")


def dense(X: Any, what: str = "X") -> NDArray[Any]:
    """Checked rows as a dense array of numbers of at most 64 bits; refuses what the memory cannot hold."""
    if issparse(X):
        n_bytes, free = X.shape[0] * X.shape[1] * X.dtype.itemsize, available_memory()
        if free is not None and n_bytes > free:
            raise DataError(
                f"{what} is sparse and needs {n_bytes / 1e9:,.1f} GB when dense, but {free / 1e9:,.1f} GB are free; "
                "keep fewer columns (SelectKBest, TruncatedSVD) or fewer rows, or pass it in parts to partial_fit"
            )
        X = X.toarray()
    X = np.asarray(X)
    return X.astype(np.float64) if X.dtype.kind == "f" and X.dtype.itemsize > 8 else X


def available_memory() -> int | None:
    """Bytes that can still be taken, where the system says so."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def rows(estimator: Any, X: Any, *, reset: bool) -> NDArray[Any]:
    """X (n_rows, n_features), checked against the columns of the fit, or, with `reset`, setting them."""
    return dense(validate_data(estimator, X, accept_sparse=SPARSE, reset=reset))


def rows_and_targets(estimator: Any, X: Any, y: Any, *, reset: bool, numeric: bool) -> tuple[NDArray[Any], Any]:
    """X as `rows` gives it, and y checked to have as many rows."""
    X, y = validate_data(estimator, X, y, accept_sparse=SPARSE, multi_output=True, y_numeric=numeric, reset=reset)
    return dense(X), y.toarray() if issparse(y) else y


def weights(sample_weight: Any, n: int) -> NDArray[np.float64] | None:
    """Weights (n,) of at least 0, not all of them 0; None where none are given."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n, sample_weight)
    found: NDArray[np.float64] = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if found.shape != (n,):
        raise DataError(f"sample_weight has shape {found.shape}; expected ({n},), a weight for each row")
    if (found < 0).any():
        row = int(np.argmax(found < 0))
        raise DataError(f"sample_weight is {found[row]:g} at row {row}; weights must be at least 0")
    if not found.any():
        raise DataError("every sample_weight is zero; at least one row must count")
    return found
