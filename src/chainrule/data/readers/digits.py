"""The 1,797 handwritten digits that come with scikit-learn, read without importing it."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from chainrule.data.dataset import Dataset
from chainrule.data.readers.files import read_all
from chainrule.errors import DataError


def read_digits() -> Dataset:
    """Images of 8 by 8 pixels of 0 to 16, and the digit that each shows."""
    spec = find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("digits: scikit-learn, whose file it is, is not installed: pip install scikit-learn")
    path = Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    text = read_all(path, at_most=2**20).decode("ascii")
    rows = np.array([line.split(",") for line in text.split()], dtype=np.uint8)
    return Dataset(
        name="digits",
        X=rows[:, :-1].copy(),
        y=rows[:, -1].astype(np.int64),
        task="classification",
        target_names=tuple("0123456789"),
        row_shape=(1, 8, 8),
    )
