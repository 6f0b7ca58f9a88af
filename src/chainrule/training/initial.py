"""Where a training goes on from, other than initial parameters: what an earlier one left, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from chainrule.data import Affine, Dataset, Preprocessing
from chainrule.data.streaming import Shards
from chainrule.errors import ConfigError
from chainrule.network import Network
from chainrule.optim import Optimizer


@dataclass(frozen=True, eq=False)
class Initial:
    """Arrays by name. The preprocessing stays as it was fitted, since the parameters were trained on what it gives.

    slots: the optimiser's arrays of each trainable parameter, or None for zeros. step: the steps that they have seen.
    """

    parameters: Mapping[str, NDArray[Any]]
    preprocessing: Preprocessing
    target: Affine
    slots: Mapping[str, tuple[NDArray[Any], ...]] | None = None
    step: int = 0

    def prepares(self, data: Dataset | Shards) -> Preprocessing:
        """The preprocessing; raises a ConfigError where it cannot take the columns of `data`."""
        if isinstance(data, Shards) and not isinstance(self.preprocessing, Affine):
            raise ConfigError(
                f"the model to go on from prepares all rows beforehand (preprocessing 'robust'), but {data.name} is "
                "streamed; set data.stream.when = 'never', or train anew"
            )
        if isinstance(data, Dataset) and data.categories and isinstance(self.preprocessing, Affine):
            raise ConfigError(
                f"the model to go on from takes numbers without gaps, and {data.name} has words or gaps; give it the "
                "table that it was trained on, or train anew"
            )
        if self.preprocessing.n_in != data.n_features:
            raise ConfigError(
                f"the model to go on from takes {self.preprocessing.n_in} columns, and {data.name} has "
                f"{data.n_features}; give it the table that it was trained on"
            )
        return self.preprocessing

    def check(self, network: Network, optimizer: Optimizer) -> None:
        """Raise a ConfigError where the arrays do not fit."""
        expected = {name: tuple(parameter.shape) for name, parameter in network.parameters.items()}
        found = {name: array.shape for name, array in self.parameters.items()}
        if found != expected:
            name = sorted({*found.items()} ^ {*expected.items()})[0][0]
            raise ConfigError(
                f"the parameters to go on from do not fit the network: {name} has shape {found.get(name)}, "
                f"expected {expected.get(name)}; give the network that they were trained in"
            )
        held = {} if self.slots is None else {name: [a.shape for a in arrays] for name, arrays in self.slots.items()}
        if self.slots is not None and held != {name: [expected[name]] * len(optimizer.slots)
                                               for name in network.trainable}:  # fmt: skip
            raise ConfigError(
                f"the optimiser's arrays to go on from do not fit {type(optimizer).__name__}; give slots=None to begin "
                "them anew"
            )
