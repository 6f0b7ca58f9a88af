"""The two-layer network of the report, samples in rows or in columns."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp

import chainrule as cr
from chainrule.backprop import forward
from chainrule.objective import objective, penalty_value
from derivation.algebra import softmax
from derivation.setting import Arrays, Setting, context, matrix, one_hot, symbol


def network(at: Mapping[str, Any], X: Any, y: list[int]) -> Arrays:
    """Everything that the two-layer network computes, its arrays as in the code, samples in rows."""
    hidden, classes = at["W^{(2)}"].shape
    layers, loss, weights = (cr.Linear(hidden), cr.ReLU(), cr.Linear(classes)), cr.SoftmaxCrossEntropy(), ("0.W", "2.W")
    first, second = {"0.W": at["W^{(1)}"], "0.b": at["b^{(1)}"][0]}, {"0.W": at["W^{(2)}"], "0.b": at["b^{(2)}"][0]}
    held = first | {"2.W": second["0.W"], "2.b": second["0.b"]}
    target, penalty = np.array(y) - 1, float(at[r"\lambda"])
    z2, back2, _ = forward(layers[:1], first, X, context())
    a2, back_relu, _ = forward(layers[1:2], {}, z2, context())
    z3, back3, _ = forward(layers[2:], second, a2, context())
    L, dz3 = loss(z3, target, None, np)
    rows, slopes = loss.rows(z3, target, np)
    da2 = back3(dz3)[0]
    dz2 = back_relu(da2)[0]
    alone = objective(layers, held, loss, X, target, None, context())
    whole = objective(layers, held, loss, X, target, None, context(), weights, penalty)
    R = penalty_value(held, weights, penalty, np)
    return {
        "Z^{(2)}": z2, "A^{(2)}": a2, "Z^{(3)}": z3, "L": L, "R": R, "J": L + R, r"\psi": loss.predict(z3, np),
        "l": rows, "∂l/∂Z^{(3)}": slopes, "∂J/∂Z^{(3)}": dz3, "∂J/∂A^{(2)}": da2, "∂J/∂Z^{(2)}": dz2,
        "∂J/∂X": back2(dz2)[0], "∂L/∂W^{(2)}": alone.gradients["2.W"], "∂J/∂W^{(2)}": whole.gradients["2.W"],
        "∂R/∂W^{(2)}": whole.gradients["2.W"] - alone.gradients["2.W"], "∂J/∂b^{(2)}": whole.gradients["2.b"],
        "∂J/∂W^{(1)}": whole.gradients["0.W"], "∂J/∂b^{(1)}": whole.gradients["0.b"],
    }  # fmt: skip


def two_layers() -> Setting:
    """Samples in rows."""
    N, n, hidden, classes = 2, 2, 3, 2
    y = [2, 1]
    base = {
        "X": matrix("X", N, n), "W^{(1)}": matrix("W1", n, hidden), "b^{(1)}": matrix("b1", 1, hidden),
        "W^{(2)}": matrix("W2", hidden, classes), "b^{(2)}": matrix("b2", 1, classes),
        "y": sp.Matrix(N, 1, y), r"\Delta": one_hot(y, classes), r"\lambda": symbol("lambda", positive=True),
        "c": symbol("c"), "N": sp.Integer(N), r"\mathbf{1}": sp.ones(N, 1),
    }  # fmt: skip
    ranges = {"i": N, "p": n, "m": hidden, "k": classes, "j": classes}
    return Setting(base, ranges, lambda at: network(at, at["X"], y))


def columns() -> Setting:
    """Samples in columns, as in the report, and all widths equal."""
    N, n = 3, 2
    y = [2, 1, 1]
    base = {
        "A^{(1)}": matrix("A1", n, N), "W^{(1)}": matrix("W1", n, n), "b^{(1)}": matrix("b1", n, 1),
        "W^{(2)}": matrix("W2", n, n), "b^{(2)}": matrix("b2", n, 1), r"\Delta": one_hot(y, n).T,
        r"\lambda": symbol("lambda", positive=True), "N": sp.Integer(N), r"\mathbf{1}": sp.ones(N, 1), "I": sp.eye(N),
    }  # fmt: skip

    def code(at: Mapping[str, Any]) -> Arrays:
        turned = {name: at[name].T for name in ("W^{(1)}", "b^{(1)}", "W^{(2)}", "b^{(2)}")}
        arrays = network(turned | {r"\lambda": at[r"\lambda"]}, at["A^{(1)}"].T.copy(), y)
        return {key: np.asarray(array).T for key, array in arrays.items()}

    return Setting(base, {"i": N, "k": n}, code, {r"\psi": lambda z: softmax(z.T).T})
