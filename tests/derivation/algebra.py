"""What the page's equations say, over SymPy: definitions build a function, derivatives are SymPy's, claims are proved.

A scene starts from symbols. An equation whose left side has no meaning yet defines it; any other one is a claim. What is
defined gets symbols of its own, so that J can be differentiated with respect to z, a and x as well as to W.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from derivation.latex import Node, read

Value = Any
"""A SymPy scalar or matrix."""


class Positive(sp.Function):
    """1 where its argument is > 0, else 0; its slope is 0, so that max(x, 0) = x [x > 0] has slope 0 at 0."""

    is_real = True

    @classmethod
    def eval(cls, x):
        if x.is_positive:
            return sp.Integer(1)
        return sp.Integer(0) if x.is_nonpositive else None

    def fdiff(self, argindex=1):
        return sp.Integer(0)


class ShapeError(ValueError):
    """Two sides, or two terms, that are not of one shape."""


def is_matrix(value: Value) -> bool:
    return isinstance(value, sp.MatrixBase)


def each(f: Callable[..., Value], *values: Value) -> Value:
    """f entry by entry; scalars stand for all entries, matrices must agree in shape."""
    shapes = {value.shape for value in values if is_matrix(value)}
    if not shapes:
        return f(*values)
    if len(shapes) > 1:
        raise ShapeError(f"entry by entry, shapes {sorted(shapes)}")
    (shape,) = shapes
    return sp.Matrix(*shape, lambda i, k: f(*(value[i, k] if is_matrix(value) else value for value in values)))


def plus(a: Value, b: Value) -> Value:
    if is_matrix(a) != is_matrix(b):
        raise ShapeError("a matrix plus a number")
    return each(lambda x, y: x + y, a, b)


def times(a: Value, b: Value) -> Value:
    if is_matrix(a) and is_matrix(b) and a.cols != b.rows:
        raise ShapeError(f"a product of shapes {a.shape} and {b.shape}")
    return a * b


def entry(value: Value, at: tuple[int, ...]) -> Value:
    """An entry, or a row of a matrix; vectors have one index."""
    if len(at) == 2:
        return value[at]
    return value[at[0]] if 1 in value.shape else value[at[0], :]


def softmax(z: Value) -> Value:
    """Of each row: a sample's logits."""
    rows = [[sp.exp(v) for v in z.row(i)] for i in range(z.rows)]
    return sp.Matrix([[v / sp.Add(*row) for v in row] for row in rows])


COMPARE = {
    "gt": lambda a, b: Positive(a - b),
    "lt": lambda a, b: Positive(b - a),
    "le": lambda a, b: 1 - Positive(a - b),
    "ge": lambda a, b: 1 - Positive(b - a),
}
ENTRYWISE = {
    "exp": sp.exp, "log": sp.log, "tanh": sp.tanh, "sqrt": sp.sqrt, "cos": sp.cos, "sin": sp.sin, "neg": lambda a: -a,
    "abs": lambda a: a * (2 * Positive(a) - 1),
    "max": lambda a, b: b + (a - b) * Positive(a - b),
    "min": lambda a, b: a - (a - b) * Positive(a - b),
    "hadamard": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Value]] = {
    r"\psi": softmax,
    r"\sigma": lambda x: 1 / (1 + sp.exp(-x)),
    r"\operatorname{erf}": sp.erf,
    r"\operatorname{clip}": lambda d, low, high: ENTRYWISE["min"](ENTRYWISE["max"](d, low), high),
}


class Claim(NamedTuple):
    """Sides that are said to be equal, one tuple for each assignment of the free indices; none for a definition.

    key: the left side's name, "∂J/∂W^{(2)}"; whole: its value, a matrix where it has free indices.
    """

    text: str
    key: str
    sides: tuple[tuple[Value, ...], ...]
    whole: Value


class Scene:
    """Names and their values; `ranges` says how far each index letter runs."""

    def __init__(
        self, base: Mapping[str, Value], ranges: Mapping[str, int], functions: Mapping[str, Callable[..., Value]]
    ) -> None:
        self.base, self.ranges = dict(base), dict(ranges)
        self.values: dict[str, Value] = dict(base)
        self.definitions: list[tuple[str, dict[sp.Symbol, Value]]] = []
        self.in_base: dict[sp.Symbol, Value] = {}
        self.functions = FUNCTIONS | functions

    def tell(self, text: str) -> Claim:
        """Take an equation in: define what has no meaning yet, or say what it claims."""
        sides = read(text)
        left = sides[0]
        if left.kind == "call" and left.parts[1] == 0 and left.parts[0] not in self.functions:
            self._define_function(left, sides[1])
            return Claim(text, self.key(left), (), self.value(left, {}))
        name = left if left.kind == "name" else left.parts[0] if left.kind == "index" else None
        if name is not None and name.kind == "name" and self._find(name.parts[0]) is None:
            self._define(name.parts[0], left.parts[1] if left.kind == "index" else (), sides[1])
            return Claim(text, name.parts[0], (), self.values[name.parts[0]])
        return self._claim(text, sides)

    def _define_function(self, left: Node, body: Node) -> None:
        name, _, (argument,) = left.parts
        variable = argument.parts[0]

        def f(value: Value) -> Value:
            before = self.values
            self.values = before | {variable: value}
            try:
                return self.value(body, {})
            finally:
                self.values = before

        self.functions[name] = f

    def _define(self, name: str, indices: tuple[str, ...], body: Node) -> None:
        if indices:
            shape = [self.ranges[letter] for letter in indices]
            shape = (1, *shape) if len(shape) == 1 else tuple(shape)
            found = [self.value(body, dict(zip(indices, at, strict=True))) for at in self._over(indices)]
            whole: Value = sp.Matrix(*shape, found)
        else:
            whole = self.value(body, {})
        if is_matrix(whole):
            symbols: Value = sp.Matrix(*whole.shape, lambda i, k: sp.Symbol(f"{name}[{i},{k}]", real=True))
            pairs = dict(zip(symbols, whole, strict=True))
        else:
            symbols = sp.Symbol(name, real=True)
            pairs = {symbols: whole}
        self.values[name] = symbols
        self.definitions.append((name, pairs))
        self.in_base |= {symbol: value.xreplace(self.in_base) for symbol, value in pairs.items()}

    def _claim(self, text: str, sides: list[Node]) -> Claim:
        letters = dict.fromkeys(letter for side in sides for letter in free(side) if letter in self.ranges)
        own = [letter for letter in free(sides[0]) if letter in letters]
        found, lefts = [], {}
        for numbers in self._over(letters):
            at = dict(zip(letters, numbers, strict=True))
            values = tuple(self.value(side, at) for side in sides)
            shapes = [value.shape if is_matrix(value) else "a number" for value in values]
            if len(set(shapes)) > 1:
                raise ShapeError(f"{text!r}: the sides have shapes {shapes}")
            found.append(values)
            lefts[tuple(at[letter] for letter in own)] = values[0]
        return Claim(text, self.key(sides[0]), tuple(found), self._whole(list(lefts.values()), own))

    def _whole(self, values: list[Value], letters: list[str]) -> Value:
        if not letters:
            return values[0]
        if is_matrix(values[0]):
            return sp.Matrix.vstack(*values)
        shape = [self.ranges[letter] for letter in letters]
        return sp.Matrix(*((1, *shape) if len(shape) == 1 else shape), values)

    def _over(self, letters: Any) -> Iterator[tuple[int, ...]]:
        return product(*(range(self.ranges[letter]) for letter in letters))

    def _find(self, name: str) -> Value | None:
        """A matrix is Z, its entries are z_{ik}: one name in either case. A vector has one spelling."""
        if name in self.values:
            return self.values[name]
        other = "\\" + name[1:2].swapcase() + name[2:] if name[0] == "\\" else name[0].swapcase() + name[1:]
        found = self.values.get(other)
        return found if is_matrix(found) and 1 not in found.shape else None

    def key(self, node: Node) -> str:
        """How a left side is called where the code's arrays are: without its indices."""
        if node.kind == "derivative":
            return "/".join("∂" + self.key(part) for part in node.parts)
        if node.kind == "call":
            return f"{node.parts[0]}{chr(39) * node.parts[1]}"
        if node.kind == "index":
            return self.key(node.parts[0])
        if node.kind != "name":
            return node.kind
        return node.parts[0] if self._find(node.parts[0]) is None else self._spelling(node.parts[0])

    def resolved(self, value: Value) -> Value:
        """The value in the symbols of the base, all definitions put in."""
        return value.xreplace(self.in_base)

    def _down_to(self, value: Value, name: str) -> Value:
        """The value with definitions put in, the newest first, down to but without that of `name`."""
        for newer, pairs in reversed(self.definitions):
            if newer == name:
                break
            value = value.xreplace(pairs)
        return value

    def value(self, node: Node, at: Mapping[str, int]) -> Value:
        """The value of a tree for indices `at`, in the symbols of what was defined."""
        kind, parts = node
        if kind == "number":
            return sp.Rational(parts[0])
        if kind == "name":
            return self._named(parts[0])
        if kind == "index":
            return entry(self.value(parts[0], at), tuple(self._at(sub, at) for sub in parts[1]))
        if kind in ("add", "sub"):
            a, b = (self.value(part, at) for part in parts)
            return plus(a, b if kind == "add" else each(lambda x: -x, b))
        if kind == "mul":
            return times(*(self.value(part, at) for part in parts))
        if kind == "transpose":
            return self.value(parts[0], at).T
        if kind in ("sum", "largest"):
            return self._over_index(kind, parts, at)
        if kind == "call":
            return self._called(parts[0], parts[1], [self.value(part, at) for part in parts[2]])
        if kind == "holds":
            return each(COMPARE[parts[0]], *(self.value(part, at) for part in parts[1:]))
        if kind == "norm2":
            return sum(v**2 for v in self.value(parts[0], at))
        if kind == "derivative":
            return self._derivative(*parts, at)
        return each(ENTRYWISE[kind], *(self.value(part, at) for part in parts))

    def _named(self, name: str) -> Value:
        found = sp.pi if name == r"\pi" else self._find(name)
        if found is None:
            raise KeyError(f"{name} has no meaning here; known: {', '.join(self.values)}")
        return found

    def _at(self, sub: Any, at: Mapping[str, int]) -> int:
        if isinstance(sub, tuple):
            return int(entry(self._named(sub[0]), (at[sub[1]],))) - 1
        return at[sub] if sub in at else int(sub) - 1

    def _over_index(self, kind: str, parts: tuple[Any, ...], at: Mapping[str, int]) -> Value:
        letter, upper, body = parts
        n = self.ranges[letter] if upper is None else int(self.value(upper, at))
        terms = [self.value(body, {**at, letter: i}) for i in range(n)]
        combine = plus if kind == "sum" else ENTRYWISE["max"]
        total = terms[0]
        for term in terms[1:]:
            total = combine(total, term)
        return total

    def _called(self, name: str, primes: int, values: list[Value]) -> Value:
        f = self.functions[name]
        if primes == 0:
            return f(*values) if name == r"\psi" else each(f, *values)
        variable = sp.Symbol("variable", real=True)
        slope = sp.diff(f(variable), variable, primes)
        return each(lambda value: slope.xreplace({variable: value}), values[0])

    def _derivative(self, of: Node, wrt: Node, at: Mapping[str, int]) -> Value:
        """∂of/∂wrt: what `of` is in terms of `wrt` and what was defined before it, differentiated by SymPy."""
        name = self._spelling((wrt.parts[0] if wrt.kind == "index" else wrt).parts[0])
        function = self._down_to(self.value(of, at), name)
        if is_matrix(function):
            raise ShapeError("only the derivative of a number is read, with respect to a number or a matrix")
        return each(lambda symbol: sp.diff(function, symbol), self.value(wrt, at))

    def _spelling(self, name: str) -> str:
        value = self._named(name)
        return next(known for known, held in self.values.items() if held is value)


def free(node: Node) -> list[str]:
    """Index letters that no sum binds, in order, none twice."""
    if node.kind in ("sum", "largest"):
        return [letter for letter in free(node.parts[2]) if letter != node.parts[0]]
    found: list[str] = []
    for part in node.parts:
        if isinstance(part, Node):
            found += free(part)
        elif isinstance(part, tuple):
            for sub in part:
                found += free(sub) if isinstance(sub, Node) else [sub[1] if isinstance(sub, tuple) else sub]
    return list(dict.fromkeys(found))


def vanishes(expression: Value) -> bool:
    """Whether SymPy brings it to 0: functions of equal arguments are taken as unknowns of a polynomial."""
    if is_matrix(expression):
        return all(vanishes(entry) for entry in expression)
    if expression == 0:
        return True
    forms = (lambda e: e, sp.expand_log, lambda e: e.rewrite(sp.tanh, sp.exp))
    return any(sp.expand(sp.fraction(sp.together(form(expression)))[0]) == 0 for form in forms)


class NotRealError(ValueError):
    """A number with an imaginary part, such as the root of a variance below 0."""


def real(value: Value) -> float:
    """The nearest float64."""
    found = sp.N(value, 30)
    if not found.is_real:
        raise NotRealError(f"{found} is not real")
    return float(found)


class Point:
    """Numbers for all symbols of a scene, which float64 holds exactly: sixteenths.

    Positive ones are below 1, the others between -2 and 2, `scale` times.
    """

    def __init__(self, scene: Scene, seed: int, scale: int = 1) -> None:
        self.seed, rng = seed, random.Random(seed)
        held = [value for value in scene.base.values() if value.free_symbols]
        symbols = sorted(set().union(*(value.free_symbols for value in held)), key=str)
        self.numbers: dict[Any, Any] = {
            s: sp.Rational(rng.randint(1, 15), 16)
            if s.is_positive
            else sp.Rational(scale * rng.choice([-1, 1]) * rng.randint(1, 32), 16)
            for s in symbols
        }
        self.base = {name: self.array(value) for name, value in scene.base.items()}
        for _, pairs in scene.definitions:
            self.numbers |= {symbol: value.xreplace(self.numbers) for symbol, value in pairs.items()}

    def array(self, value: Value) -> Any:
        """A float64 array, or a number, of an expression in the scene's symbols."""
        exact = self.exact(value)
        if is_matrix(exact):
            return np.array([[real(v) for v in exact.row(i)] for i in range(exact.rows)])
        return real(exact)

    def exact(self, value: Value) -> Value:
        """The value with numbers put in."""
        return value.xreplace(self.numbers)


def holds_at(point: Point, difference: Value) -> bool:
    """Whether the difference is 0 at the point, computed with 60 digits, to 50."""
    found = point.exact(difference)
    return all(abs(sp.N(entry, 60)) < sp.Float(10) ** -50 for entry in (found if is_matrix(found) else [found]))
