"""Pickles of CIFAR batches, instruction by instruction as Python 2's cPickle wrote the official files."""

import struct
from collections.abc import Mapping

import numpy as np


def short(text: str) -> bytes:
    return b"U" + struct.pack("<B", len(text)) + text.encode("latin1")


def integer(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + struct.pack("<B", value)
    return b"M" + struct.pack("<H", value) if 0 <= value < 65536 else b"J" + struct.pack("<i", value)


class Memo:
    def __init__(self) -> None:
        self.n = 0

    def put(self) -> bytes:
        self.n += 1
        return b"q" + struct.pack("<B", self.n) if self.n < 256 else b"r" + struct.pack("<I", self.n)


def array(values: np.ndarray, memo: Memo, dtype_state: bool = True) -> bytes:
    """`_reconstruct`, then the state with the bytes as one BINSTRING."""
    data = values.tobytes()
    head = b"cnumpy.core.multiarray\n_reconstruct\n" + memo.put() + b"cnumpy\nndarray\n" + memo.put()
    empty = b"K\x00\x85" + memo.put() + short("b") + memo.put() + b"\x87" + memo.put() + b"R" + memo.put()
    shape = b"".join(map(integer, values.shape)) + b"\x86" + memo.put()
    dtype = (
        b"cnumpy\ndtype\n" + memo.put() + short("u1") + memo.put() + b"K\x00K\x01\x87" + memo.put() + b"R" + memo.put()
    )
    if dtype_state:
        dtype += b"(K\x03" + short("|") + memo.put() + b"NNN" + integer(-1) * 2 + b"K\x00t" + memo.put() + b"b"
    content = b"T" + struct.pack("<i", len(data)) + data + memo.put()
    return head + empty + b"(K\x01" + shape + dtype + b"\x89" + content + b"t" + memo.put() + b"b"


def strings(values: list[str], memo: Memo) -> bytes:
    return b"]" + memo.put() + b"(" + b"".join(short(value) + memo.put() for value in values) + b"e"


def labels(values: list[int], memo: Memo) -> bytes:
    return b"]" + memo.put() + b"(" + b"".join(map(integer, values)) + b"e"


def dictionary(content: Mapping[str, object]) -> bytes:
    memo = Memo()
    out = b"\x80\x02}" + memo.put() + b"("
    for key, value in content.items():
        out += short(key) + memo.put()
        match value:
            case np.ndarray():
                out += array(value, memo)
            case list() if value and isinstance(value[0], int):
                out += labels(value, memo)
            case list():
                out += strings(value, memo)
            case int():
                out += integer(value)
            case str():
                out += short(value) + memo.put()
    return out + b"u."
