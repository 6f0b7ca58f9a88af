"""Shared by the tests of the mathematics: backends, generic points, and the objective with its two witnesses."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from chainrule.backends import Backend, Compute, choose
from chainrule.backprop import Layer, forward
from chainrule.losses import Loss
from chainrule.network import Network
from chainrule.objective import objective, penalty_value
from chainrule.verify.check import generic_values
from chainrule.verify.differences import central_differences

Arrays = dict[str, np.ndarray]

AUTOGRAD = 1e-12  # float64 has 16 digits; a network of a few layers loses two or three of them
DIFFERENCES = 1e-7  # four-point differences reach 1e-9 or better; a wrong equation is off by far more


def backend(name: str, precision: str = "float64") -> Backend:
    return choose(Compute(backend=name, precision=precision, device="cpu", threads=1), 0.0)


NUMPY, TORCH = backend("numpy"), backend("torch")
BOTH = (NUMPY, TORCH)


class Problem(NamedTuple):
    """A network, loss and batch: everything that J depends on. arrays: parameters by name and "x"."""

    network: Network
    loss: Loss
    arrays: Arrays
    target: np.ndarray
    weight: np.ndarray | None = None
    penalty: Any = 0.0
    training: bool = True
    seed: int | tuple[int, ...] = 5

    @property
    def running(self) -> list[str]:
        return [name for name, p in self.network.parameters.items() if p.role == "running"]

    def parts(self, on: Backend, held: Mapping[str, Any]) -> tuple[Any, ...]:
        """Parameters, target, weight, context and penalty as `on` takes them."""
        parameters = {name: value for name, value in held.items() if name != "x"}
        weight = None if self.weight is None else on.array(self.weight, on.dtype)
        context = on.context(training=self.training, seed=self.seed, step=3)._replace(input_gradient=True)
        penalty = on.array(self.penalty, on.dtype) if isinstance(self.penalty, np.ndarray) else self.penalty
        return parameters, on.array(self.target), weight, context, penalty

    def value(self, on: Backend, held: Mapping[str, Any]) -> Any:
        """J of all networks together."""
        parameters, target, weight, context, penalty = self.parts(on, held)
        logits = forward(self.network.layers, parameters, held["x"], context).y
        loss = self.loss(logits, target, weight, on.xp)[0]
        return on.xp.sum(loss + penalty_value(parameters, self.network.weights, penalty, on.xp))

    def result(self, on: Backend) -> tuple[np.ndarray, Arrays, Arrays]:
        """loss (...), the gradients by our pullbacks (that of the rows as "x"), and renewed running statistics."""
        with on.scope():
            held = {name: on.array(value, on.dtype) for name, value in self.arrays.items()}
            parameters, target, weight, context, penalty = self.parts(on, held)
            got = objective(self.network.layers, parameters, self.loss, held["x"], target, weight, context,
                            self.network.weights, penalty)  # fmt: skip
            gradients = {name: on.numpy(g) for name, g in got.gradients.items()} | {"x": on.numpy(got.dx)}
            return on.numpy(got.loss), gradients, {name: on.numpy(s) for name, s in got.statistics.items()}

    def gradients(self, on: Backend = NUMPY) -> Arrays:
        return self.result(on)[1]

    def by_autograd(self) -> Arrays:
        """torch's own gradients of J."""
        constant = set(self.running)
        held = {name: TORCH.array(value).clone() for name, value in self.arrays.items()}
        asked = {name: value.requires_grad_() for name, value in held.items() if name not in constant}
        found = torch.autograd.grad(
            self.value(TORCH, held), list(asked.values()), materialize_grads=True, allow_unused=True
        )
        return {name: g.numpy() for name, g in zip(asked, found, strict=True)}

    def slope_along_a_line(self, rng: np.random.Generator) -> tuple[float, bool]:
        """Relative error of our gradient against differences of J along a random line through the point, over all
        arrays at once; and whether J is smooth there."""
        ours = self.gradients()
        line = {name: rng.normal(size=g.shape) for name, g in ours.items()}
        at = {name: value.copy() for name, value in self.arrays.items()}
        t = np.zeros(1)

        def f() -> float:
            for name, direction in line.items():
                at[name] = self.arrays[name] + 0.1 * t[0] * direction
            return float(self.value(NUMPY, at))

        exact = 0.1 * sum(float(np.sum(ours[name] * direction)) for name, direction in line.items())
        scale = 0.1 * norm(ours)
        with NUMPY.scope():
            found = central_differences(f, t, scale, 1, rng)
        return abs(exact - found.estimates[0]) / scale, bool(found.settled[0])


def norm(arrays: Mapping[str, np.ndarray]) -> float:
    return float(np.sqrt(sum(float(np.sum(a * a)) for a in arrays.values()))) or 1.0


def relative_error(ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]) -> float:
    """max|ours - theirs| of each array over its largest entry, or over a hundredth of the largest of all or of 1.

    Small gradients are small rests of larger terms, and rounding is that of the terms: in ψ - Δ of a network that is
    sure and right, which are 1, or before a batch norm, which takes out what only scales its input.
    """
    assert ours.keys() == theirs.keys()
    assert all(ours[name].shape == theirs[name].shape for name in ours)
    largest = max(1.0, *(float(np.max(np.abs(a))) for a in theirs.values()))
    scales = {name: max(float(np.max(np.abs(a))), 1e-2 * largest) for name, a in theirs.items()}
    return max(float(np.max(np.abs(ours[name] - theirs[name]))) / scales[name] for name in ours)


def generic(network: Network, seed: int = 0, leading: tuple[int, ...] = ()) -> Arrays:
    """Parameters at a point where nothing is special, of a stack of `leading` networks that all differ."""
    n = int(np.prod(leading))
    stack = [generic_values(network.parameters, seed + i) for i in range(n)]
    return {name: np.stack([one[name] for one in stack]).reshape(leading + stack[0][name].shape) for name in stack[0]}


def apply(layer: Layer, x: Any, parameters: Mapping[str, Any], on: Backend, *, training: bool = True,
          seed: int | tuple[int, ...] = 5, step: int = 3) -> Any:  # fmt: skip
    """The Forward of one layer by itself, given path "0"."""
    context = on.context(training=training, seed=seed, step=step)._replace(input_gradient=True)
    return forward([layer], {f"0.{name}": value for name, value in parameters.items()}, x, context)


def torch_value_and_slope(f: Callable[[torch.Tensor], torch.Tensor], x: np.ndarray, dy: np.ndarray) -> Any:
    """y and dx of a torch function, as NumPy arrays."""
    held = torch.from_numpy(x.copy()).requires_grad_()
    y = f(held)
    (dx,) = torch.autograd.grad(y, held, torch.from_numpy(dy))
    return y.detach().numpy(), dx.numpy()
