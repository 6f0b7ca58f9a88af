"""A hostile file as a test case: how it is made, which command meets it, and how that must end."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Arguments = list[object]


@dataclass(frozen=True)
class Case:
    """`make` writes into an empty folder and gives the arguments of `chainrule`; it must exit with `code` and `says`."""

    name: str
    make: Callable[[Path], Arguments]
    code: int
    says: str
    members: tuple[tuple[str, int], ...] | None = None  # of `archive.tar.gz`, which a server then offers


def collector() -> tuple[list[Case], Callable[..., Any]]:
    """A list, and the decorator that puts cases into it."""
    cases: list[Case] = []

    def case(name: str, says: str = "", code: int = 3, members: Any = None) -> Callable[..., Any]:
        def add(make: Callable[[Path], Arguments]) -> Callable[[Path], Arguments]:
            cases.append(Case(name, make, code, says, members))
            return make

        return add

    return cases, case


def info(path: Path, *more: object) -> Arguments:
    return ["data", "info", path, *more]


class Touches:
    """Unpickled, it runs a command that makes a file called canary."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("touch canary",)
