"""Hostile CSV, Parquet and Arrow tables."""

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from faults.cases import Arguments, Touches, collector, info

CASES, case = collector()
MIB = 2**20


def csv(root: Path, content: bytes | str) -> Arguments:
    path = root / "table.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return info(path)


@case("csv: a pickle", "is not UTF-8")
def _(root: Path) -> Arguments:
    return csv(root, pickle.dumps(Touches(), 2))


@case("csv: a line of forty million cells", "the row at line 2 has more than 4,194,304 characters")
def _(root: Path) -> Arguments:
    return csv(root, b"a,b\n" + b"1," * (40 * MIB))


@case("csv: a row of many lines, all in quotes", "the row at line 2 has more than 4,194,304 characters")
def _(root: Path) -> Arguments:
    return csv(root, b"a,b\n" + b'"\n",' * (12 * MIB))


@case("csv: a header of four million names", "the row at line 1 has more than 4,194,304 characters")
def _(root: Path) -> Arguments:
    return csv(root, ",".join(f"c{i}" for i in range(4_000_000)) + "\n")


@case("csv: two hundred thousand columns, two of one name", "two columns are called 'c199998'")
def _(root: Path) -> Arguments:
    names = [*(f"c{i}" for i in range(199_999)), "c199998"]
    return csv(root, ",".join(names) + "\n" + ",".join("1" * len(names)) + "\n")


@case("csv: one quote and then no other", "field larger than field limit")
def _(root: Path) -> Arguments:
    return csv(root, b'a,b\n"' + b"1,2\n" * MIB)


@case("csv: many short labels and one of a thousand letters", code=0)
def _(root: Path) -> Arguments:
    return csv(root, b"a,b\n1," + b"x" * 1000 + b"\n" + b"1,y\n" * 300_000)


@case("csv: labels that are all different", "that is no class label")
def _(root: Path) -> Arguments:
    return csv(root, "a,b\n" + "".join(f"1,x{i}\n" for i in range(200_000)))


@case("csv: numbers of a hundred thousand digits", "column 'a'")
def _(root: Path) -> Arguments:
    return csv(root, "a,b\n" + "9" * 100_000 + ",1\n0,0\n")


@case("csv: a number that only Python reads", "'0' is a number, and the cells above it are texts")
def _(root: Path) -> Arguments:
    return csv(root, "a,b\n1_000,1\n0,0\n")


@case("csv: a million different words", "more than 65,000 different texts")
def _(root: Path) -> Arguments:
    return csv(root, "a,b\n" + "".join(f"w{i:x},1\n" for i in range(16**5, 2 * 16**5)))


@case("csv: two thousand columns of words", code=0)
def _(root: Path) -> Arguments:
    names = ",".join(f"c{i}" for i in range(2_000))
    return csv(root, f"{names}\n" + (",".join("xy"[i % 2] for i in range(2_000)) + "\n") * 200 + ",".join("z" * 2_000))


@case("csv: UTF-16", "is not UTF-8")
def _(root: Path) -> Arguments:
    return csv(root, "a,b\n1,0\n2,1\n".encode("utf-16"))


@case("csv: a pipe", "there is no such file")
def _(root: Path) -> Arguments:
    os.mkfifo(root / "table.csv")
    return info(root / "table.csv")


@case("csv: a folder of that name", "nothing in it is known")
def _(root: Path) -> Arguments:
    (root / "table.csv").mkdir()
    return info(root / "table.csv")


def zeros(n: int) -> pa.Table:
    return pa.table({"a": np.zeros(n), "y": np.zeros(n, np.int8)})


@case("parquet: a bomb of runs and zstd", "would unpack to")
def _(root: Path) -> Arguments:
    path = root / "table.parquet"
    parquet.write_table(zeros(40 * MIB), path, compression="zstd")
    return info(path)


@case("parquet: six million rows of one long label", "would unpack to")
def _(root: Path) -> Arguments:
    n = 6 * MIB
    words = pa.DictionaryArray.from_arrays(np.zeros(n, np.int8), pa.array(["x" * 1000]))
    path = root / "table.parquet"
    parquet.write_table(pa.table({"a": np.zeros(n, np.int8), "y": words}), path, compression="zstd")
    return info(path)


@case("parquet: many short labels and one of a thousand letters", code=0)
def _(root: Path) -> Arguments:
    n = MIB
    words = pa.DictionaryArray.from_arrays(np.arange(n, dtype=np.int32) // (n - 1), pa.array(["y", "x" * 1000]))
    path = root / "table.parquet"
    parquet.write_table(pa.table({"a": np.arange(n), "y": words}), path)
    return info(path)


@case("parquet: a text of 8 MiB in each of a million rows", "has a text of 8,388,608 characters")
def _(root: Path) -> Arguments:
    n = MIB
    words = pa.DictionaryArray.from_arrays(np.zeros(n, np.int8), pa.array(["x" * 8 * MIB]))
    parquet.write_table(pa.table({"a": np.zeros(n, np.int8), "y": words}), root / "table.parquet", store_schema=False)
    return info(root / "table.parquet")


@case("parquet: a footer that understates a bomb", "would unpack to")
def _(root: Path) -> Arguments:
    """A page of 500 MiB in a file whose footer says that it has ten rows of a few bytes."""
    path = root / "table.parquet"
    n = 64 * MIB
    table = pa.table({"a": np.zeros(n), "y": np.zeros(n)})
    parquet.write_table(table, path, compression="zstd", use_dictionary=False, row_group_size=n, write_statistics=False)
    content, group = path.read_bytes(), parquet.read_metadata(path).row_group(0)
    start = -8 - struct.unpack("<I", content[-8:-4])[0]
    footer = content[start:-8]
    for number in {n, group.total_byte_size, *(group.column(i).total_uncompressed_size for i in range(2))}:
        length = len(varint(2 * number))
        footer = footer.replace(varint(2 * number), varint(20, length))
    path.write_bytes(content[:start] + footer + content[-8:])
    return info(path)


def varint(number: int, length: int = 1) -> bytes:
    """Seven bits a byte, as many bytes as it takes or more."""
    out = []
    while number > 127 or len(out) + 1 < length:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


@case("parquet: a schema nested a hundred thousand deep", "cannot be read")
def _(root: Path) -> Arguments:
    """FileMetaData{1: version, 2: schema of groups with one child each, 3: no rows, 4: no row groups}."""
    depth = 100_000
    group = b"\x35\x02\x18\x01a\x15\x02\x00"  # 3: OPTIONAL, 4: name "a", 5: one child
    leaf = b"\x15\x04\x25\x02\x18\x01a\x00"  # 1: INT64, 3: OPTIONAL, 4: name
    root_node = b"\x48\x01r\x15\x02\x00"
    listed = bytes([0xFC]) + varint(depth + 2) + root_node + group * depth + leaf
    footer = b"\x15\x02\x19" + listed + b"\x16\x00\x19\x0c\x00"
    path = root / "table.parquet"
    path.write_bytes(b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1")
    return info(path)


@case("parquet: a footer longer than the file", "cannot be read")
def _(root: Path) -> Arguments:
    path = root / "table.parquet"
    path.write_bytes(b"PAR1" + bytes(100) + struct.pack("<I", 2**32 - 1) + b"PAR1")
    return info(path)


@case("parquet: a pickle", "cannot be read")
def _(root: Path) -> Arguments:
    (root / "table.parquet").write_bytes(pickle.dumps(Touches()))
    return info(root / "table.parquet")


@case("parquet: columns that are Python objects to pandas", "is no number")
def _(root: Path) -> Arguments:
    blob = [pickle.dumps(Touches())] * 2
    parquet.write_table(pa.table({"a": blob, "y": [0, 1]}), root / "table.parquet")
    return info(root / "table.parquet")


@case("arrow: an extension type that names a class", code=0)
def _(root: Path) -> Arguments:
    storage = pa.array([1, 2])
    meta = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickle.dumps(Touches())}
    schema = pa.schema([pa.field("a", pa.int64(), metadata=meta), pa.field("y", pa.int64())])
    path = root / "table.arrow"
    with pa.ipc.new_file(path, schema) as sink:
        sink.write_table(pa.Table.from_arrays([storage, storage], schema=schema))
    return info(path)


def ipc(root: Path, table: pa.Table, stream: bool = False, name: str = "table.arrow", **options: Any) -> Arguments:
    path = root / name
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(path, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as sink:
        sink.write_table(table)
    return info(path)


@case("arrow: one batch that is a bomb of zstd", "would unpack to")
def _(root: Path) -> Arguments:
    return ipc(root, zeros(50 * MIB), compression="zstd")


@case("arrow: one batch of a stream that is a bomb of lz4", "would unpack to")
def _(root: Path) -> Arguments:
    return ipc(root, zeros(50 * MIB), stream=True, compression="lz4")


@case("feather: one batch that is a bomb", "would unpack to")
def _(root: Path) -> Arguments:
    return ipc(root, zeros(50 * MIB), name="table.feather", compression="zstd")


@case("arrow: a dictionary that is a bomb", "would unpack to")
def _(root: Path) -> Arguments:
    words = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int8()), pa.array(["a" * (300 * MIB), "b"]))
    return ipc(root, pa.table({"a": [1, 2, 3], "y": words}), compression="zstd")


@case("arrow: a thousand million numbers that are one, run-end encoded", "is no number")
def _(root: Path) -> Arguments:
    n = 10**9
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([n], pa.int32()), pa.array([1.0]))
    return ipc(root, pa.table({"a": runs, "y": runs}))


@case("arrow: nulls, which take no room", "would unpack to 48,000,000,000 in memory")
def _(root: Path) -> Arguments:
    return ipc(root, pa.table({"a": pa.nulls(10**9), "y": pa.nulls(10**9)}))


@case("arrow: a hundred thousand different words", "100,000 different texts")
def _(root: Path) -> Arguments:
    return ipc(root, pa.table({"a": [f"w{i}" for i in range(100_000)], "y": range(100_000)}))


@case("arrow: a dictionary with a code outside it", "cannot be read")
def _(root: Path) -> Arguments:
    codes = pa.array([0, 1, 9], pa.int32())
    words = pa.DictionaryArray.from_arrays(codes, pa.array(["a", "b"]), safe=False)
    return ipc(root, pa.table({"a": words, "y": [0, 1, 2]}))


@case("arrow: a message of 2^62 bytes", "cannot be read")
def _(root: Path) -> Arguments:
    arguments = ipc(root, zeros(64))
    content = bytearray((root / "table.arrow").read_bytes())
    place = content.index(struct.pack("<q", 64 * 9)) if struct.pack("<q", 576) in content else 0
    content[place : place + 8] = struct.pack("<q", 2**62)
    (root / "table.arrow").write_bytes(content)
    return arguments


@case("arrow: four hundred columns that share one buffer", "would unpack to")
def _(root: Path) -> Arguments:
    """Each column is told to be what all of them are together: 3 MiB become 1.3 GB."""
    n, columns = 1032, 400
    size = 8 * n
    arguments = ipc(root, pa.table({f"c{i}": np.zeros(n) for i in range(columns)}), stream=True)
    content = (root / "table.arrow").read_bytes()
    for i in range(columns):
        content = content.replace(struct.pack("<qq", i * size, size), struct.pack("<qq", 0, columns * size), 1)
    content = content.replace(struct.pack("<q", n), struct.pack("<q", columns * n))
    (root / "table.arrow").write_bytes(content)
    return arguments


@case("arrow: a pipe", "there is no such file")
def _(root: Path) -> Arguments:
    os.mkfifo(root / "table.arrow")
    return info(root / "table.arrow")
