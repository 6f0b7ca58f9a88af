"""A table with words, gaps and a constant column, as text and as a data set; what it says is a known function."""

from functools import cache
from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule.data.readers.csv_files import read_csv

NAMES = ("size", "age", "colour", "city", "const")
CITIES = tuple(f"city {i:02d}" for i in range(15))


def cells(n: int, seed: int = 0) -> list[list[str]]:
    """Rows of texts, the price last: gaps in age and colour, three colours, fifteen cities, one constant."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        city, colour, size, age = draw.integers(15), draw.integers(3), draw.lognormal(), draw.normal()
        shown = ["red", "green", "blue"][colour]
        price = np.log(size) + 0.2 * city + (colour == 0) + age
        found.append([f"{size:.4f}", "" if draw.random() < 0.2 else f"{age:.3f}",
                      "NA" if draw.random() < 0.1 else shown, CITIES[city], "7", f"{price:.4f}"])  # fmt: skip
    return found


def written(folder: Path, n: int = 300, seed: int = 0, order: tuple[int, ...] = (0, 1, 2, 3, 4, 5)) -> Path:
    """As a CSV, its columns in another order where asked."""
    names = [*NAMES, "price"]
    lines = [[names[i] for i in order], *([row[i] for i in order] for row in cells(n, seed))]
    path = folder / "table.csv"
    path.write_text("\n".join(map(",".join, lines)) + "\n")
    return path


@cache
def data(n: int = 300) -> cr.Dataset:
    """As a data set; regression of the price."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        return read_csv(written(Path(folder), n), "price")


@cache
def trained(**options: object) -> cr.Run:
    """A small network on it, for a few steps."""
    how = {"training": cr.Training(epochs=2, batch_size=50), "compute": cr.Compute(backend="numpy", threads=1)}
    return cr.train(cr.mlp([8]), data(), **how | options)  # type: ignore[call-overload]
