"""The common form of a network: hidden blocks of linear, norm, activation, dropout; then a linear layer."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

from chainrule.backprop import Layer
from chainrule.errors import ConfigError
from chainrule.layers import (
    Activation,
    BatchNorm,
    Dropout,
    Init,
    LayerNorm,
    Linear,
    MemberLinear,
    PeriodicEmbedding,
    SmoothClip,
)
from chainrule.layers.initialisation import Kind
from chainrule.network.network import Network

NormName = Literal["batch", "layer", "none"]
ACTIVATIONS: dict[str, type[Layer]] = {cls.kind: cls for cls in get_args(Activation)}
_SUITED: dict[str, Kind] = {"tanh": "glorot", "sigmoid": "glorot", "selu": "lecun"}


def mlp(
    hidden: Sequence[int] = (),
    *,
    activation: str | Layer = "relu",
    dropout: float | Sequence[float] = 0.0,
    norm: NormName | Sequence[NormName | None] | None = None,
    init: Kind | Init | None = None,
    members: int = 1,
    clip: float | None = None,
    embedding: PeriodicEmbedding | None = None,
    n_in: int | None = None,
    n_out: int | None = None,
) -> Network:
    """A multilayer perceptron. Each hidden block is linear, then norm, then activation, then dropout, where asked for.

    hidden: widths of the hidden layers; empty gives a linear model. activation: a kind such as "gelu", or a layer.
    dropout, norm: one for all blocks, or a list with one a block. init: of every linear layer; None picks He,
    or Glorot for tanh and sigmoid, or LeCun for SELU. members: so many networks in one, which share their weights (see
    `MemberLinear`). clip: the limit of a `SmoothClip` of the features; embedding: of the features, after that. n_in,
    n_out: left out, they come from the data. Raises a ConfigError for what is not known or does not fit.

    >>> mlp([2000, 700], dropout=[0.4, 0], norm=[None, "batch"])
    Network(linear 2000 | relu | dropout 0.4 | linear 700 | batch_norm | relu | linear)
    """
    if isinstance(hidden, (int, str)):
        raise ConfigError(f"hidden is {hidden!r}; expected a list of widths, such as [100] or [200, 100]")
    between = _activation(activation) if isinstance(activation, str) else activation
    start = _SUITED.get(getattr(between, "kind", "relu"), "he") if init is None else init
    rates = _one_a_block("dropout", dropout, len(hidden))
    norms = _one_a_block("norm", norm, len(hidden))
    before: list[Layer] = [] if clip is None else [SmoothClip(clip)]
    before += [] if embedding is None else [embedding]
    layers: list[Layer] = []
    for width, rate, norm_name in zip(hidden, rates, norms, strict=True):
        layers.append(_linear(width, start, members, first=not layers))
        if norm_name not in (None, "none"):
            layers.append(_norm(norm_name))
        layers.append(between)
        if rate:
            layers.append(Dropout(rate))
    return Network((*before, *layers, _linear(n_out, start, members, first=not layers)), n_in)


def _linear(width: int | None, init: Kind | Init, members: int, *, first: bool) -> Layer:
    return Linear(width, init=init) if members == 1 else MemberLinear(width, members, spread=first, init=init)


def _activation(name: str) -> Layer:
    if name not in ACTIVATIONS:
        raise ConfigError(f"activation {name!r} is not known; the activations are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]()


def _one_a_block(option: str, value: Any, n: int) -> list[Any]:
    if value is None or isinstance(value, (str, int, float)):
        return [value] * n
    if len(value) != n:
        raise ConfigError(f"{option} lists {len(value)} values for {n} hidden layers; give one a layer, or one for all")
    return list(value)


def _norm(name: Any) -> Layer:
    if name not in ("batch", "layer"):
        raise ConfigError(f"norm {name!r} is not known; expected 'batch', 'layer' or 'none'")
    return BatchNorm() if name == "batch" else LayerNorm()
