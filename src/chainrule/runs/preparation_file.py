"""The preprocessing in a model's files: arrays in `weights.safetensors`, words and gaps in `model.json`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from chainrule.data import Affine, Preparation, Preprocessing
from chainrule.data.tables import MOST_WORDS, is_gap
from chainrule.errors import DamagedError
from chainrule.layers import Embedding
from chainrule.network import Network
from chainrule.spec import List, spec


@spec
class PreparationFile:
    """What `model.json` holds of a `Preparation`. categories: words of each column, null for a column of numbers."""

    categories: List[List[str] | None]
    gaps: List[int]

    @property
    def n_numeric(self) -> int:
        """Columns of numbers, which shift and scale are of."""
        return sum(words is None for words in self.categories)


def plain_preparation(preprocessing: Preprocessing) -> PreparationFile | None:
    """What `model.json` holds of it: nothing of an affine one, which is its arrays."""
    if isinstance(preprocessing, Affine):
        return None
    return PreparationFile(preprocessing.categories, preprocessing.gaps)


def read_preparation(file: PreparationFile | None, arrays: Mapping[str, NDArray[Any]], constant: tuple[int, ...],
                     network: Network, names: Sequence[str], path: Path) -> Preprocessing:  # fmt: skip
    """The preprocessing that was written, of arrays of the right shapes.

    Raises a DamagedError where it does not fit the network.
    """
    shift, scale = arrays["preprocessing.shift"], arrays["preprocessing.scale"]
    if file is None:
        return Affine(shift, scale, constant)
    for i, words in enumerate(file.categories):
        if words is not None and (len(set(words)) < len(words) or any(map(is_gap, words)) or len(words) > MOST_WORDS):
            raise DamagedError(f"{path} is damaged: the categories of column {i} are not words, each of them once.")
    n = len(file.categories)
    if tuple(sorted(set(file.gaps))) != file.gaps or not all(0 <= i < n for i in file.gaps):
        raise DamagedError(f"{path} is damaged: gaps in columns {file.gaps} of {n}.")
    found = Preparation(shift, scale, file.categories, file.gaps)
    sizes = next((layer.sizes for layer in network.layers if isinstance(layer, Embedding)), ())
    if (found.n_out, found.sizes, found.constant) != (network.widths[0], sizes, constant) or len(names) != n:
        raise DamagedError(
            f"{path} is damaged: a preparation of {n} columns to {found.n_out} inputs does not fit the network "
            f"{network!r}."
        )
    return found
