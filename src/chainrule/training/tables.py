"""A table with words and gaps, seen by a plan: the embedding that its network begins with, and what is said of it."""

from collections.abc import Sequence

from chainrule.data import Augment, Dataset, Preparation, Preprocessing
from chainrule.errors import ConfigError
from chainrule.layers import Embedding
from chainrule.network import Network

_SHOWN = 5


def with_embedding(network: Network, preprocessing: Preprocessing, augment: Augment, data: Dataset) -> Network:
    """The network, with an `Embedding` of the preparation's codes before its layers where it brings none of its own.

    Raises a ConfigError for one of other sizes, and where rows would be augmented that cannot be.
    """
    embedded, sizes = preprocessing.embedded, preprocessing.sizes
    placed = [layer for layer in network.layers if isinstance(layer, Embedding)]
    if placed and placed[0].sizes != sizes:
        raise ConfigError(
            f"the network's embedding has sizes {placed[0].sizes}, but the columns of {data.name} need "
            f"{sizes or 'none'}; leave the layer out, and one that fits is put before the others"
        )
    if isinstance(preprocessing, Preparation) and augment.on_images:
        raise ConfigError(
            "data.augment moves pixels, which preprocessing 'robust' has made numbers of their own columns; set "
            "data.preprocessing to another kind"
        )
    if not sizes:
        return network
    if augment.mixup:
        raise ConfigError(
            f"data.augment.mixup {augment.mixup} mixes rows, and the codes of {_few(data, embedded)} cannot "
            "be mixed; set it to 0, or remove columns of more than 9 categories"
        )
    return network if placed else Network((Embedding(sizes), *network.layers), network.n_in)


def notes_on_table(data: Dataset, preprocessing: Preprocessing) -> list[str]:
    """How the task was told from the target, and what becomes of columns with words and with gaps."""
    notes = []
    if data.told:
        notes.append(f"the task is {data.task}, told from the target: {data.told}; data.task overrides it")
    if not isinstance(preprocessing, Preparation):
        return notes
    words = [i for i, held in enumerate(preprocessing.categories) if held is not None]
    one_hot = [i for i in words if i not in preprocessing.embedded]
    for columns, how in (
        (one_hot, "one-hot"),
        (preprocessing.embedded, "embedded, having more than 9 categories"),
        (preprocessing.indicators, "with gaps: the median there, and an indicator"),
    ):
        if columns:
            notes.append(f"{len(columns)} column{'s' if len(columns) > 1 else ''} {how} ({_few(data, columns)})")
    return notes


def _few(data: Dataset, columns: Sequence[int]) -> str:
    names = [data.feature_names[i] if data.feature_names else f"column {i}" for i in columns[:_SHOWN]]
    return ", ".join(names) + (", ..." if len(columns) > _SHOWN else "")
