"""Parquet and Arrow tables, read with pyarrow."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset, Task
from chainrule.data.readers import arrow_columns, arrow_messages, parquet_pages
from chainrule.data.readers.arrow_columns import is_numeric, is_text
from chainrule.data.readers.columns import Features, assembled, check_categorical, date, infinite
from chainrule.data.readers.files import LABEL_BYTES, missing, refuse_bomb
from chainrule.data.readers.tables import check_label, column_indices, gap, no_number, table, target_index
from chainrule.data.readers.values import Texts, shown
from chainrule.data.tables import Table
from chainrule.errors import DataError


@dataclass(frozen=True)
class _File:
    """A table whose columns are read when asked for, by their numbers: `read([2, 0])` has them in that order, and
    `parts([2, 0], n)` in parts of about n rows, as the file has them.
    """

    names: list[str]
    types: list[Any]
    n_rows: int
    read: Callable[[list[int]], Any]
    parts: Callable[[list[int], int], Iterator[Any]]


def read_arrow(
    path: Path, target: str | None = None, task: Task | None = None, categorical: Collection[str] = ()
) -> Dataset:
    """A table in Parquet (`.parquet`) or Arrow's own format (`.arrow`, `.feather`).

    X has the columns' common dtype where all hold numbers without gaps; else see `Table`.
    """
    with _opened(path) as file:
        at = target_index(path, file.names, target)
        check_categorical(path, file.names, file.names[at], categorical)
        features = _features(path, file, [i for i in range(len(file.names)) if i != at], categorical)
        y = _target(path, file, at)
    return table(path, features, y, file.names, at, task)


def arrow_blocks(
    path: Path, wanted: Sequence[str], categorical: Collection[str] | None, n_rows: int
) -> Iterator[Table]:
    """Rows to predict, `n_rows` at a time: the columns with the wanted names, in that order, or all if none are named.

    Other columns may hold anything. categorical: those that hold names of categories; then cells may be without a
    value. None: all hold numbers.
    """
    with _opened(path) as file:
        chosen = column_indices(path, file.names, wanted)
        names = [file.names[i] for i in chosen]
        for i, name in zip(chosen, names, strict=True):
            _check_to_predict(path, name, file.types[i], words=name in (categorical or ()))
        first = 0
        for content in _regrouped(file.parts(chosen, n_rows), n_rows):
            columns = [arrow_columns.column(path, name, one, learn=False) if name in (categorical or ())
                       else _to_predict(path, name, one, first, gaps=categorical is not None)
                       for name, one in zip(names, content.columns, strict=True)]  # fmt: skip
            X, categories = assembled(path, names, columns, categorical or (), tell=False, first=first)
            yield Table(X, categories or (None,) * X.shape[1], tuple(names), first)
            first += len(X)


def arrow_names(path: Path) -> list[str]:
    """The names of all columns."""
    with _opened(path) as file:
        return file.names


def _check_to_predict(path: Path, name: str, kind: Any, *, words: bool) -> None:
    if not arrow_columns.is_known(kind):
        raise DataError(
            f"{path}: column {shown(repr(name))} is {kind}; the model takes {'words' if words else 'numbers'} there. "
            "Write the column as it was for the training."
        )


def _to_predict(path: Path, name: str, column: Any, first: int, *, gaps: bool) -> NDArray[Any]:
    """A column of numbers, or of nothing but gaps."""
    if is_numeric(column.type):
        return arrow_columns.numbers(column) if gaps else numbers(path, name, column, first, learn=False)
    found = arrow_columns.column(path, name, column, learn=False)
    if isinstance(found, Texts) and (known := found.codes >= 0).any():
        row = int(np.argmax(known))
        raise no_number(path, f"row {first + row}", name, found.words[found.codes[row]], learn=False)
    if not gaps:
        raise gap(path, f"row {first}", name, None, learn=False)
    return np.full(len(column), np.nan)


def _regrouped(parts: Iterator[Any], n_rows: int) -> Iterator[Any]:
    """The same rows in tables of `n_rows`, but for the last one."""
    import pyarrow as pa

    held: list[Any] = []
    n = 0
    for part in parts:
        held.append(part)
        n += len(part)
        if n < n_rows:
            continue
        content = pa.concat_tables(held)
        whole = n - n % n_rows
        for start in range(0, whole, n_rows):
            yield content.slice(start, n_rows)
        held, n = [content.slice(whole)], n - whole
    if n:
        yield pa.concat_tables(held)


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    try:
        import pyarrow as pa
    except ModuleNotFoundError:
        raise DataError(f"{path}: reading it needs pyarrow: pip install 'chainrule[tables]'") from None
    if not path.is_file():
        raise missing(path)
    try:
        with _parquet(path) if path.suffix.lower() == ".parquet" else _ipc(path) as file:
            if file.n_rows == 0 or not file.names:
                raise DataError(f"{path}: has {len(file.names)} columns but no rows.")
            yield file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error) or "damaged").splitlines()[0]
        raise DataError(f"{path}: cannot be read: {reason}. Write it again.") from error


@contextmanager
def _parquet(path: Path) -> Iterator[_File]:
    import pyarrow as pa
    from pyarrow import parquet

    metadata, schema = _footer(path)
    # Once in the file, a text may stand in every row: left as a dictionary, it stands in memory once, too.
    texts = [field.name for field in schema if is_text(field.type)]
    with parquet.ParquetFile(path, read_dictionary=texts) as file:

        def read(chosen: list[int]) -> Any:
            content = file.read(columns=[schema.names[i] for i in chosen])
            return validated(path, content.select([schema.names[i] for i in chosen]))

        def parts(chosen: list[int], n_rows: int) -> Iterator[Any]:
            names = [schema.names[i] for i in chosen]
            for batch in file.iter_batches(n_rows, columns=names):
                yield validated(path, pa.Table.from_batches([batch]).select(names))

        yield _File(list(schema.names), list(schema.types), metadata.num_rows, read, parts)


def _footer(path: Path) -> tuple[Any, Any]:
    """Metadata and schema of a Parquet file whose pages do not unpack to more than is believed."""
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        metadata, schema = file.metadata, file.schema_arrow
    try:
        with path.open("rb") as pages:
            if metadata.num_rows:
                _refuse_bomb(path, parquet_pages.unpacked_bytes(pages, metadata))
    except parquet_pages.DamagedPageError as error:
        raise pa.ArrowInvalid(str(error)) from error
    return metadata, schema


def row_groups(path: Path) -> tuple[Any, list[int]]:
    """The schema of a Parquet file, checked as for `read_arrow`, and how many rows each row group has."""
    metadata, schema = _footer(path)
    return schema, [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]


@contextmanager
def _ipc(path: Path) -> Iterator[_File]:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        # A file is a stream between magic and footer; read as a stream, its messages are those that were measured.
        start = 8 if source.read(6) == b"ARROW1" else 0
        source.seek(start)
        n_rows = unpacked = 0
        for message in pa.ipc.MessageReader.open_stream(source):
            try:
                n, n_bytes = arrow_messages.measured(message)
            except arrow_messages.DamagedMessageError as error:
                raise pa.ArrowInvalid(str(error)) from error
            n_rows, unpacked = n_rows + n, unpacked + n_bytes
            _refuse_bomb(path, unpacked)
        source.seek(start)
        schema = pa.ipc.open_stream(source).schema

        def opened(chosen: list[int]) -> Any:
            source.seek(start)
            return pa.ipc.open_stream(source, options=pa.ipc.IpcReadOptions(included_fields=sorted(chosen)))

        def read(chosen: list[int]) -> Any:
            return validated(path, opened(chosen).read_all().select([schema.names[i] for i in chosen]))

        def parts(chosen: list[int], n_rows: int) -> Iterator[Any]:  # noqa: ARG001
            for batch in opened(chosen):
                content = pa.Table.from_batches([batch])
                yield validated(path, content.select([schema.names[i] for i in chosen]))

        yield _File(list(schema.names), list(schema.types), n_rows, read, parts)


def validated(path: Path, content: Any) -> Any:
    """The table, which lies nowhere outside its own buffers."""
    import pyarrow as pa
    from pyarrow import types

    for name, column in zip(content.column_names, content.columns, strict=True):
        if types.is_string_view(column.type):  # of which many may share one long text
            for chunk in column.chunks:
                held = chunk.buffers()[1]
                if held is None or held.size < 16 * (chunk.offset + len(chunk)):
                    raise pa.ArrowInvalid(f"column {name!r} is shorter than its rows")
                views = np.frombuffer(held, np.int32, 4 * len(chunk), 16 * chunk.offset).reshape(-1, 4)  # (rows, 4)
                check_label(path, name, int(views[:, 0].max(initial=0)))
    content.validate(full=True)  # or texts could begin and end outside the file
    return content


def _refuse_bomb(path: Path, unpacked: int) -> None:
    refuse_bomb(path, path.stat().st_size, unpacked, instead="write it uncompressed, or as .npz with numpy.savez")


def _features(path: Path, file: _File, chosen: list[int], categorical: Collection[str]) -> Features:
    for i in chosen:
        if arrow_columns.is_date(file.types[i]):
            raise date(path, file.names[i], str(file.types[i]))
        if not arrow_columns.is_known(file.types[i]):
            raise no_number(path, "row 0", file.names[i], str(file.types[i]))
    content = file.read(chosen)
    names = [file.names[i] for i in chosen]
    whole = all(is_numeric(column.type) and not column.null_count for column in content.columns)
    widest = max(max(column.type.bit_width, 8) for column in content.columns) // 8 if whole else 8
    _refuse_bomb(path, content.num_rows * (len(names) * widest + LABEL_BYTES))
    columns = [arrow_columns.column(path, name, one) for name, one in zip(names, content.columns, strict=True)]
    declared = [file.names[i] for i in chosen if arrow_columns.is_dictionary(file.types[i])]
    return assembled(path, names, columns, categorical, declared)


def numbers(path: Path, name: str, column: Any, first: int = 0, *, learn: bool = True) -> NDArray[Any]:
    """A column of numbers that has no gap, whose rows begin at row `first` of the file."""
    values = arrow_columns.numbers(column)
    if column.null_count or (values.dtype.kind == "f" and not np.isfinite(values).all()):
        wrong = column.is_null().to_numpy() if column.null_count else ~np.isfinite(values)
        row = int(np.argmax(wrong))
        value = None if column.null_count else float(values[row])
        error = gap if value is None or np.isnan(value) else infinite
        raise error(path, f"row {first + row}", name, value, learn=learn)
    return values


def _target(path: Path, file: _File, at: int) -> NDArray[Any] | Texts:
    from pyarrow import types

    name, kind = file.names[at], file.types[at]
    if not is_numeric(kind) and not is_text(kind.value_type if types.is_dictionary(kind) else kind):
        raise DataError(f"{path}: target {shown(repr(name))} is {kind}; expected numbers, booleans or texts.")
    found = labels(path, name, file.read([at]).column(0))
    n = len(found.codes if isinstance(found, Texts) else found)
    if n != file.n_rows:
        raise DataError(f"{path}: target {shown(repr(name))} has {n} rows, the table {file.n_rows}.")
    return found


def labels(path: Path, name: str, column: Any, first: int = 0) -> NDArray[Any] | Texts:
    """A target's column without gaps, numbers or texts, whose rows begin at row `first` of the file."""
    from pyarrow import types

    if is_numeric(column.type):
        return numbers(path, name, column, first)
    if not is_text(column.type.value_type if types.is_dictionary(column.type) else column.type):
        raise DataError(f"{path}: target {shown(repr(name))} is {column.type}; expected numbers, booleans or texts.")
    _refuse_null(path, name, column, first)
    coded = (column if types.is_dictionary(column.type) else column.dictionary_encode()).combine_chunks()
    words = [word or "" for word in coded.dictionary.to_pylist()]
    if not words:
        raise DataError(f"{path}: target {shown(repr(name))} has no texts.")
    check_label(path, name, max(map(len, words)))
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    empty = np.array([word == "" for word in words])[codes]
    if empty.any():
        raise gap(path, f"row {first + int(np.argmax(empty))}", name, "")
    return Texts(codes, words)


def _refuse_null(path: Path, name: str, column: Any, first: int) -> None:
    if column.null_count:
        raise gap(path, f"row {first + int(np.argmax(column.is_null().to_numpy()))}", name, None)
