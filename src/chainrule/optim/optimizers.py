"""Update rules as pairs: the arrays a rule starts from (`slots`), and one step for one parameter.

`p` parameter, `g` gradient of the objective, `lr` learning rate of this step, `t` steps done before this one. Each rule
is elementwise, so it works under any leading axes. Numerically equal to `torch.optim` in float64 unless said otherwise.
"""

from abc import ABC, abstractmethod
from dataclasses import field
from typing import Annotated, Any, Literal

from pydantic import Field

from chainrule.arrays import Array, rounded_to
from chainrule.errors import ConfigError
from chainrule.spec import OwnOr, spec

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Epsilon = Annotated[float, Field(gt=0)]


class Optimizer(ABC):
    """An update rule with its constants; `lr` is the rate that the schedule multiplies.

    Subclass it to add one of your own, for trainings in memory: no file can name it.
    """

    lr: float

    @property
    def decay(self) -> float:
        """w in p ← (1 - lr·w) p, which `update` applies to weight matrices before the step."""
        return 0.0

    @property
    @abstractmethod
    def slots(self) -> tuple[str, ...]:
        """Names of the arrays, zero at the start, that the rule keeps for each parameter."""

    @abstractmethod
    def step(self, p: Array, g: Array, slots: tuple[Array, ...], lr: Any, t: int, xp: Any) -> tuple[Array, Any]:
        """The renewed parameter and its renewed slots: new arrays, of p's shape and dtype."""


@spec
class SGD(Optimizer):
    """b ← μ b + g; p ← p - lr·b, or p - lr·(g + μ b) with Nesterov; without momentum p ← p - lr·g.

    Polyak 1964; Nesterov's after Sutskever 2013, with lr outside of b, as in PyTorch. Raises a ConfigError for nesterov
    without momentum.

    >>> import numpy as np
    >>> SGD(lr=0.1).step(np.array([1.0]), np.array([2.0]), (), 0.1, 0, np)[0].tolist()
    [0.8]
    >>> SGD(momentum=0.9).slots
    ('b',)
    """

    lr: Rate = 0.1
    momentum: Fraction = 0.0
    nesterov: bool = False
    kind: Literal["sgd"] = field(default="sgd", kw_only=True, repr=False)

    def __post_init__(self) -> None:
        """Refuse an option that would do nothing."""
        if self.nesterov and self.momentum == 0:
            raise ConfigError("nesterov = true with momentum 0 would do nothing; set a momentum such as 0.9")

    @property
    def slots(self) -> tuple[str, ...]:
        """The momentum buffer b, where there is momentum."""
        return ("b",) if self.momentum else ()

    def step(self, p: Array, g: Array, slots: tuple[Array, ...], lr: Any, t: int, xp: Any) -> tuple[Array, Any]:  # noqa: ARG002
        """The renewed p and slots, all of p's shape."""
        lr = rounded_to(lr, p, xp)
        if not slots:
            return p - lr * g, ()
        b = self.momentum * slots[0] + g
        return p - lr * (g + self.momentum * b if self.nesterov else b), (b,)


@spec
class Adam(Optimizer):
    """m ← β₁ m + (1-β₁) g; v ← β₂ v + (1-β₂) g²; p ← p - lr·m̂/(√v̂ + ε), m̂ = m/(1-β₁ᵗ⁺¹), v̂ = v/(1-β₂ᵗ⁺¹) (Kingma 2014).

    PyTorch's `weight_decay` w on weights is our penalty λ = w/2.

    >>> import numpy as np
    >>> p, slots = np.array([1.0]), (np.zeros(1), np.zeros(1))
    >>> Adam().step(p, np.array([500.0]), slots, 1e-3, 0, np)[0].round(6).tolist()  # the first step is lr long
    [0.999]
    """

    lr: Rate = 1e-3
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: Epsilon = 1e-8
    kind: Literal["adam"] = field(default="adam", kw_only=True, repr=False)

    @property
    def slots(self) -> tuple[str, ...]:
        """First and second moment, of p's shape."""
        return ("m", "v")

    def step(self, p: Array, g: Array, slots: tuple[Array, ...], lr: Any, t: int, xp: Any) -> tuple[Array, Any]:
        """The renewed p and slots, all of p's shape."""
        return _adam(self, p, g, slots, lr, t, xp)


@spec
class AdamW(Optimizer):
    """p ← (1 - lr·w) p for weight matrices, then Adam's step: decay decoupled from the gradient (Loshchilov 2017).

    PyTorch decays every parameter it is given; here biases and norm parameters are never decayed.

    >>> AdamW(lr=2e-3, weight_decay=0.1).decay
    0.1
    """

    lr: Rate = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: Epsilon = 1e-8
    kind: Literal["adamw"] = field(default="adamw", kw_only=True, repr=False)

    @property
    def decay(self) -> float:
        """The weight decay."""
        return self.weight_decay

    @property
    def slots(self) -> tuple[str, ...]:
        """First and second moment, of p's shape."""
        return ("m", "v")

    def step(self, p: Array, g: Array, slots: tuple[Array, ...], lr: Any, t: int, xp: Any) -> tuple[Array, Any]:
        """One step, of Adam's part; `update` has decayed the weights before."""
        return _adam(self, p, g, slots, lr, t, xp)


def _adam(
    rule: Adam | AdamW, p: Array, g: Array, slots: tuple[Array, ...], lr: Any, t: int, xp: Any
) -> tuple[Array, Any]:
    m = rule.beta1 * slots[0] + (1 - rule.beta1) * g
    v = rule.beta2 * slots[1] + (1 - rule.beta2) * g * g
    rate, epsilon = adam_constants(rule, lr, t)
    return p - rounded_to(rate, p, xp) * m / (xp.sqrt(v) + epsilon), (m, v)


def adam_constants(rule: Adam | AdamW, lr: Any, t: int) -> tuple[Any, float]:
    """Rate and ε' of p ← p - rate·m/(√v + ε'), Adam's step with both corrections taken out of the entries.

    With c = √(1 - β₂ᵗ⁺¹) it is m̂/(√v̂ + ε) = (c/(1 - β₁ᵗ⁺¹))·m/(√v + c ε): one division an entry, not two.
    """
    correction = (1 - rule.beta2 ** (t + 1)) ** 0.5
    return lr * (correction / (1 - rule.beta1 ** (t + 1))), correction * rule.epsilon


@spec
class RMSprop(Optimizer):
    """v ← α v + (1-α) g²; p ← p - lr·g/(√v + ε); with momentum, b ← μ b + g/(√v + ε) and p ← p - lr·b (Hinton 2012)."""

    lr: Rate = 1e-3
    alpha: Fraction = 0.99
    momentum: Fraction = 0.0
    epsilon: Epsilon = 1e-8
    kind: Literal["rmsprop"] = field(default="rmsprop", kw_only=True, repr=False)

    @property
    def slots(self) -> tuple[str, ...]:
        """Second moment v, and the momentum buffer b where there is momentum."""
        return ("v", "b") if self.momentum else ("v",)

    def step(self, p: Array, g: Array, slots: tuple[Array, ...], lr: Any, t: int, xp: Any) -> tuple[Array, Any]:  # noqa: ARG002
        """The renewed p and slots, all of p's shape."""
        lr = rounded_to(lr, p, xp)
        v = self.alpha * slots[0] + (1 - self.alpha) * g * g
        scaled = g / (xp.sqrt(v) + self.epsilon)
        if not self.momentum:
            return p - lr * scaled, (v,)
        b = self.momentum * slots[1] + scaled
        return p - lr * b, (v, b)


AnyOptimizer = Annotated[Optimizer, OwnOr(SGD | Adam | AdamW | RMSprop)]
"""Any update rule; `kind` says which in a file, which has no words for one of your own."""
