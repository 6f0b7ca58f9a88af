"""What users pass, as plain arrays: rows dense, weights checked."""

from collections.abc import Iterator
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

from chainrule.data import Preparation, Table
from chainrule.data.readers.frames import check_names, features_of, is_frame, is_plain, rows_of
from chainrule.data.tables import joined
from chainrule.errors import DataError
from chainrule.runs import Model

SPARSE = ("csr", "csc", "coo")
_BLOCK = 8192
"""Rows of a sparse matrix that are made dense at a time for predicting."""


Rows = NDArray[Any] | Table


def rows(estimator: Any, X: Any, *, reset: bool = False) -> Any:
    """X checked against the columns of the fit, or, with `reset`, setting them; sparse stays sparse.

    A frame with words or gaps becomes a `Table`, and so does every frame for an estimator that was fitted on one.
    """
    if isinstance(X, Table):
        return X
    if is_frame(X):
        check_names(X)
    fitted_on_one = not reset and takes_tables(estimator)
    if is_frame(X) and (fitted_on_one or not is_plain(X)):
        validate_data(estimator, X, skip_check_array=True, reset=reset)
        if not fitted_on_one:
            return features_of(X) if reset else rows_of(X)
        model = estimator.models_[0]
        return rows_of(X, model.feature_names, model.columns_of_words)
    if fitted_on_one:
        return np.asarray(X)  # the model itself says what it takes
    return validate_data(estimator, X, accept_sparse=SPARSE, reset=reset)


def takes_tables(estimator: Any) -> bool:
    """Whether it was fitted on a frame with words or gaps."""
    models: tuple[Model, ...] = getattr(estimator, "models_", ())
    return bool(models) and isinstance(models[0].preprocessing, Preparation)


def taken(X: Rows, chosen: Any) -> Rows:
    """The chosen rows."""
    return X.take(chosen) if isinstance(X, Table) else X[chosen]


def both(first: Rows, second: Rows) -> Rows:
    """The rows of both, one after the other."""
    if not isinstance(first, Table) and not isinstance(second, Table):
        return np.concatenate([first, second])
    names = first.names if isinstance(first, Table) else second.names  # type: ignore[union-attr]
    return joined(*(_as_table(X, names) for X in (first, second)))


def _as_table(X: Rows, names: tuple[str, ...]) -> Table:
    return X if isinstance(X, Table) else Table(X.astype(np.float64), (None,) * len(names), names)


def rows_and_targets(estimator: Any, X: Any, y: Any, *, reset: bool) -> tuple[Rows, Any]:
    """X as `rows` gives it, dense, and y checked to have as many rows."""
    numeric = estimator.__sklearn_tags__().estimator_type == "regressor"
    if is_frame(X) and (not is_plain(X) or (not reset and takes_tables(estimator))):
        table = rows(estimator, X, reset=reset)
        y = check_array(y, ensure_2d=False, dtype="numeric" if numeric else None, accept_sparse=SPARSE, input_name="y")
        check_consistent_length(table.X, y)
        return table, y.toarray() if issparse(y) else y
    if is_frame(X):
        check_names(X)
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


def blocks(X: Any) -> Iterator[Rows]:
    """X at once, or a sparse one in dense blocks of rows."""
    if not issparse(X):
        yield X if isinstance(X, Table) or X.dtype.kind == "O" else dense(X)
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
