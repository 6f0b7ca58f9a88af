"""What a scene of the page starts from, and the arrays of chainrule that its equations are about."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import sympy as sp

import chainrule as cr
from derivation.algebra import Value
from gradients import NUMPY

Arrays = dict[str, Any]


class Setting(NamedTuple):
    """base: names and values at the start, symbols and plain numbers. ranges: how far index letters run.

    code: runs chainrule on the values of the base at a point, float64 arrays, and gives its arrays by left side.
    functions: those that mean something else here. scale: how large the numbers of a point are.
    """

    base: dict[str, Value]
    ranges: dict[str, int]
    code: Callable[[Mapping[str, Any]], Arrays]
    functions: dict[str, Callable[..., Value]] = {}  # noqa: RUF012
    scale: int = 1


def symbol(name: str, positive: bool = False) -> sp.Symbol:
    """A number of which nothing more is known than that it is real, or positive."""
    return sp.Symbol(name, positive=True) if positive else sp.Symbol(name, real=True)


def matrix(name: str, rows: int, cols: int, positive: bool = False) -> sp.Matrix:
    """Such numbers in rows and columns."""
    return sp.Matrix(rows, cols, lambda i, k: symbol(f"{name}({i},{k})", positive))


def one_hot(classes: list[int], n: int) -> sp.Matrix:
    """A row for each class, counted from 1."""
    return sp.Matrix(len(classes), n, lambda i, k: int(classes[i] == k + 1))


def context(training: bool = True) -> cr.Context:
    """NumPy in float64, and every dx is asked for."""
    return NUMPY.context(training=training)._replace(input_gradient=True)
