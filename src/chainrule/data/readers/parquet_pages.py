"""How much memory a Parquet file will take, told from the headers of its pages and not from its footer alone.

A footer may say what it likes of sizes; pyarrow allocates what each page's own header asks for. The headers are structs
of Thrift's compact protocol, of which only the sizes in the first two fields after the type are of interest.
"""

from typing import IO, Any

_HEADER_BYTES = 2**16  # statistics in it included
_UNCOMPRESSED, _COMPRESSED = 2, 3  # fields of PageHeader
_BOOLEANS, _FIXED = (1, 2), {3: 1, 7: 8}  # types of the compact protocol; byte and double
_INTEGERS, _BINARY, _LISTS, _STRUCT = (4, 5, 6), 8, (9, 10), 12
_DEEPEST = 8
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "BYTE_ARRAY": 4, "INT96": 12}


class DamagedPageError(Exception):
    """The header of a page says nothing that can be true."""


def unpacked_bytes(file: IO[bytes], metadata: Any) -> int:
    """Bytes of all pages unpacked, or of all values where those are more. Raises a DamagedPageError."""
    pages = values = 0
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        for j in range(group.num_columns):
            column = group.column(j)
            pages += max(_of_pages(file, column), column.total_uncompressed_size)
            n_values = max(column.num_values, group.num_rows, 0 if i else metadata.num_rows)
            values += n_values * _WIDTHS.get(column.physical_type, 8)
    return max(pages, values)


def _of_pages(file: IO[bytes], column: Any) -> int:
    start = column.data_page_offset
    if column.has_dictionary_page and 0 < column.dictionary_page_offset < start:
        start = column.dictionary_page_offset
    total, end = 0, start + column.total_compressed_size
    while start < end:
        file.seek(start)
        length, header = _Header(file.read(min(_HEADER_BYTES, end - start))).sizes()
        if min(header) < 0:
            raise DamagedPageError("a page has a negative size")
        total += header[0]
        start += length + header[1]
    return total


class _Header:
    """A cursor over a page's header."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def sizes(self) -> tuple[int, tuple[int, int]]:
        """Length of the header, and the page's unpacked and packed size."""
        try:
            found = self.struct(0)
            return self.place, (found[_UNCOMPRESSED], found[_COMPRESSED])
        except (IndexError, KeyError):
            raise DamagedPageError("the header of a page is damaged") from None

    def struct(self, depth: int) -> dict[int, int]:
        """The integers among the fields of a struct, by their numbers."""
        found: dict[int, int] = {}
        number = 0
        while first := self.byte():
            step, kind = first >> 4, first & 15
            number = number + step if step else self.integer()
            if kind in _INTEGERS:
                found[number] = self.integer()
            elif kind not in _BOOLEANS:  # whose value is their kind
                self.skip(kind, depth)
        return found

    def skip(self, kind: int, depth: int) -> None:
        """Pass over a value."""
        if depth > _DEEPEST:
            raise IndexError
        if kind in _INTEGERS:
            self.varint()
        elif kind in _FIXED or kind in _BOOLEANS:
            self.place += _FIXED.get(kind, 1)
        elif kind == _BINARY:
            length = self.varint()
            self.place += length
        elif kind in _LISTS:
            first = self.byte()
            for _ in range(self.varint() if first >> 4 == 15 else first >> 4):
                self.skip(first & 15, depth + 1)
        elif kind == _STRUCT:
            self.struct(depth + 1)
        else:  # no header of a page has a map
            raise IndexError
        if self.place > len(self.content):
            raise IndexError

    def byte(self) -> int:
        """The next byte."""
        self.place += 1
        return self.content[self.place - 1]

    def varint(self) -> int:
        """Seven bits a byte, the lowest first."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise IndexError

    def integer(self) -> int:
        """A signed number, ZigZag."""
        value = self.varint()
        return value >> 1 ^ -(value & 1)
