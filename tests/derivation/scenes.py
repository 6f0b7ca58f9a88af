"""What each scene of the page starts from, and the arrays of chainrule that its equations are about.

`base` holds symbols and plain numbers; `code` takes the values of the base at a point, as float64 arrays, and runs chainrule.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

import chainrule as cr
from chainrule.backprop import forward
from chainrule.objective import objective, penalty_value
from derivation.algebra import Value
from gradients import NUMPY

Arrays = dict[str, Any]


class Setting(NamedTuple):
    """base: names and values at the start. ranges: how far index letters run. code: point -> arrays by left side."""

    base: dict[str, Value]
    ranges: dict[str, int]
    code: Callable[[Mapping[str, Any]], Arrays]


def matrix(name: str, rows: int, cols: int, positive: bool = False) -> sp.Matrix:
    """Symbols that know no more of themselves than that they are real, or positive."""
    kind = {"positive": True} if positive else {"real": True}
    return sp.Matrix(rows, cols, lambda i, k: sp.Symbol(f"{name}({i},{k})", **kind))


def one_hot(classes: list[int], n: int) -> sp.Matrix:
    return sp.Matrix(len(classes), n, lambda i, k: int(classes[i] == k + 1))


def context(training: bool = True) -> cr.Context:
    return NUMPY.context(training=training)._replace(input_gradient=True)


def two_layers() -> Setting:
    N, n, hidden, classes = 2, 2, 3, 2
    y = [2, 1]
    base = {
        "X": matrix("X", N, n), "W^{(1)}": matrix("W1", n, hidden), "b^{(1)}": matrix("b1", 1, hidden),
        "W^{(2)}": matrix("W2", hidden, classes), "b^{(2)}": matrix("b2", 1, classes),
        "y": sp.Matrix(N, 1, y), r"\Delta": one_hot(y, classes), r"\lambda": sp.Symbol("lambda", positive=True),
        "c": sp.Symbol("c", real=True), "N": sp.Integer(N), r"\mathbf{1}": sp.ones(N, 1),
    }  # fmt: skip

    def code(at: Mapping[str, Any]) -> Arrays:
        layers, loss, weights = (
            (cr.Linear(hidden), cr.ReLU(), cr.Linear(classes)),
            cr.SoftmaxCrossEntropy(),
            ("0.W", "2.W"),
        )
        held = {"0.W": at["W^{(1)}"], "0.b": at["b^{(1)}"][0], "2.W": at["W^{(2)}"], "2.b": at["b^{(2)}"][0]}
        target, penalty = np.array(y) - 1, float(at[r"\lambda"])
        outputs = [
            forward(layers[:i], dict(list(held.items())[: 2 * ((i + 1) // 2)]), at["X"], context()) for i in (1, 2, 3)
        ]
        z3 = outputs[-1].y
        value, dz3 = loss(z3, target, None, np)
        rows, slopes = loss.rows(z3, target, np)
        da2, _ = forward(layers[2:], {"0.W": held["2.W"], "0.b": held["2.b"]}, outputs[1].y, context()).pullback(dz3)
        dz2, _ = forward(layers[1:2], {}, outputs[0].y, context()).pullback(da2)
        alone = objective(layers, held, loss, at["X"], target, None, context())
        whole = objective(layers, held, loss, at["X"], target, None, context(), weights, penalty)
        R = penalty_value(held, weights, penalty, np)
        return {
            "Z^{(2)}": outputs[0].y, "z^{(2)}": outputs[0].y, "A^{(2)}": outputs[1].y, "Z^{(3)}": z3, "L": value,
            "R": R, "J": value + R, r"\psi": loss.predict(z3, np), "l": rows, "∂l/∂z^{(3)}": slopes,
            "∂J/∂Z^{(3)}": dz3, "∂L/∂W^{(2)}": alone.gradients["2.W"], "∂L/∂w^{(2)}": alone.gradients["2.W"],
            "∂R/∂W^{(2)}": whole.gradients["2.W"] - alone.gradients["2.W"], "∂J/∂W^{(2)}": whole.gradients["2.W"],
            "∂J/∂b^{(2)}": whole.gradients["2.b"], "∂J/∂A^{(2)}": da2, "∂J/∂a^{(2)}": da2, "∂J/∂Z^{(2)}": dz2,
            "∂J/∂W^{(1)}": whole.gradients["0.W"], "∂J/∂b^{(1)}": whole.gradients["0.b"], "∂J/∂X": whole.dx,
        }  # fmt: skip

    ranges = {"i": N, "j": n, "m": hidden, "k": classes}
    return Setting(base, ranges, code)


SETTINGS: dict[str, Callable[[], Setting]] = {"two-layers": two_layers}
