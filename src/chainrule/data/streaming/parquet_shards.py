"""A Parquet file, or a folder of them, read a row group at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.readers import arrow_files
from chainrule.data.readers.arrow_columns import is_decimal, is_numeric
from chainrule.data.readers.tables import no_number, target_index
from chainrule.data.readers.values import Texts
from chainrule.data.streaming.shards import Block, File, as_it_is
from chainrule.errors import DataError


@dataclass(frozen=True, eq=False)
class ParquetShards:
    """Files of the same columns; a block is a row group. columns: of X; dtype: what they have in common."""

    files: tuple[File, ...]
    columns: tuple[str, ...]
    target: str
    dtype: np.dtype[Any]
    blocks: NDArray[np.int64]

    def read(self, block: Block) -> tuple[NDArray[Any], NDArray[Any] | Texts]:
        """The columns of X in their order, and the targets."""
        file = self.files[block.file]
        content = self._group(block, [*self.columns, self.target])
        X = np.empty((block.n_rows, len(self.columns)), self.dtype)
        for i, name in enumerate(self.columns):
            X[:, i] = arrow_files.numbers(file.path, name, content.column(i), block.row)
        return X, self._targets(block, content)

    def read_targets(self, block: Block) -> NDArray[Any] | Texts:
        """The targets alone."""
        return self._targets(block, self._group(block, [self.target]))

    def path(self, block: Block) -> Path:
        """Of the file."""
        return self.files[block.file].path

    def _targets(self, block: Block, content: Any) -> NDArray[Any] | Texts:
        column = content.column(content.num_columns - 1)
        return arrow_files.labels(self.files[block.file].path, self.target, column, block.row)

    def _group(self, block: Block, names: list[str]) -> Any:
        file = self.files[block.file]
        with refused(file.path), file.path.open("rb") as now:
            file.check(now.fileno())
            content = arrow_files.validated(file.path, _handle(file).read_row_group(block.part, columns=names))
        content = content.select(names)
        if content.num_rows != block.n_rows:
            raise DataError(f"{file.path}: row group {block.part} has {content.num_rows:,} rows, its footer says "
                            f"{block.n_rows:,}. Write the file again.")  # fmt: skip
        return content


@lru_cache(maxsize=4)
def _handle(file: File) -> Any:
    """The open file, its footer read; few are kept, for a footer grows with its row groups."""
    from pyarrow import parquet

    return parquet.ParquetFile(file.path, memory_map=False, pre_buffer=False)


@contextmanager
def refused(path: Path) -> Iterator[None]:
    """What pyarrow raises, as a DataError that names the file."""
    try:
        import pyarrow as pa
    except ModuleNotFoundError:
        raise DataError(f"{path}: reading it needs pyarrow: pip install 'chainrule[tables]'") from None
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error) or "damaged").splitlines()[0]
        raise DataError(f"{path}: cannot be read: {reason}. Write it again.") from error


def find(path: Path) -> list[Path]:
    """The file itself, or those of a folder."""
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def unpacked(path: Path) -> int:
    """Bytes that the numbers of a file take in memory at most."""
    with refused(path):
        from pyarrow import parquet

        metadata = parquet.read_metadata(path)
    return int(metadata.num_rows * metadata.num_columns) * 8


def open_parquet(path: Path, target: str | None) -> ParquetShards:
    """The files, their footers checked, and held against the first one's."""
    paths, files, blocks = find(path), list[File](), list[tuple[int, int, int, int]]()
    first: dict[str, Any] = {}
    for i, one in enumerate(paths):
        with refused(one):
            schema, sizes = arrow_files.row_groups(one)
        here = dict(zip(schema.names, schema.types, strict=True))
        first = first or here
        if list(here.items()) != list(first.items()):
            raise DataError(f"{one}: {_difference(here, first)}, unlike {paths[0].name}; all files must be alike.")
        files.append(as_it_is(one))
        row = 0
        for part, n_rows in enumerate(sizes):
            if n_rows:
                blocks.append((i, row, n_rows, part))
            row += n_rows
    if not blocks:
        raise DataError(f"{path}: has no rows.")
    names = list(first)
    at = target_index(paths[0], names, target)
    columns = tuple(name for i, name in enumerate(names) if i != at)
    for name in columns:
        if not is_numeric(first[name]):
            raise no_number(paths[0], "row 0", name, str(first[name]))
    dtype: np.dtype[Any] = np.result_type(*{_dtype(first[name]) for name in columns})
    return ParquetShards(tuple(files), columns, names[at], dtype, np.array(blocks, np.int64))


def _dtype(kind: Any) -> np.dtype[Any]:
    found: np.dtype[Any] = np.dtype(np.float64 if is_decimal(kind) else kind.to_pandas_dtype())
    return np.dtype({"float16": "float32", "bool": "uint8"}.get(found.name, found.name))


def _difference(here: dict[str, Any], first: dict[str, Any]) -> str:
    for name in {**first, **here}:
        if name not in here:
            return f"has no column {name!r}"
        if name not in first:
            return f"has a column {name!r}"
        if here[name] != first[name]:
            return f"column {name!r} is {here[name]}, not {first[name]}"
    return "has its columns in another order"
