"""How much memory an Arrow message will take, told from its metadata: pyarrow allocates it before anyone can look.

The metadata are a flatbuffer (format/Message.fbs of Apache Arrow). A table begins with the distance back to its vtable,
which holds the place of each field in it, or 0; a packed buffer begins with its unpacked size.
"""

import struct
from typing import Any

_DICTIONARY, _BATCH = 2, 3  # of MessageHeader
_HEADER_TYPE, _HEADER = 1, 2  # of Message
_DATA = 1  # of DictionaryBatch
_LENGTH, _BUFFERS, _COMPRESSION = 0, 2, 3  # of RecordBatch


class DamagedMessageError(Exception):
    """The metadata of a message say nothing that can be true."""


def measured(message: Any) -> tuple[int, int]:
    """(rows of a record batch, bytes of its or a dictionary's buffers unpacked). Raises a DamagedMessageError."""
    try:
        return _unpacked(memoryview(message.metadata), message.body)
    except struct.error as error:
        raise DamagedMessageError(f"a message is cut short: {error}") from None


def _unpacked(metadata: memoryview, body: Any) -> tuple[int, int]:
    root = _number("<I", metadata, 0)
    kind, header = _field(metadata, root, _HEADER_TYPE), _below(metadata, root, _HEADER)
    kind = metadata[kind] if kind else 0
    if kind == _DICTIONARY:
        header = _below(metadata, header, _DATA)
    elif kind != _BATCH:
        return 0, 0
    buffers = _below(metadata, header, _BUFFERS)
    packed = _field(metadata, header, _COMPRESSION) != 0
    content = memoryview(body) if packed and body is not None else memoryview(b"")
    total = 0
    for place in range(buffers + 4, buffers + 4 + 16 * _number("<I", metadata, buffers), 16):
        offset, length = struct.unpack_from("<qq", metadata, place)
        unpacked = _number("<q", content, offset) if packed and length else length
        total += length if unpacked == -1 else unpacked  # -1: not packed after all
        if min(offset, length, unpacked + 1) < 0:
            raise DamagedMessageError("a buffer of negative size")
    length = _field(metadata, header, _LENGTH) if kind == _BATCH else 0
    return _number("<q", metadata, length) if length else 0, total


def _number(form: str, content: memoryview, place: int) -> int:
    if place < 0:
        raise DamagedMessageError("a place before its beginning")
    return int(struct.unpack_from(form, content, place)[0])


def _field(metadata: memoryview, table: int, field: int) -> int:
    """The place of a table's field, or 0 where it is left out."""
    vtable = table - _number("<i", metadata, table)
    if 4 + 2 * field >= _number("<H", metadata, vtable):
        return 0
    place = _number("<H", metadata, vtable + 4 + 2 * field)
    return table + place if place else 0


def _below(metadata: memoryview, table: int, field: int) -> int:
    """The place of what a table's field points to."""
    place = _field(metadata, table, field)
    if not place:
        raise DamagedMessageError("a part of its header is missing")
    return place + _number("<I", metadata, place)
