"""Odd values, dtypes and shapes in files end in an error that names the fault, or in a finite model.

The same from Python: faults/test_bad_arrays.py.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.data.streaming import row_blocks
from faults.bad_arrays import put, trained

RNG = np.random.default_rng(0)
N = 20
X = RNG.normal(size=(N, 3))
LABELS = np.arange(N) % 2
NUMBERS = RNG.normal(size=N)
SCALES = np.array([1e-20, 1.0, 1e20])
LONG = np.dtype(np.longdouble)
HUGE = np.longdouble("1e4000")


def table(target: np.ndarray, features: np.ndarray = X) -> str:
    rows = [",".join(map(str, [*row, one])) for row, one in zip(features.tolist(), target.tolist(), strict=True)]
    return "\n".join(["a,b,c,t", *rows]) + "\n"


def from_csv(folder: Path, text: str) -> cr.Dataset:
    (folder / "d.csv").write_text(text)
    return cr.read(str(folder / "d.csv"))


def from_npz(folder: Path, X: Any = X, y: Any = LABELS, **more: Any) -> cr.Dataset:
    np.savez(folder / "d.npz", X=X, y=y, **more)
    return cr.read(str(folder / "d.npz"))


def from_npy(folder: Path, X: Any = X, y: Any = LABELS) -> cr.Dataset:
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", y)
    return cr.read(str(folder))


NAMES = {"target_names": np.array(["no", "yes"])}
REFUSED_FILES: dict[str, tuple[Callable[[Path], cr.Dataset], str]] = {
    "csv: a text among numbers": (partial(from_csv, text=table(LABELS, put(X, (4, 1), "red", object))), "line 6, column 'b': 'red' is no number, as"),
    "csv: -inf": (partial(from_csv, text=table(LABELS, put(X, (4, 1), -np.inf))), "line 6, column 'b': '-inf' is infinite; expected a finite number."),
    "csv: 1e300": (partial(from_csv, text=table(LABELS, put(X, (4, 1), 1e300))), "d: X is 1e+300 at row 4, column 'b'; expected"),
    "csv: None in the target": (partial(from_csv, text=table(put(NUMBERS, 4, None, object))), "line 6, column 't': 'None' is no value."),
    "csv: target of 1e300": (partial(from_csv, text=table(put(NUMBERS, 4, 1e300))), "d: y is 1e+300 at row 4; expected numbers"),
    "csv: one class": (partial(from_csv, text=table(LABELS * 0)), "d: every row has the label '0'; a classifier needs two"),
    "npz: +inf": (partial(from_npz, X=put(X, (4, 1), np.inf)), "d: X is inf at row 4, column 1; expected finite numbers."),
    "npz: beyond float64": (partial(from_npz, X=put(X, (4, 1), HUGE, LONG)), "d: X is inf at row 4, column 1; expected finite"),
    "npz: label of 1e30": (partial(from_npz, y=put(LABELS, 4, 1e30, float), **NAMES), "label 1000000000000000019884624838656 at row 4 is outside 0..1 (2 classes)."),
    "npz: label of 2^64 - 1": (partial(from_npz, y=put(LABELS, 4, 2**64 - 1, "u8"), **NAMES), "label 18446744073709551615 at row 4 is outside"),
    "npz: weight": (partial(from_npz, weight=put(np.ones(N), 4, -1)), "d: the weight at row 4 is -1.0; weights must be at"),
    "npz: datetime": (partial(from_npz, y=LABELS.astype("M8[s]")), "has dtype datetime64[s] and shape (20,); expected numbers"),
    "npy: objects": (partial(from_npy, X=X.astype(object)), "holds Python objects (dtype object)"),
    "npy: complex": (partial(from_npy, X=X + 1j), "has dtype complex128 and shape (20, 3); expected numbers or texts."),
    "npy: structured": (partial(from_npy, X=np.zeros((N, 3), [("a", "f8")])), "has dtype [('a', '<f8')] and shape (20, 3); expected"),
    "npy: lengths": (partial(from_npy, y=LABELS[:3]), "x has shape (20, 3) and y (3,); expected (n_rows, n_features)"),
    "npy: zero rows": (partial(from_npy, X=X[:0], y=LABELS[:0]), "y has shape (0,) and dtype int64; expected a number or text"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSED_FILES.values(), ids=REFUSED_FILES)
def test_refused_from_a_file(tmp_path: Path, make: Callable[[Path], cr.Dataset], message: str) -> None:
    with pytest.raises(cr.DataError, match=re.escape(message)):
        trained(make(tmp_path), split=cr.Split(test=0, validation=0))


TRAINED_FILES: dict[str, Callable[[Path], cr.Dataset]] = {
    "csv: columns of 1e-20 and 1e20": partial(from_csv, text=table(LABELS, X * SCALES)),
    "csv: constant target": partial(from_csv, text=table(np.full(N, 0.1))),
    "npz: longdouble": partial(from_npz, X=X.astype(LONG)),
    "npz: big-endian": partial(from_npz, X=X.astype(">f4"), y=LABELS.astype(">u8")),
    "npz: bool": partial(from_npz, X=X > 0, y=LABELS == 1),
    "npy: float16": partial(from_npy, X=(X * 1e4).astype("f2"), y=NUMBERS.astype("f2")),
    "npy: Fortran order": partial(from_npy, X=np.asfortranarray(X)),
    "npy: images": partial(from_npy, X=X.reshape(N, 1, 3, 1)),
}


@pytest.mark.parametrize("make", TRAINED_FILES.values(), ids=TRAINED_FILES)
def test_trained_from_a_file(tmp_path: Path, make: Callable[[Path], cr.Dataset]) -> None:
    trained(make(tmp_path))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (X[:, :2], "holds shape (20, 2) of float64; the model takes rows of 3 numbers."),
        (put(X, (4, 1), np.nan), "is nan at row 4, column 'b'. Correct it, or leave the row out."),
        (put(X, (4, 1), HUGE, LONG), "is inf at row 4, column 'b'. Correct it, or leave the row out."),
        (X.astype(str), "holds shape (20, 3) of <U32; the model takes rows of 3 numbers."),
        (X[:0], "holds shape (0, 3) of float64; the model takes rows of 3 numbers."),
    ],
    ids=["columns", "NaN", "beyond float64", "text", "zero rows"],
)
def test_rows_to_predict_from_a_file(tmp_path: Path, values: np.ndarray, message: str) -> None:
    np.save(tmp_path / "rows.npy", values)
    with pytest.raises(cr.DataError, match=re.escape(message)):
        list(row_blocks(tmp_path / "rows.npy", ("a", "b", "c"), 3, None, 1024))
