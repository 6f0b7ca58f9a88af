"""Arrays given from Python end in an error that names the fault, or in a finite model.

Never in another exception, a warning (they are errors here), or weights that are not finite. The same from files:
data/test_bad_values.py.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from faults.bad_arrays import Warned, combination, outcome, put, trained

RNG = np.random.default_rng(0)
N = 20
X = RNG.normal(size=(N, 3))
LABELS = np.arange(N) % 2
FLAGS = RNG.integers(2, size=(N, 2))
NUMBERS = RNG.normal(size=N)
ALL_ROWS = cr.Split(test=0, validation=0)
GAP = "Remove the row or fill the gap before training."
ENCODE = "Encode texts and dates as numbers"
LARGE = "Where it marks a gap, remove the row or fill it; else choose larger units."


def classes(X: Any = X, y: Any = LABELS, names: Any = ("no", "yes"), **options: Any) -> cr.Dataset:
    return cr.Dataset("d", X, y, "classification", names, **options)


def labels(y: Any, names: Any = ("a", "b"), X: Any = X) -> cr.Dataset:
    return cr.Dataset("d", X, y, "multilabel", names)


def numbers(y: Any, names: Any = ("t",), X: Any = X) -> cr.Dataset:
    return cr.Dataset("d", X, y, "regression", names)


def weighted(weight: Any) -> cr.Dataset:
    return classes(weight=weight)


def masked(values: np.ndarray, place: Any) -> np.ma.MaskedArray:
    return np.ma.array(values, mask=put(np.zeros(values.shape, bool), place, True))


LONG = np.dtype(np.longdouble)
INT64 = np.iinfo(np.int64)
HUGE = np.longdouble("1e4000")

REFUSED: dict[str, tuple[Callable[[], cr.Dataset], str]] = {
    # cells of X
    "X: NaN": (lambda: classes(put(X, (4, 1), np.nan)), f"d: X is nan at row 4, column 1; expected finite numbers. {GAP}"),
    "X: +inf": (lambda: classes(put(X, (0, 2), np.inf)), f"d: X is inf at row 0, column 2; expected finite numbers. {GAP}"),
    "X: -inf, named column": (lambda: classes(put(X, (19, 0), -np.inf), feature_names=("a", "b", "c")), f"d: X is -inf at row 19, column 'a'; expected finite numbers. {GAP}"),
    "X: NaN in float16": (lambda: classes(put(X, (4, 1), np.nan, "f2")), "d: X is nan at row 4, column 1; expected finite"),
    "X: 1e300": (lambda: classes(put(X, (4, 1), 1e300)), f"d: X is 1e+300 at row 4, column 1; expected numbers of at most 1e+150 in size. {LARGE}"),
    "X: the float32 that marks gaps": (lambda: classes(put(X, (4, 1), -3.4028235e38, "f4"), feature_names=("a", "b", "c")), f"d: X is -3.4028234663852886e+38 at row 4, column 'b'; expected numbers of at most 1e+38 in size. {LARGE}"),
    "X: None among objects": (lambda: classes(put(X, (4, 1), None, object)), f"d: X is None at row 4, column 1; expected a number. {ENCODE} and fill the gaps first."),
    "X: a text among objects": (lambda: classes(put(X, (4, 1), "tall", object), feature_names=("a", "b", "c")), f"d: X is 'tall' at row 4, column 'b'; expected a number. {ENCODE} and fill the gaps first."),
    "X: a cell too long to show": (lambda: classes(put(X, (4, 1), "x" * 10**6, object)), "xxx' at row 4, column 1; expected a"),
    "X: objects, all numbers": (lambda: classes(X.astype(object)), "d: X has dtype object; expected numbers. Use X.astype(float)."),
    "X: objects, too few names": (lambda: classes(put(X, (4, 1), None, object), feature_names=("a",)), "d: X is None at row 4, column 1; expected a number."),
    "X: masked cell": (lambda: classes(masked(X, (4, 1))), f"d: X is masked at row 4, column 1. {GAP}"),
    # types and shapes of X
    "X: mask without a masked cell": (lambda: classes(np.ma.array(X)), "d: X is a MaskedArray; expected a plain NumPy array. Use np.array(X)."),
    "X: record array": (lambda: classes(X.view(np.recarray)), "d: X is a recarray; expected a plain NumPy array."),
    "X: structured": (lambda: classes(np.zeros((N, 3), [("a", "f8")])), f"d: X has dtype [('a', '<f8')]; expected numbers. {ENCODE} first."),
    "X: structured, one axis": (lambda: classes(np.zeros(N, [("a", "f8")])), "d: X has shape (20,); expected (n_rows, n_features)."),
    "X: structured and masked": (lambda: classes(masked(np.zeros((N, 3), [("a", "f8")]), ())), "d: X is a MaskedArray; expected a plain NumPy array."),
    "X: text": (lambda: classes(X.astype(str)), f"d: X has dtype <U32; expected numbers. {ENCODE} first."),
    "X: datetime": (lambda: classes(X.astype("M8[s]")), f"d: X has dtype datetime64[s]; expected numbers. {ENCODE} first."),
    "X: complex": (lambda: classes(X + 1j), "d: X has dtype complex128; expected numbers. Make columns of the real and the imaginary parts."),
    "X: longdouble": (lambda: classes(X.astype(LONG)), f"d: X has dtype {LONG}; expected numbers. Use X.astype(float)."),
    "X: 0-d": (lambda: classes(np.array(1.0)), "d: X has shape (); expected (n_rows, n_features)."),
    "X: 1-D": (lambda: classes(X[:, 0]), "d: X has shape (20,); expected (n_rows, n_features). Flatten each row first."),
    "X: 3-D": (lambda: classes(X[:, None]), "d: X has shape (20, 1, 3); expected (n_rows, n_features). Flatten each"),
    "X: 4-D": (lambda: classes(X[:, None, None]), "d: X has shape (20, 1, 1, 3); expected (n_rows, n_features). Flatten"),
    "X: zero rows": (lambda: classes(X[:0], LABELS[:0]), "d: X has shape (0, 3); expected at least one row and one column."),
    "X: zero columns": (lambda: classes(X[:, :0]), "d: X has shape (20, 0); expected at least one row and one column."),
    "X: list": (lambda: classes(X.tolist()), "d: X is a list; expected a NumPy array."),
    "X: None": (lambda: classes(None), "d: X is a NoneType; expected a NumPy array."),
    "X and y: lengths": (lambda: classes(X, LABELS[:-1]), "d: X has 20 rows but y has 19; they must be of the same length."),
    # labels
    "y: one class": (lambda: classes(y=LABELS * 0), "d: every row has the label 'no'; a classifier needs two classes."),
    "y: one row": (lambda: classes(X[:1], LABELS[:1]), "d: every row has the label 'no'; a classifier needs two classes."),
    "y: -1": (lambda: classes(y=put(LABELS, 4, -1)), "d: label -1 at row 4 is outside 0..1 (2 classes)."),
    "y: K": (lambda: classes(y=put(LABELS, 4, 2)), "d: label 2 at row 4 is outside 0..1 (2 classes)."),
    "y: the least int64": (lambda: classes(y=put(LABELS, 4, INT64.min)), "d: label -9223372036854775808 at row 4 is outside 0..1 (2 classes)."),
    "y: the largest int64": (lambda: classes(y=put(LABELS, 4, INT64.max)), "d: label 9223372036854775807 at row 4 is outside 0..1 (2 classes)."),
    "y: the largest uint64": (lambda: classes(y=put(LABELS, 4, 2**64 - 1, "u8")), "d: label 18446744073709551615 at row 4 is outside 0..1 (2 classes)."),
    "y: 1.5": (lambda: classes(y=put(LABELS, 4, 1.5, float)), "d: label 1.5 at row 4 is no whole number; expected integers 0..1."),
    "y: NaN": (lambda: classes(y=put(LABELS, 4, np.nan, float)), "d: label nan at row 4 is no whole number; expected integers 0..1."),
    "y: +inf": (lambda: classes(y=put(LABELS, 4, np.inf, float)), "d: label inf at row 4 is no whole number; expected integers"),
    "y: whole floats": (
        lambda: classes(y=LABELS.astype(float)),
        "d: labels have shape (20,) and dtype float64; expected integers (n_rows,). Number the classes 0..1, in the order "
        "of target_names.",
    ),
    "y: bool": (lambda: classes(y=LABELS == 1), "d: labels have shape (20,) and dtype bool; expected integers (n_rows,)."),
    "y: text": (lambda: classes(y=LABELS.astype("U1")), "d: labels have shape (20,) and dtype <U1; expected integers (n_rows,)."),
    "y: datetime": (lambda: classes(y=LABELS.astype("M8[D]")), "d: labels have shape (20,) and dtype datetime64[D]; expected"),
    "y: complex": (lambda: classes(y=LABELS + 0j), "d: labels have shape (20,) and dtype complex128; expected integers"),
    "y: objects, one text": (lambda: classes(y=put(LABELS, 4, "yes", object)), f"d: y is 'yes' at row 4; expected a number. {ENCODE} and fill the gaps first."),
    "y: objects, one None": (lambda: classes(y=put(LABELS, 4, None, object)), "d: y is None at row 4; expected a number."),
    "y: objects, all numbers": (lambda: classes(y=LABELS.astype(object)), "d: labels have shape (20,) and dtype object; expected"),
    "y: objects, many columns": (lambda: classes(y=put(X, (4, 2), None, object)), "d: y is None at row 4, column 2; expected a"),
    "y: masked": (lambda: classes(y=masked(LABELS, 4)), f"d: y is masked at row 4. {GAP}"),
    "y: 0-d": (lambda: classes(y=np.array(1)), "d: y has shape (); expected a target for each of the 20 rows of X."),
    "y: (n, 1)": (lambda: classes(y=LABELS[:, None]), "d: labels have shape (20, 1) and dtype int64; expected integers (n_rows,)."),
    "y: (n, 2)": (lambda: classes(y=FLAGS), "d: labels have shape (20, 2) and dtype int64; expected integers (n_rows,)."),
    "y: None": (lambda: classes(y=None), "d: y is a NoneType; expected a NumPy array."),
    "y: a class without rows": (lambda: classes(names=("no", "yes", "maybe")), "d: no row has the class 'maybe'; number the classes without it."),
    "y: a class without training rows": (lambda: classes(y=np.r_[np.zeros(N - 1, int), 1], n_test=5), "d: no training row has the class 'yes'; train on more rows, or split with order 'stratified'."),
    "y: no names": (lambda: classes(names=()), "d: target_names is empty; expected the name of each class or output."),
    "y: names that are None": (lambda: classes(names=None), "d: target_names is None; expected a tuple of texts."),
    "y: one text of names": (lambda: classes(names="ab"), "d: target_names is 'ab'; expected a tuple of texts."),
    "y: an array of names": (lambda: classes(names=np.array(["no", "yes"])), "d: target_names is array(['no', ..., dtype='<U3'); expected a tuple"),
    # several labels a row, and numbers
    "labels: NaN": (lambda: labels(put(FLAGS, (4, 1), np.nan, float)), "d: label nan at row 4, column 1; expected 0 or 1."),
    "labels: 2": (lambda: labels(put(FLAGS, (4, 1), 2)), "d: label 2 at row 4, column 1; expected 0 or 1."),
    "labels: complex": (lambda: labels(FLAGS + 0j), "d: labels have dtype complex128; expected 0 and 1. Use y.astype(int)."),
    "labels: structured": (lambda: labels(np.zeros((N, 2), [("a", "f8")])), "d: labels have dtype [('a', '<f8')]; expected 0 and 1."),
    "labels: longdouble": (lambda: labels(FLAGS.astype(LONG)), f"d: labels have dtype {LONG}; expected 0 and 1."),
    "targets: NaN": (lambda: numbers(put(NUMBERS, 4, np.nan)), f"d: y is nan at row 4; expected finite numbers. {GAP}"),
    "targets: -inf, named output": (lambda: numbers(put(X, (4, 1), -np.inf), ("a", "b", "c")), f"d: y is -inf at row 4, column 'b'; expected finite numbers. {GAP}"),
    "targets: 1e300": (lambda: numbers(put(NUMBERS, 4, 1e300)), f"d: y is 1e+300 at row 4; expected numbers of at most 1e+150 in size. {LARGE}"),
    "targets: longdouble": (lambda: numbers(NUMBERS.astype(LONG) * HUGE), f"d: targets have shape (20,) and dtype {LONG}; expected floats (n_rows,) or (n_rows, 1) of at most 64 bits."),
    "targets: integers": (lambda: numbers(LABELS), "d: targets have shape (20,) and dtype int64; expected floats (n_rows,)"),
    "targets: no outputs": (lambda: numbers(X[:, :0], ()), "d: target_names is empty; expected the name of each class or output."),
    # weights
    "weight: NaN": (lambda: weighted(put(np.ones(N), 4, np.nan)), f"d: weight is nan at row 4; expected finite numbers. {GAP}"),
    "weight: +inf": (lambda: weighted(put(np.ones(N), 4, np.inf)), f"d: weight is inf at row 4; expected finite numbers. {GAP}"),
    "weight: negative": (lambda: weighted(put(np.ones(N), 4, -2.0)), "d: the weight at row 4 is -2.0; weights must be at least 0."),
    "weight: all zero": (lambda: weighted(np.zeros(N)), "d: every weight is 0; at least one row must count."),
    "weight: zero for all rows of a part": (lambda: weighted(np.r_[1.0, np.zeros(N - 1)]), "d: every validation row has weight 0; at least one must count."),
    "weight: too few": (lambda: weighted(np.ones(3)), "d: weights have shape (3,) and dtype float64; expected numbers (20,)."),
    "weight: (n, 1)": (lambda: weighted(np.ones((N, 1))), "d: weights have shape (20, 1) and dtype float64; expected numbers (20,)."),
    "weight: list": (lambda: weighted([1.0] * N), "d: weight is a list; expected a NumPy array."),
    "weight: text": (lambda: weighted(np.full(N, "1")), "d: weights have shape (20,) and dtype <U1; expected numbers (20,)."),
    "weight: longdouble": (lambda: weighted(np.full(N, HUGE)), f"d: weights have shape (20,) and dtype {LONG}; expected numbers"),
    "weight: huge": (
        lambda: weighted(put(np.ones(N), 4, 1e300)),
        "d: the largest weight, at row 4, is 1e+300; expected it from 1e-30 to 1e+30. Only ratios of weights count, so "
        "divide all by the largest.",
    ),
    "weight: tiny": (lambda: weighted(np.full(N, 1e-300)), "d: the largest weight, at row 0, is 1e-300; expected it from"),
    "n_test: 1.5": (lambda: classes(n_test=1.5), "d: n_test is 1.5 of 20 rows; at least one row must be left to train on."),
    "row_shape: negative": (lambda: classes(row_shape=(-1, -3)), "d: row_shape (-1, -3) does not fit the 3 columns of X."),
}  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_with_row_and_column(make: Callable[[], cr.Dataset], message: str) -> None:
    with pytest.raises(cr.DataError, match=re.escape(message)):
        trained(make(), split=cr.Split(test=0.2, validation=0.2, order="file"))


WIDE = RNG.integers(0, 256, size=(6, 100_000), dtype=np.uint8)
SCALES = np.array([1e-20, 1.0, 1e20])
EXTREMES = np.where(X > 0, INT64.max, INT64.min)

TRAINED: dict[str, Callable[[], cr.Dataset]] = {
    "X: constant column": lambda: classes(put(X, (slice(None), 1), 0.1)),
    "X: all columns constant": lambda: classes(np.full((N, 3), 0.1)),
    "X: all columns constant 1e149": lambda: classes(np.full((N, 3), 1.1e149)),
    "X: all columns constant 1e37 in float32": lambda: classes(np.full((N, 3), 1.1e37, "f4")),
    "X: all zero": lambda: classes(np.zeros((N, 3))),
    "X: duplicate rows": lambda: classes(np.repeat(X[:2], N // 2, axis=0)),
    "X: two rows": lambda: classes(X[:2], LABELS[:2]),
    "X: one row": lambda: numbers(NUMBERS[:1], X=X[:1]),
    "X: bool": lambda: classes(X > 0),
    "X: int8": lambda: classes(np.where(X > 0, 127, -128).astype("i1")),
    "X: int64 extremes": lambda: classes(EXTREMES),
    "X: uint64 extremes": lambda: classes(np.where(X > 0, 2**64 - 1, 0).astype("u8")),
    "X: float16": lambda: classes(X.astype("f2")),
    "X: float16 extremes": lambda: classes(np.where(X > 0, 65504, -65504).astype("f2")),
    "X: big-endian": lambda: classes(X.astype(">f8"), LABELS.astype(">i4")),
    "X: big-endian int16": lambda: classes((X * 99).astype(">i2")),
    "X: Fortran order": lambda: classes(np.asfortranarray(X)),
    "X: strided": lambda: classes(np.repeat(np.repeat(X, 2, 0), 3, 1)[::2, ::3], np.repeat(LABELS, 2)[::2]),
    "X: negative strides": lambda: classes(X[::-1, ::-1], LABELS[::-1]),
    "X: broadcast": lambda: classes(np.broadcast_to(X[:, :1], (N, 3))),
    "X: 1e30": lambda: classes(X * 1e30),
    "X: 1e30 in float32": lambda: classes((X * 1e30).astype("f4")),
    "X: nearly 1e38 in float32": lambda: classes(np.where(X > 0, 1e38, -1e38).astype("f4")),
    "X: 1e149": lambda: classes(X * 1e149),
    "X: 1e-30": lambda: classes(X * 1e-30),
    "X: 1e-30 in float32": lambda: classes((X * 1e-30).astype("f4")),
    "X: 1e-300": lambda: classes(X * 1e-300),
    "X: subnormal": lambda: classes(X * 1e-315),
    "X: subnormal in float32": lambda: classes((X * 1e-42).astype("f4")),
    "X: one subnormal cell": lambda: classes(put(np.zeros((N, 3)), (0, 0), 5e-324)),
    "X: columns of 1e-20 and 1e20": lambda: classes(X * SCALES),
    "X: columns of 1e-20 and 1e20 in float32": lambda: classes((X * SCALES).astype("f4")),
    "X: a small spread on a large mean": lambda: classes(1e12 + X),
    "y: uint8": lambda: classes(y=LABELS.astype("u1")),
    "y: uint64": lambda: classes(y=LABELS.astype("u8")),
    "labels: bool": lambda: labels(FLAGS == 1),
    "labels: all alike": lambda: labels(FLAGS * 0),
    "targets: constant": lambda: numbers(np.full(N, 0.1)),
    "targets: constant 0": lambda: numbers(np.zeros(N)),
    "targets: constant 1e30": lambda: numbers(np.full(N, 1e30)),
    "targets: 1e30": lambda: numbers(NUMBERS * 1e30),
    "targets: 1e149": lambda: numbers(NUMBERS * 1e149),
    "targets: 1e-140": lambda: numbers(NUMBERS * 1e-140),
    "targets: float16 extremes": lambda: numbers(np.where(NUMBERS > 0, 65504, -65504).astype("f2")),
    "targets: float32 extremes": lambda: numbers(np.where(NUMBERS > 0, 1e38, -1e38).astype("f4")),
    "targets: outputs of 1e-20 and 1e20": lambda: numbers(X * SCALES, ("a", "b", "c")),
    "targets: (n, 1)": lambda: numbers(NUMBERS[:, None]),
    "weight: some zero": lambda: weighted(np.where(NUMBERS > 0, 1.0, 0.0)),
    "weight: integers": lambda: weighted(np.where(NUMBERS > 0, INT64.max, 1)),
    "weight: float16": lambda: weighted(np.full(N, 65504, "f2")),
    "weight: 1e-30 to 1e30": lambda: weighted(np.geomspace(1e-30, 1e30, N)),
    "weight: big-endian": lambda: weighted(np.ones(N, ">f4")),
}  # fmt: skip


@pytest.mark.parametrize("make", TRAINED.values(), ids=TRAINED)
def test_trained_to_finite_weights_and_scores(make: Callable[[], cr.Dataset]) -> None:
    data = make()
    watcher = Warned()
    for network in (cr.mlp([3]), cr.mlp([3], norm="layer")):
        trained(data, network, split=ALL_ROWS, hooks=[watcher])


@pytest.mark.parametrize("preprocessing", ["standardise", "mean", "unit", "none"])
@pytest.mark.parametrize("factor", [1e-320, 1e-30, 1e3])
def test_no_preprocessing_makes_small_numbers_infinite(preprocessing: Any, factor: float) -> None:
    trained(classes(X * factor), preprocessing=preprocessing)
    trained(classes((X * factor).astype("f4")), preprocessing=preprocessing)


def test_100_000_columns_of_a_few_rows() -> None:
    run = trained(classes(WIDE, LABELS[:6]), cr.mlp([1]), split=ALL_ROWS, training=cr.Training(iterations=1))
    assert run.model.network.widths[0] == 100_000


# Without a scale that is undone, inputs of 1e30 or targets of 1e30 have squares beyond float32. That was asked for, and
# the message says what to change.
@pytest.mark.parametrize(
    ("make", "options", "advice"),
    [
        (lambda: classes(X * 1e30), {"preprocessing": "none"}, "scale the inputs (data.preprocessing = 'standardise')"),
        (lambda: classes(X * 1e149), {"preprocessing": "none"}, "the prepared input rows, at step 1"),
        (lambda: numbers(NUMBERS * 1e30), {"standardise_target": False}, "expected a finite number"),
    ],
    ids=["X of 1e30", "X of 1e149", "targets of 1e30"],
)
def test_huge_numbers_that_nobody_scales_diverge(
    make: Callable[[], cr.Dataset], options: dict[str, Any], advice: str
) -> None:
    with pytest.raises(cr.DivergenceError, match=re.escape(advice)):
        trained(make(), **options)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30])
def test_a_constant_target_is_warned_of_and_predicted(value: float) -> None:
    watcher = Warned()
    data = numbers(np.full(N, value))
    run = trained(data, hooks=[watcher], training=cr.Training(epochs=200), optimizer=cr.Adam(lr=0.02))
    assert "constant-target" in watcher.findings
    np.testing.assert_allclose(run.model.target.shift, value, rtol=1e-12)
    assert run.model.target.scale == pytest.approx(
        1 / max(1, value / 1e12)
    )  # else the rounding of the mean would become the target
    assert run.metrics["model"]["train_rmse"] < 0.1 * max(1, value / 1e12)


def test_columns_that_vary_too_little_to_be_scaled_are_noted() -> None:
    watcher = Warned()
    trained(classes((X * [1, 1e-42, 1]).astype("f4")), hooks=[watcher])
    assert watcher.notes == ("1 column is constant over the training rows (1): shifted to 0, not scaled",)


def test_targets_are_kept_in_64_bits() -> None:
    kept = [classes(y=LABELS.astype("u8")), labels(FLAGS == 1), numbers(NUMBERS.astype(">f2"))]
    assert [data.y.dtype for data in kept] == [np.int64, np.int64, np.float64]


def test_a_read_only_memory_map(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", LABELS)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r"), np.load(tmp_path / "y.npy", mmap_mode="r")
    data = classes(*mapped)
    assert data.digest == classes().digest
    trained(data)


@pytest.fixture(scope="module")
def model() -> cr.Model:
    return trained(classes(feature_names=("a", "b", "c"))).model


ASKED: dict[str, tuple[Any, str]] = {
    "fewer columns": (X[:, :2], "X has shape (20, 2) and dtype float64; this model takes numbers (n_rows, 3)."),
    "more columns": (np.c_[X, X], "X has shape (20, 6) and dtype float64; this model takes numbers (n_rows, 3)."),
    "one row as 1-D": (X[0], "X has shape (3,) and dtype float64; this model takes numbers (n_rows, 3)."),
    "0-d": (np.array(1.0), "X has shape () and dtype float64; this model takes numbers (n_rows, 3)."),
    "NaN": (put(X, (4, 1), np.nan), "X is nan at row 4, column 'b'; this model takes finite numbers."),
    "-inf": (put(X, (4, 1), -np.inf, "f4"), "X is -inf at row 4, column 'b'; this model takes finite numbers."),
    "1e300": (put(X, (4, 1), 1e300), "row 4 gives outputs that are not finite; its values,"),
    "objects": (X.astype(object), "X has shape (20, 3) and dtype object; this model takes numbers (n_rows, 3)."),
    "text": (X.astype(str), "X has shape (20, 3) and dtype <U32; this model takes numbers (n_rows, 3)."),
    "complex": (X + 1j, "X has shape (20, 3) and dtype complex128; this model takes numbers (n_rows, 3)."),
    "datetime": (
        X.astype("M8[s]"),
        "X has shape (20, 3) and dtype datetime64[s]; this model takes numbers (n_rows, 3).",
    ),
    "None": (None, "X has shape () and dtype object; this model takes numbers (n_rows, 3)."),
}


@pytest.mark.parametrize(("asked", "message"), ASKED.values(), ids=ASKED)
def test_rows_to_predict_are_refused(model: cr.Model, asked: Any, message: str) -> None:
    with pytest.raises(cr.DataError, match=re.escape(message)):
        model.scores(asked)


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "g", "i1", "u8", ">i2", "?"])
def test_rows_to_predict_of_other_dtypes(model: cr.Model, dtype: str) -> None:
    with np.errstate(invalid="ignore"):
        asked = np.abs(X).astype(dtype)
    np.testing.assert_allclose(model.scores(asked), model.scores(asked.astype(float)), rtol=1e-3)
    assert model.predict(asked[::-1, :]).tolist() == model.predict(asked).tolist()[::-1]


def test_no_rows_to_predict(model: cr.Model) -> None:
    assert model.scores(X[:0]).shape == (0, 2)
    assert model.predict(X[:0]).shape == (0,)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_any_combination_ends_in_an_error_of_ours_or_a_finite_model(seed: int) -> None:
    assert outcome(combination(seed)) in {"trained", "DataError", "ConfigError", "DivergenceError"}
