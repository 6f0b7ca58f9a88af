"""The chain rule: `forward` collects each layer's pullback, `backward` walks them in reverse.

A layer is a function y = f(x; parameters). Its pullback takes dy = ∂J/∂y to dx = ∂J/∂x and to the gradients of its own
parameters; composing pullbacks in reverse order is all that backpropagation is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from traceback import walk_tb
from typing import Any, Literal, NamedTuple

from chainrule.arrays import Array
from chainrule.errors import ConfigError

Parameters = dict[str, Array]
"""Named arrays of a network or a layer: weights, biases, norm parameters and running statistics."""

Pullback = Callable[[Array], tuple[Array, Parameters]]
"""dy (..., batch, n_out) -> dx (..., batch, n_in), {name: gradient}. dx is None where no one asked for it."""

Role = Literal["weight", "bias", "norm", "running"]


class Parameter(NamedTuple):
    """One array of a layer before it exists.

    role: "weight" (a matrix, penalised, decayed), "bias", "norm" (scale, shift; kept wide), "running" (statistics, no
    gradient).
    shape: without leading axes. initial: an `Init`, the number that fills it, or a function of shape and generator.
    """

    shape: tuple[int, ...]
    role: Role
    initial: Any


class Part(NamedTuple):
    """The rows of a pass, where they are one rank's of a larger batch.

    begin: their place in it. n: rows of the whole batch. sum: an array summed over all ranks, which must all ask.
    """

    begin: int
    n: int
    sum: Callable[[Array], Array]

    def mean(self, x: Array, xp: Any) -> Array:
        """Over the rows of the whole batch, of which x (..., rows, n) holds some; (..., 1, n)."""
        return self.sum(xp.sum(x, axis=-2, keepdims=True)) / self.n

    def share(self, rows: int, weight: Array | None, xp: Any) -> Any:
        """What these rows weigh of the whole batch, for weights (rows,) or None: a number from 0 to 1."""
        if weight is None:
            return rows / self.n
        own = xp.sum(weight)
        total = self.sum(xp.asarray(own, copy=True))
        return own / xp.where(total > 0, total, 1.0)  # a batch of zero weight has loss 0


class Context(NamedTuple):
    """What a pass knows beside parameters and input. A layer reads it and writes nothing.

    xp: the array namespace. training: False in evaluation. path: the layer's name, "3" or "3.body.0".
    mask(path, rows, n, rate, dtype): dropout mask of 0 and 1/(1 - rate), repeatable, (..., rows, n).
    derive: makes a pullback by autograd for layers that bring none (torch only).
    input_gradient: whether anyone needs dx. kernels: compiled stand-ins that a layer may use, or None.
    part: where other ranks hold the rest of the batch; layers that look across rows must ask it.
    """

    xp: Any
    training: bool
    path: str = ""
    mask: Callable[[str, int, int, float, Any], Array] | None = None
    derive: Callable[["Layer", Parameters, Array, "Context"], Any] | None = None
    input_gradient: bool = True
    kernels: Any = None
    part: Part | None = None


class Layer(ABC):
    """A frozen specification with pure functions. Subclass it, final, to add a layer of your own.

    `forward` returns `(y, pullback)`, or `(y, pullback, statistics)` when it has running statistics to renew. If it
    returns y alone, the torch backend derives the pullback by autograd and `check` says so.
    """

    def n_out(self, n_in: int) -> int:
        """Width of y for x of width `n_in`. Raises ConfigError for a width that cannot be."""
        return n_in

    def parameters(self, n_in: int) -> dict[str, Parameter]:  # noqa: ARG002
        """The layer's arrays, by name."""
        return {}

    def flops(self, n_in: int) -> int:
        """Floating-point operations of the forward pass of one row, multiply and add counted as two."""
        return n_in

    def example(self, rng: Any, rows: int, n_in: int) -> Any:
        """Rows x (rows, n_in) such as the layer may be given, on which its gradients are checked; drawn from `rng`."""
        return rng.normal(size=(rows, n_in))

    @abstractmethod
    def forward(self, parameters: Parameters, x: Array, context: Context) -> Any:
        """y (..., batch, n_out) and the pullback, for x (..., batch, n_in)."""


class Forward(NamedTuple):
    """Result of a forward pass: y (..., batch, n_out), the way back, and renewed running statistics by name."""

    y: Array
    pullback: Pullback
    statistics: Parameters


def forward(layers: Sequence[Layer], parameters: Parameters, x: Array, context: Context) -> Forward:
    """Run `layers` in order on x (..., batch, n_in); parameter "W" of layer 3 is `parameters["3.W"]`.

    Returns y (..., batch, n_out), the pullback of all and the renewed running statistics. Raises a ConfigError where a
    layer brings no pullback and `context` cannot derive one.

    >>> import numpy as np
    >>> from chainrule import Context, ReLU
    >>> context = Context(np, training=False, input_gradient=True)
    >>> y, pullback, statistics = forward([ReLU(), ReLU()], {}, np.array([[-1.0, 2.0]]), context)
    >>> y.tolist(), pullback(np.ones((1, 2)))[0].tolist()
    ([[0.0, 2.0]], [[0.0, 1.0]])
    """
    above = context.path + "." if context.path else ""
    pullbacks: list[tuple[str, Pullback]] = []
    statistics: Parameters = {}
    xp, training, _, mask, derive, needed, kernels, part = context
    for layer, (path, prefix, names) in zip(
        layers, _names_by_layer(tuple(parameters), len(layers), above), strict=True
    ):
        own = {name: parameters[full] for name, full in names}
        here = Context(xp, training, path, mask, derive, needed, kernels, part)
        x, pullback, *renewed = _apply(layer, own, x, here)
        pullbacks.append((prefix, pullback))
        for new in renewed:
            statistics |= {prefix + name: value for name, value in new.items()}
        needed = needed or bool(own)

    def backward(dy: Array) -> tuple[Array, Parameters]:
        gradients: Parameters = {}
        for prefix, pullback in reversed(pullbacks):
            if dy is None:
                break
            dy, own_gradients = pullback(dy)
            for name, gradient in own_gradients.items():
                gradients[prefix + name] = gradient
        return dy, gradients

    return Forward(x, backward, statistics)


def _apply(layer: Layer, parameters: Parameters, x: Array, context: Context) -> Any:
    try:
        result = layer.forward(parameters, x, context)
        if isinstance(result, tuple):
            return result
        if context.derive is None:
            raise ConfigError(
                f"Layer {context.path} ({type(layer).__name__}) returns no pullback, and this backend cannot derive "
                "one. Return (y, pullback) from its forward, or train with backend 'torch'."
            )
        return context.derive(layer, parameters, x, context)
    except (RuntimeError, TypeError) as error:
        refuse_numpy_in(layer, context.path, error)
        raise


def refuse_numpy_in(layer: Layer, path: str, error: Exception) -> None:
    """Raise a ConfigError from an error of torch that comes of a call to NumPy in the layer."""
    refuse_numpy(error, f"Layer {path} ({type(layer).__name__})", "context.xp", "forward and pullback", "x")


def refuse_numpy(error: Exception, what: str, xp: str, where: str, x: str) -> None:
    """Raise a ConfigError from an error of torch that comes of a call such as np.sin(x) with a tensor."""
    text = str(error).lower()
    frames = [f for f, _ in walk_tb(error.__traceback__) if f.f_globals.get("__name__", "").startswith("numpy")]
    given = [type(value).__module__ for frame in frames for value in frame.f_locals.values()]
    if ("numpy" in text and "tensor" in text) or "torch" in given:  # np.mean(x) speaks of neither
        raise ConfigError(
            f"{what} calls NumPy on a tensor of torch. Use {xp} in its {where}, such as {xp}.sin({x}) for np.sin({x})."
        ) from error


@lru_cache(maxsize=256)
def _names_by_layer(names: tuple[str, ...], n_layers: int, above: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """For each layer its path, the prefix of its parameters, and the (own name, full name) of each of them."""
    by_layer: list[list[tuple[str, str]]] = [[] for _ in range(n_layers)]
    for full in names:
        position, _, name = full.partition(".")
        by_layer[int(position)].append((name, full))
    return [(f"{above}{i}", f"{i}.", pairs) for i, pairs in enumerate(by_layer)]


def parameters_of(layers: Sequence[Layer], n_in: int) -> dict[str, Parameter]:
    """Every array of `layers` on rows of width `n_in`, by its full name, in order.

    Raises a ConfigError for a weight that is no matrix.
    """
    found: dict[str, Parameter] = {}
    for i, layer in enumerate(layers):
        for name, parameter in layer.parameters(n_in).items():
            if parameter.role == "weight" and len(parameter.shape) != 2:
                raise ConfigError(
                    f"{type(layer).__name__}: its parameter {name!r} has the role 'weight' and the shape "
                    f"{parameter.shape}; expected a matrix (n_in, n_out), which is penalised and decayed. Give it the "
                    "role 'bias', or 'norm', which stays in float32 at least"
                )
            found[f"{i}.{name}"] = parameter
        n_in = layer.n_out(n_in)
    return found
