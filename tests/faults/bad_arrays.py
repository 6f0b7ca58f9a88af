"""Arrays as no training wants them, at random: python -m faults.bad_arrays --count 5000 --seed 0 (in tests/).

Each combination ends in a ChainruleError, or in a model whose weights and scores are finite. Anything else, a warning
included, is a violation: it is printed with its number, and the exit code is 1. Numbers that are neither huge nor tiny
must not even end in a DivergenceError.
"""

import argparse
import json
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import chainrule as cr

SPLITS = (cr.Split(), cr.Split(test=0, validation=0), cr.Split(test=0, validation=0.3, order="file"))
PREPROCESSING = ("standardise", "mean", "unit", "none")
FACTORS = (1e-320, 1e-300, 1e-42, 1e-30, 1e-20, 1e-3, 1e3, 1e9, 1e20, 1e30, 1e37, 1e149, 1e300)
ODD_CELLS = (np.nan, np.inf, -np.inf, -0.0, 1e308, -3.4028235e38, 5e-324, -1, 2**63, 0.5)
DTYPES = ("f2", "f4", ">f8", ">f4", "g", "c16", "i1", "u1", ">i2", "i8", "u8", "?", "O", "U", "S", "M8[s]", "m8[s]")


class Warned(cr.Listening):
    """What a run says to those who watch it: notes before it starts, findings in between."""

    def __init__(self) -> None:
        self.notes: tuple[str, ...] = ()
        self.findings: list[str] = []

    def started(self, begun: Any) -> None:
        self.notes = begun.plan.notes

    def warned(self, finding: Any) -> None:
        self.findings.append(finding.name)


def trained(data: cr.Dataset, network: cr.Network | None = None, **options: Any) -> cr.Run:
    """A few steps with the NumPy backend; the weights and the scores of all rows have been found finite."""
    options = {"training": cr.Training(iterations=3), "compute": cr.Compute(backend="numpy")} | options
    run = cr.train(network or cr.mlp([3]), data, **options)
    for name, values in run.model.parameters.items():
        assert np.isfinite(values).all(), name
    assert np.isfinite(run.model.scores(data.X)).all()
    assert len(run.model.predict(data.X)) == data.n_rows
    assert len(data.digest) == 64
    return run


def put(values: np.ndarray, place: Any, value: Any, dtype: Any = None) -> np.ndarray:
    """A copy in `dtype`, with `value` at `place`."""
    changed = values.astype(dtype or values.dtype)
    changed[place] = value
    return changed


@dataclass
class Combination:
    """What is given to `Dataset`, `train` and `scores`, and which faults were put in."""

    data: dict[str, Any]
    options: dict[str, Any]
    norm: str
    asked: Any = None
    faults: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Train and predict."""
        found = trained(cr.Dataset(**self.data), cr.mlp([3], norm=self.norm), **self.options)
        if self.asked is not None:
            assert np.isfinite(found.model.scores(self.asked)).all()

    def may_diverge(self) -> bool:
        """Whether a number is so large or small that float32 cannot hold what comes of it, and no scale was to help: none
        was asked for, or it was fitted on other rows."""
        options, split = self.options, self.options["split"]
        unscaled = options["preprocessing"] in ("mean", "none") or not options["standardise_target"]
        if not unscaled and split.validation == 0:
            return False
        for values in (self.data["X"], self.data["y"]):
            if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
                size = np.abs(np.asarray(values, np.longdouble))
                if ((size > 1e6) | ((size < 1e-6) & (size > 0))).any():
                    return True
        return False


def combination(seed: int) -> Combination:
    """The combination with the number `seed`: sound arrays, and up to three faults."""
    rng = np.random.default_rng(seed)
    n, n_features, k = (int(rng.choice(sizes)) for sizes in ((1, 2, 3, 6, 20, 20, 20), (1, 2, 5), (1, 2, 3)))
    task = str(rng.choice(["classification", "multilabel", "regression"]))
    names = ("a", "b", "c")[: max(k, 2) if task == "classification" else k]
    y = {
        "classification": np.arange(n) % len(names),
        "multilabel": rng.integers(2, size=(n, k)),
        "regression": rng.normal(size=(n, k) if k > 1 else n),
    }[task]
    data = {"name": "d", "X": rng.normal(size=(n, n_features)), "y": y, "task": task, "target_names": names}
    if rng.random() < 0.3:
        data["weight"] = rng.integers(0, 3, size=n) * 0.5
    options = {
        "split": SPLITS[rng.integers(len(SPLITS))],
        "preprocessing": str(rng.choice(PREPROCESSING, p=(0.55, 0.15, 0.15, 0.15))),
        "standardise_target": bool(rng.random() < 0.8),
        "compute": cr.Compute(backend="numpy", precision=str(rng.choice(["float32", "float64"]))),
        "hooks": [Warned()] if rng.random() < 0.3 else [],
    }
    made = Combination(data, options, str(rng.choice(["none", "batch", "layer"], p=(0.6, 0.2, 0.2))))
    for _ in range(rng.integers(4)):
        part = str(rng.choice(["X", "X", "y", "weight"]))
        if isinstance(data.get(part), np.ndarray):
            fault = str(rng.choice(LIKELY if rng.random() < 0.6 else list(FAULTS)))
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
                data[part] = FAULTS[fault](data[part], rng)
            made.faults.append(f"{fault} {part}")
    if rng.random() < 0.3:
        made.asked = rng.normal(size=(int(rng.integers(4)), n_features + int(rng.integers(4) == 0)))
        with np.errstate(all="ignore"):
            made.asked = FAULTS[str(rng.choice(["cell", "factor", "strided", "0-d"]))](made.asked, rng)
    return made


def _cell(values: Any, rng: np.random.Generator) -> Any:
    if values.size == 0 or values.dtype.kind not in "f":
        return values
    values = values.copy()
    values[tuple(rng.integers(size) for size in values.shape)] = rng.choice(ODD_CELLS)
    return values


def _cast(values: Any, rng: np.random.Generator) -> Any:
    dtype = rng.choice(DTYPES)
    if values.dtype.kind not in "biufc" or (np.dtype(dtype).kind in "Mm" and values.dtype.kind == "c"):
        return values
    return values.astype(dtype)


def _object(values: Any, rng: np.random.Generator) -> Any:
    values = values.astype(object)
    if values.size:
        index = tuple(rng.integers(size) for size in values.shape)
        values[index] = [None, "text", [1], 10**400, {}][rng.integers(5)]
    return values


def _constant(values: Any, rng: np.random.Generator) -> Any:
    values = values.copy()
    if values.size and values.ndim:
        values[..., 0] = values.reshape(-1)[0]
    return values


def _factor(values: Any, rng: np.random.Generator) -> Any:
    return values * rng.choice(FACTORS) if values.dtype.kind == "f" else values


def _columns(values: Any, rng: np.random.Generator) -> Any:
    return values * rng.choice(FACTORS, size=values.shape[-1]) if values.dtype.kind == "f" and values.ndim else values


def _extreme(values: Any, rng: np.random.Generator) -> Any:
    dtype = np.dtype(rng.choice(["i8", "u8", "i4"]))
    limits = np.iinfo(dtype)
    return np.array([limits.min, 0, 1, limits.max], dtype)[rng.integers(4, size=values.shape)]


def _structured(values: Any, rng: np.random.Generator) -> Any:
    return np.zeros(values.shape, [("a", "f8"), ("b", "i4")])


Fault = Callable[[Any, np.random.Generator], Any]
FAULTS: dict[str, Fault] = {
    "cell": _cell,
    "cast": _cast,
    "object": _object,
    "constant": _constant,
    "all constant": lambda values, _: np.full_like(values, values.reshape(-1)[0]) if values.size else values,
    "factor": _factor,
    "columns": _columns,
    "extreme": _extreme,
    "structured": _structured,
    "masked": lambda values, rng: np.ma.array(values, mask=rng.random(values.shape) < 0.1),
    "Fortran": lambda values, _: np.asfortranarray(values),
    "strided": lambda values, _: np.repeat(values, 2, axis=0)[::2] if values.ndim else values,
    "reversed": lambda values, _: np.flip(values),
    "read-only": lambda values, _: (
        np.frombuffer(values.tobytes(), values.dtype).reshape(values.shape)
        if values.size and values.dtype.kind in "biufc"
        else values
    ),
    "0-d": lambda values, _: np.array(values.reshape(-1)[0]) if values.size else values,
    "1-D": lambda values, _: values.reshape(-1),
    "3-D": lambda values, _: values.reshape(*values.shape, 1),
    "rows": lambda values, rng: values[: rng.integers(len(values) + 1)] if values.ndim else values,
    "columns removed": lambda values, _: values[..., :0] if values.ndim else values,
    "list": lambda values, _: values.tolist(),
    "None": lambda values, _: None,
}


LIKELY = ["cell", "cast", "constant", "factor", "columns", "extreme"]
"""What no check of a shape stops."""


def outcome(made: Combination) -> str:
    """What came of it, "trained" or the name of an error of ours. An AssertionError for whatever is no ChainruleError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made.run()
    except cr.ChainruleError as error:
        if isinstance(error, cr.DivergenceError) and not made.may_diverge():
            raise AssertionError(f"ordinary numbers diverged: {error}") from error
        return type(error).__name__
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}") from error
    return "trained"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    for seed in range(options.seed, options.seed + options.count):
        made = combination(seed)
        try:
            counts[outcome(made)] += 1
        except AssertionError:
            counts["violation"] += 1
            print(f"{seed}: {made.data['task']}, {made.faults}", file=sys.stderr)
            traceback.print_exc()
    print(json.dumps({"count": options.count, "seed": options.seed, **dict(sorted(counts.items()))}))
    sys.exit(counts["violation"] > 0)


if __name__ == "__main__":
    main()
