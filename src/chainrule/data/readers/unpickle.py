"""Reads the pickles of CIFAR's Python layout without unpickling them.

A pickle is a program, and `pickle` runs what it says. Here a small machine runs the instructions that CIFAR's files are
made of, and makes every value itself: no name in the file is ever imported or called. A global such as `numpy ndarray`
is only a word that this machine knows a fixed answer to; any other word or instruction is refused. It reads what
Python 2 wrote (the official files) and what Python 3 with NumPy 1 or 2 writes of the same data, protocols 2 to 5.
"""

import io
import math
import pickletools
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.readers.files import read_all
from chainrule.errors import DataError

_MOST_INSTRUCTIONS = 1_000_000  # the 50,000 rows of CIFAR-100 take 300,000
_AS_WRITTEN = {
    *("BININT", "BININT1", "BININT2", "SHORT_BINSTRING", "BINSTRING", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
}
# Read as texts, which is what bytes were to Python 2.
_BYTES = {"SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, type] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()
_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_LONG_TEXTS = {"BINUNICODE": pickletools.read_uint4, "BINUNICODE8": pickletools.read_uint8}
_LONG = 2**16
_LAST_LEAD = 0xC3  # begins the last two-byte character of UTF-8 that stands for a byte


class Word(Enum):
    """The globals that CIFAR's files name, under all the names that NumPy gave them."""

    NDARRAY = ("numpy ndarray",)
    DTYPE = ("numpy dtype",)
    RECONSTRUCT = ("numpy.core.multiarray _reconstruct", "numpy._core.multiarray _reconstruct")
    FROM_BUFFER = ("numpy.core.numeric _frombuffer", "numpy._core.numeric _frombuffer")
    ENCODE = ("_codecs encode",)


class Uint8:
    """Stands for the dtype uint8; what else a file says of it is ignored."""


@dataclass
class Array:
    """Stands for an array of uint8; the file gives its values after it."""

    values: NDArray[np.uint8] | None = None


class RefusedError(Exception):
    """What a file asks for and this machine does not do."""


def read_pickle(path: Path, at_most: int) -> dict[str, Any]:
    """The dictionary in a pickle of at most so many bytes: texts, integers, lists of them and one uint8 array."""
    program = read_all(path, at_most)
    try:
        with warnings.catch_warnings(action="ignore"):  # of pickletools, on escapes in texts
            return _run(program)
    except (RefusedError, ValueError) as error:  # ValueError: pickletools on operands cut short
        raise DataError(
            f"{path}: refused at {error}. Expected the pickle of a CIFAR batch; nothing in it was run. "
            "Get the file again, or use the binary layout."
        ) from None


def _run(program: bytes) -> dict[str, Any]:
    machine = _Machine()
    for count, (name, operand, position) in enumerate(_instructions(io.BytesIO(program))):
        where = f"byte {position:,}: {name}"
        if count == _MOST_INSTRUCTIONS:
            raise RefusedError(f"{where} is past the {_MOST_INSTRUCTIONS:,} instructions that such a file may have")
        try:
            machine.step(name, operand)
        except (IndexError, KeyError):
            raise RefusedError(f"{where} takes what is not there") from None
        except (RefusedError, ValueError) as error:
            raise RefusedError(f"{where} {error}") from None
    return {key: value.values if isinstance(value, Array) else value for key, value in machine.pop().items()}


def _instructions(program: io.BytesIO) -> Iterator[tuple[str, Any, int]]:
    """Name, operand and place of each instruction, as `pickletools.genops` finds them."""
    name = ""
    while name != "STOP":
        position = program.tell()
        code = program.read(1)
        if not code:
            raise RefusedError(f"byte {position:,}: pickle exhausted before seeing STOP")
        opcode = _OPCODES.get(code.decode("latin1"))
        if opcode is None:
            raise RefusedError(f"byte {position:,}: {code!r} is no instruction")
        name = opcode.name
        read = _LONG_TEXTS.get(name)
        try:
            operand = _text(program, read(program)) if read else opcode.arg and opcode.arg.reader(program)
        except RefusedError as error:
            raise RefusedError(f"byte {position:,}: {name} {error}") from None
        yield name, operand, position


def _text(program: io.BytesIO, n: int) -> str:
    """A text, which in a long one means bytes: a single wider character would make all of them four times as large."""
    content = program.read(min(n, sys.maxsize))
    if len(content) < n:
        raise RefusedError(f"promises {n:,} bytes, but {len(content):,} are left")
    if n > _LONG and np.frombuffer(content, np.uint8).max() > _LAST_LEAD:
        raise RefusedError("is a long text of characters that are no bytes")
    return content.decode("utf-8", "surrogatepass")


@dataclass
class _Machine:
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    array: Array | None = None

    def step(self, name: str, operand: Any) -> None:
        if name in _AS_WRITTEN:
            self.stack.append(operand)
        elif name in _BYTES:
            self.stack.append(operand.decode("latin1"))
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            self.stack.append(tuple([self.pop() for _ in range(_TUPLES[name])][::-1]))
        elif name not in ("PROTO", "FRAME"):
            self.change(name, operand)

    def change(self, name: str, operand: Any) -> None:
        match name:
            case "MARK":
                self.stack.append(_MARK)
            case "TUPLE":
                self.stack.append(tuple(self.since_mark()))
            case "BINPUT" | "LONG_BINPUT":
                self.memo[operand] = self.stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.stack[-1]
            case "BINGET" | "LONG_BINGET":
                self.stack.append(self.memo[operand])
            case "APPEND" | "APPENDS":
                values = [self.pop()] if name == "APPEND" else self.since_mark()
                _of(list, self.stack[-1]).extend(values)
            case "SETITEM" | "SETITEMS":
                items = [self.pop(), self.pop()][::-1] if name == "SETITEM" else self.since_mark()
                _of(dict, self.stack[-1]).update(zip(_all(str, items[::2]), items[1::2], strict=True))
            case "GLOBAL":
                self.stack.append(_word(operand))
            case "STACK_GLOBAL":
                member, module = self.pop(), self.pop()
                self.stack.append(_word(f"{_of(str, module)} {_of(str, member)}"))
            case "REDUCE":
                arguments, word = self.pop(), self.pop()
                self.stack.append(self.answer(word, _of(tuple, arguments)))
            case "BUILD":
                state = self.pop()
                _build(self.stack[-1], state)
            case "STOP":
                _of(dict, self.stack[-1])
            case _:
                raise RefusedError("is no instruction of such a file")

    def pop(self) -> Any:
        if self.stack[-1] is _MARK:
            raise IndexError
        return self.stack.pop()

    def since_mark(self) -> list[Any]:
        return list(iter(self.stack.pop, _MARK))[::-1]

    def answer(self, word: object, arguments: tuple[Any, ...]) -> object:
        match word, arguments:
            case Word.DTYPE, ("u1" | "|u1", *_):
                return Uint8()
            case Word.ENCODE, (str() as text, "latin1"):
                return text
            case Word.RECONSTRUCT, (Word.NDARRAY, *_) if self.array is None:
                self.array = Array()
                return self.array
            case Word.FROM_BUFFER, (str() as data, Uint8(), tuple() as shape, "C" | "F" as order) if self.array is None:
                self.array = Array(_values(data, shape, order))
                return self.array
        raise RefusedError(
            f"calls {word.name if isinstance(word, Word) else type(word).__name__} in an unknown way, or again"
        )


def _build(value: object, state: object) -> None:
    match value, state:
        case Uint8(), tuple():
            pass
        case Array(values=None) as array, (1, tuple() as shape, Uint8(), bool() as fortran, str() as data):
            array.values = _values(data, shape, "F" if fortran else "C")
        case _:
            raise RefusedError(f"sets the state of a {type(value).__name__} in an unknown way")


def _values(data: str, shape: tuple[Any, ...], order: Any) -> NDArray[np.uint8]:
    if len(shape) > 4 or math.prod(_all(int, shape)) != len(data):
        raise RefusedError(f"gives {len(data):,} bytes to an array of another size")
    return np.frombuffer(data.encode("latin1"), np.uint8).reshape(shape, order=order)


def _word(name: str) -> Word:
    for word in Word:
        if name in word.value:
            return word
    raise RefusedError(f"names {name[:80]!r}")


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise RefusedError(f"expects {kind.__name__}, got {type(value).__name__}")
    return value


def _all(kind: type, values: Sequence[Any]) -> list[Any]:
    return [_of(kind, value) for value in values]
