"""Reads the equations of docs/derivation.md: the small part of LaTeX that the page is written in, as trees.

A name may carry a hat, a layer and indices, z^{(3)}_{ik}. Juxtaposition multiplies (matrices as matrices), \\odot entry by
entry; a sum or a logarithm reaches to the end of its term; [a > b] is 1 where true, else 0.
"""

import re
from typing import Any, NamedTuple

SKIPPED = re.compile(r"\\(?:left|right|quad|displaystyle|[,;!])(?![a-zA-Z])")
TOKEN = re.compile(r"\\[a-zA-Z]+|\\[^a-zA-Z]|\d+(?:\.\d+)?|\S")
COMPARED = {">": "gt", "<": "lt", r"\le": "le", r"\ge": "ge"}
UNARY = {r"\log", r"\tanh", r"\sqrt", r"\exp", r"\cos", r"\sin"}
CALLED = {"f", "h", "r", r"\psi", r"\sigma", r"\Phi", r"\varphi", r"\operatorname{erf}", r"\operatorname{clip}"}
OPERATORS = {r"\odot", r"\cdot", r"\partial", r"\top", *COMPARED}


class Node(NamedTuple):
    """One operation and what it works on: nodes, names or numbers."""

    kind: str
    parts: tuple[Any, ...] = ()


class UnreadableError(ValueError):
    """An equation outside the part of LaTeX that is read."""


def read(text: str) -> list[Node]:
    """The sides of an equation, two or more.

    >>> read(r"y_i = 2 x_i")[1]
    Node(kind='mul', parts=(Node(kind='number', parts=('2',)), Node(kind='index', parts=(Node(kind='name', parts=('x',)), ('i',)))))
    """
    reader = Reader(TOKEN.findall(SKIPPED.sub(" ", text)), text)
    sides = [reader.sum()]
    while reader.peek() == "=":
        reader.take("=")
        sides.append(reader.sum())
    if reader.peek() is not None or len(sides) < 2:
        raise reader.error("the end, after two sides at least")
    return sides


class Reader:
    """A recursive descent, a method for each level of precedence."""

    def __init__(self, tokens: list[str], text: str) -> None:
        self.tokens, self.text, self.at = tokens, text, 0
        self.open_bars: list[str] = []

    def error(self, expected: str) -> UnreadableError:
        return UnreadableError(f"{self.text!r}: at token {self.at} stands {self.peek()!r}; expected {expected}")

    def peek(self, ahead: int = 0) -> str | None:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else None

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if token is None or expected not in (None, token):
            raise self.error(repr(expected) if expected else "more")
        self.at += 1
        return token

    def ahead(self, *tokens: str) -> bool:
        return tuple(self.tokens[self.at : self.at + len(tokens)]) == tokens

    def sum(self) -> Node:
        if self.peek() == "-":
            self.take()
            node = Node("neg", (self.term(),))
        else:
            node = self.term()
        while self.peek() in ("+", "-"):
            kind = "add" if self.take() == "+" else "sub"
            node = Node(kind, (node, self.term()))
        return node

    def term(self) -> Node:
        node = self.factor()
        while True:
            token = self.peek()
            if token in (r"\odot", r"\cdot", "/"):
                kind = {r"\odot": "hadamard", r"\cdot": "mul", "/": "div"}[self.take()]
                node = Node(kind, (node, self.factor()))
            elif self.starts_factor(token):
                node = Node("mul", (node, self.factor()))
            else:
                return node

    def starts_factor(self, token: str | None) -> bool:
        if token is None or token in OPERATORS or token in (r"\}", ")", "]", "}", "=", ",", "+", "-", "/"):
            return False
        return not (self.open_bars and self.open_bars[-1] == token)

    def factor(self) -> Node:
        node = self.atom()
        while self.peek() in ("_", "^"):
            if self.take() == "_":
                node = Node("index", (node, self.subscripts()))
            elif self.peek() == r"\top" or self.ahead("{", r"\top", "}"):
                self.group_tokens()
                node = Node("transpose", (node,))
            else:
                exponent = self.group()
                node = Node("exp", (exponent,)) if node == Node("name", ("e",)) else Node("pow", (node, exponent))
        return node

    def atom(self) -> Node:
        token = self.peek()
        if token is None or not self.starts_factor(token):
            raise self.error("a number, a name or a bracket")
        if token[0].isdigit():
            return Node("number", (self.take(),))
        if token in ("(", r"\{", "{", "["):
            return self.bracket({"(": ")", r"\{": r"\}", "{": "}", "[": "]"}[self.take()])
        if token in ("|", r"\|"):
            return self.bars()
        if token == r"\frac":
            return self.fraction()
        if token == r"\sum":
            return self.over("sum")
        if token in (r"\max", r"\min"):
            return self.extreme()
        if token in UNARY:
            self.take()
            return Node(token[1:], (self.group() if self.peek() in ("(", "{") else self.term(),))
        return self.named()

    def bracket(self, closing: str) -> Node:
        node = self.sum()
        if self.peek() in COMPARED:
            node = Node("holds", (COMPARED[self.take()], node, self.sum()))
        self.take(closing)
        return node

    def bars(self) -> Node:
        bar = self.take()
        self.open_bars.append(bar)
        node = self.sum()
        self.open_bars.pop()
        self.take(bar)
        if bar == "|":
            return Node("abs", (node,))
        self.take("^")
        self.take("2")
        return Node("norm2", (node,))

    def fraction(self) -> Node:
        self.take(r"\frac")
        if not self.ahead("{", r"\partial"):
            return Node("div", (self.group(), self.group()))
        sides = []
        for _ in range(2):
            self.take("{")
            self.take(r"\partial")
            sides.append(self.named())
            self.take("}")
        return Node("derivative", tuple(sides))

    def over(self, kind: str) -> Node:
        """A sum or a maximum over one index, of the rest of the term."""
        self.take()
        self.take("_")
        tokens = self.group_tokens()
        if tokens[1:] not in ([], ["=", "1"]):
            raise self.error("an index, or an index from 1, below the sign")
        upper = None
        if self.peek() == "^":
            self.take("^")
            upper = self.group()
        return Node(kind, (tokens[0], upper, self.term()))

    def extreme(self) -> Node:
        if self.peek(1) == "_":
            return self.over("largest")
        kind = self.take()[1:]
        return Node(kind, self.arguments())

    def arguments(self) -> tuple[Node, ...]:
        self.take("(")
        found = [self.sum()]
        while self.peek() == ",":
            self.take(",")
            found.append(self.sum())
        self.take(")")
        return tuple(found)

    def named(self) -> Node:
        """A name with its hat, layer and indices, or a function with its primes and arguments."""
        text = self.take()
        if not (text.isalpha() or text[0] == "\\"):
            raise self.error("a name")
        if text in (r"\hat", r"\bar", r"\mathbf", r"\operatorname"):
            text += "{" + "".join(self.group_tokens()) + "}"
        primes = 0
        while self.peek() == "'":
            self.take()
            primes += 1
        if text in CALLED and self.peek() == "(":
            return Node("call", (text, primes, self.arguments()))
        text += "'" * primes
        subscripts: tuple[Any, ...] = ()
        turned = False
        while self.peek() == "_" or self.ahead("^", "{", "("):
            if self.take() == "_":
                subscripts = self.subscripts()
            else:
                tokens = self.group_tokens()
                turned = tokens[-1] == r"\top"
                text += "^{" + "".join(tokens[:-1] if turned else tokens) + "}"
        name = Node("name", (text,))
        node = Node("index", (name, subscripts)) if subscripts else name
        return Node("transpose", (node,)) if turned else node

    def group(self) -> Node:
        """What stands in braces or parentheses, or one token."""
        if self.peek() in ("{", "("):
            return self.bracket("}" if self.take() == "{" else ")")
        return self.atom()

    def group_tokens(self) -> list[str]:
        if self.peek() != "{":
            return [self.take()]
        self.take("{")
        found = []
        while self.peek() != "}":
            found.append(self.take())
        self.take("}")
        return found

    def subscripts(self) -> tuple[Any, ...]:
        """Indices: letters, or a letter that has an index itself, as in z_{i y_i}."""
        tokens = self.group_tokens()
        found: list[Any] = []
        while tokens:
            token = tokens.pop(0)
            if tokens[:1] == ["_"]:
                found.append((token, tokens[1]))
                tokens = tokens[2:]
            else:
                found.append(token)
        return tuple(found)
