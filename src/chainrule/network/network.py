"""A network written down: a frozen, validated list of layers, without arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chainrule import notebook
from chainrule.backprop import Layer, Parameter, parameters_of
from chainrule.errors import ConfigError
from chainrule.layers import Linear, MemberLinear, Residual
from chainrule.layers.initialisation import draw
from chainrule.layers.members import check_members, members_of
from chainrule.seeds import stream
from chainrule.spec import is_own
from chainrule.text import columns

COLUMNS = ("layer", "what", "width", "arrays", "parameters", "flops/row")


@dataclass(frozen=True)
class Network:
    """Layers in order, on rows of width `n_in`.

    n_in None, and a last linear layer without a width, are filled in from the data by `sized`.
    Raises a ConfigError for what is no layer, and for layers that do not fit.

    >>> from chainrule.layers import Linear, ReLU
    >>> Network((Linear(350), ReLU(), Linear(10)), n_in=3072)
    Network(3072 | linear 350 | relu | linear 10; 1,079,060 parameters)
    """

    layers: tuple[Layer, ...]
    n_in: int | None = None

    def __post_init__(self) -> None:
        """Refuse an empty list, things that are no layers, and widths that do not fit."""
        if not isinstance(self.layers, Iterable):
            raise ConfigError(f"layers is {self.layers!r}; expected a list of layers, such as [Linear()]")
        object.__setattr__(self, "layers", tuple(self.layers))
        if not self.layers:
            raise ConfigError("a network needs at least one layer, for example Linear()")
        for i, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise ConfigError(
                    f"layer {i} is {layer!r}; expected a layer such as Linear(350) or a subclass of Layer"
                )
        if self.n_in is not None:
            _widths(self.layers[:-1] if self._open else self.layers, self.n_in)

    @property
    def _open(self) -> bool:
        last = self.layers[-1]
        return isinstance(last, Linear | MemberLinear) and last.width is None

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """n_in, then the width after each layer."""
        if self.n_in is None:
            raise ConfigError("the network has no n_in yet; give it, or call sized(n_in, n_out)")
        return _widths(self.layers, self.n_in)

    @property
    def n_out(self) -> int:
        """Outputs of the network, of one member where it has several."""
        return self.widths[-1] // self.n_members

    @property
    def n_members(self) -> int:
        """Members whose logits stand side by side; 1 without `MemberLinear` layers."""
        return members_of(self.layers)

    def sized(self, n_in: int, n_out: int) -> "Network":
        """This network for rows of width `n_in` and `n_out` outputs; refuses one that says otherwise."""
        if self.n_in not in (None, n_in):
            raise ConfigError(f"the network takes rows of width {self.n_in}, but the data have {n_in} features")
        check_members(self.layers)
        *before, last = self.layers
        if isinstance(last, Linear | MemberLinear) and last.width is None:
            last = replace(last, width=n_out)
        network = Network((*before, last), n_in)
        if network.n_out != n_out:
            raise ConfigError(
                f"the network ends with width {network.n_out}, but the targets need {n_out} outputs; "
                f"end it with Linear({n_out}) or Linear()"
            )
        return network

    @cached_property
    def parameters(self) -> dict[str, Parameter]:
        """Every array by name, "0.W" for W of the first layer: its shape, role and start."""
        return parameters_of(self.layers, self.widths[0])

    @cached_property
    def trainable(self) -> tuple[str, ...]:
        """Names of those with gradients: all but running statistics."""
        return tuple(name for name, parameter in self.parameters.items() if parameter.role != "running")

    @cached_property
    def weights(self) -> tuple[str, ...]:
        """Names of the weight matrices, which alone are penalised and decayed."""
        return tuple(name for name, parameter in self.parameters.items() if parameter.role == "weight")

    @cached_property
    def ranks(self) -> dict[str, int]:
        """The number of dimensions of each trainable array, without leading axes."""
        return {name: len(self.parameters[name].shape) for name in self.trainable}

    def initial(self, seed: int) -> dict[str, NDArray[np.float64]]:
        """Every array at the start of training, drawn from stream "init" of `seed`; the same on every backend."""
        return initial_values(self.parameters, seed)

    @property
    def n_parameters(self) -> int:
        """Trainable numbers."""
        return sum(int(np.prod(self.parameters[name].shape)) for name in self.trainable)

    @property
    def flops_per_row(self) -> int:
        """Floating-point operations of one row's forward pass; a training step takes about three times as many."""
        return sum(layer.flops(n) for layer, n in zip(self.layers, self.widths, strict=False))

    def step_memory(self, batch: int, *, slots: int = 0, itemsize: int = 4) -> int:
        """Bytes of one training step: parameters, gradients, `slots` arrays of the optimiser, and each layer's output.

        Temporaries of the backend are not counted. itemsize: bytes of one number, 4 for float32.
        """
        return itemsize * (self.n_parameters * (2 + slots) + batch * sum(self.widths))

    def __repr__(self) -> str:
        layers = " | ".join(describe(layer) for layer in self.layers)
        if self.n_in is None or self._open:
            return f"Network({layers})" if self.n_in is None else f"Network({self.n_in} | {layers})"
        return f"Network({self.n_in} | {layers}; {self.n_parameters:,} parameters)"

    def _rows(self) -> list[list[object]]:
        rows: list[list[object]] = []
        for i, (layer, n) in enumerate(zip(self.layers, self.widths, strict=False)):
            own = {name: p for name, p in layer.parameters(n).items() if p.role != "running"}
            arrays = ", ".join(f"{name} {'x'.join(map(str, p.shape))}" for name, p in own.items())
            count = sum(int(np.prod(p.shape)) for p in own.values())
            rows.append([i, describe(layer), f"{n} -> {layer.n_out(n)}", arrays, f"{count:,}", f"{layer.flops(n):,}"])
        rows.append(["", "total", f"{self.widths[0]} -> {self.n_out}", "", f"{self.n_parameters:,}",
                     f"{self.flops_per_row:,}"])  # fmt: skip
        return rows

    def table(self) -> str:
        """One line a layer: what it is, its width, its parameters and operations; totals below."""
        return columns(COLUMNS, self._rows(), right=(4, 5))

    def _repr_html_(self) -> str:
        if self.n_in is None or self._open:
            return f"<code>{notebook.safe(repr(self))}</code>"
        return notebook.table("Network", COLUMNS, self._rows(), right=(4, 5))


def _widths(layers: Sequence[Layer], n_in: int) -> tuple[int, ...]:
    if n_in < 1:
        raise ConfigError(f"n_in is {n_in}; expected at least 1")
    widths = [n_in]
    for i, layer in enumerate(layers):
        try:
            widths.append(layer.n_out(widths[-1]))
        except ConfigError as error:
            raise ConfigError(f"layer {i} ({kind_of(layer)}): {error}") from None
    return tuple(widths)


def initial_values(parameters: Mapping[str, Parameter], seed: int) -> dict[str, NDArray[np.float64]]:
    """The named arrays at the start of training, in float64, each from a stream of its own name."""
    return {name: _initial(one, stream(seed, f"init/{name}")) for name, one in parameters.items()}


def _initial(parameter: Parameter, rng: np.random.Generator) -> NDArray[np.float64]:
    shape, _, initial = parameter
    if isinstance(initial, (int, float)):
        return np.full(shape, initial, dtype=np.float64)
    values: NDArray[np.float64] = initial(shape, rng) if callable(initial) else draw(initial, shape, rng)
    return values


def kind_of(part: object) -> str:
    """The name of a layer's or loss's kind: "linear", or the class name of a user's own."""
    return getattr(part, "kind", type(part).__name__)


def own_layers(layers: Sequence[Layer]) -> list[Layer]:
    """The layers that are not built in, in residual blocks too."""
    found: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Residual):
            found += own_layers(layer.body)
        elif is_own(layer):
            found.append(layer)
    return found


def describe(layer: Layer) -> str:
    """A layer in a few characters: "linear 350", "dropout 0.4", "8 x linear 350" of eight members."""
    if isinstance(layer, Residual):
        return "residual(" + " | ".join(describe(inner) for inner in layer.body) + ")"
    if isinstance(layer, MemberLinear):
        return f"{layer.members} x linear{'' if layer.width is None else f' {layer.width}'}"
    shown = [getattr(layer, name, None) for name in ("width", "rate", "slope", "approximate", "limit")]
    return " ".join([kind_of(layer), *(str(value) for value in shown if value not in (None, "none"))])
