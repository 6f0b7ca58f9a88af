"""Tables for the fuzzer: CSV, Parquet, Arrow and Feather."""

import io
from pathlib import Path
from typing import Any

from faults.fuzz_target import Target, alone, source


def csv() -> Target:
    from chainrule.data.readers.csv_files import csv_blocks

    seeds = ["a,b\n1,2\n3,4\n", "a,b,c\n1.5,x,yes\n2,y,no\n".replace("x", "7").replace("y,", "8,"), "\ufeffa;b\n1;2\n",
             'a,"b\nb"\n"1","2"\n3,NA\n', "a,b\ntrue,1e3\nfalse,-inf\n", "a,b\r\n1,0x5\r\n",
             "a,b,c\nred,1,2\n,NA,3\nblue,2,4\n", "d,y\n2020-01-31,1\n2020-02-01,2\n"]  # fmt: skip
    words = (b",", b'"', b"\r\n", b"NaN", b"1e999", b"true", b"_", b"\xef\xbb\xbf", b"\0", b"''")

    def columns(path: Path) -> object:
        list(csv_blocks(path, ("a",), ("a",), 2))
        return list(csv_blocks(path, ("a",), None, 2))

    return alone("table.csv", [seed.encode() for seed in seeds], source, columns, words=words)


def _tables() -> list[Any]:
    import pyarrow as pa

    return [
        pa.table({"a": [1.5, 2.5, 3.5], "n": [1, 2, 3], "kind": ["x", "y", "x"]}),
        pa.table({"a": pa.array([1, 2, 3], pa.int8()), "y": pa.array(["u", "v", "u"]).dictionary_encode()}),
        pa.table({"a": [True, False, True], "y": pa.array(["u", "v", "u"], pa.string_view())}),
        pa.table({"a": [[1], [2], [3]], "b": [1, None, 3], "y": [0.5, 1.5, 2.5]}),
    ]


def parquet() -> Target:
    from pyarrow import parquet as pq

    seeds = []
    for table in _tables():
        for options in ({}, {"compression": "zstd", "use_dictionary": False}, {"data_page_version": "2.0"}):
            out = io.BytesIO()
            pq.write_table(table, out, store_schema="zstd" in options.values(), **options)
            seeds.append(out.getvalue())
    return alone("table.parquet", seeds, source, words=(b"PAR1", b"\x15\x02", b"\x19\x1c", b"\x18\x01a"))


def _ipc(table: Any, new: Any, compression: str | None) -> bytes:
    import pyarrow as pa

    out = io.BytesIO()
    with new(out, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as sink:
        sink.write_table(table, max_chunksize=2)
    return out.getvalue()


def arrow() -> Target:
    import pyarrow as pa

    # Batches of two rows; a dictionary of a column must then be one.
    seeds = [_ipc(table.combine_chunks(), new, compression) for table in _tables()
             for new in (pa.ipc.new_stream, pa.ipc.new_file) for compression in (None, "zstd", "lz4")]  # fmt: skip
    return alone("table.arrow", seeds, source, words=(b"ARROW1", b"\xff\xff\xff\xff", b"\0" * 8))


def feather() -> Target:
    from pyarrow import feather as fe

    seeds = []
    for table in _tables():
        for compression in ("lz4", "zstd", "uncompressed"):
            out = io.BytesIO()
            fe.write_feather(table, out, compression=compression)
            seeds.append(out.getvalue())
    return alone("table.feather", seeds, source, words=(b"ARROW1", b"FEA1", b"\xff\xff\xff\xff"))
