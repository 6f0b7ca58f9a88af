"""Parquet and Arrow tables, read with pyarrow."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset, Task
from chainrule.data.readers.files import refuse_bomb
from chainrule.data.readers.tables import check_label, column_indices, gap, no_number, table, target_index
from chainrule.data.readers.values import native
from chainrule.errors import DataError


def read_arrow(path: Path, target: str | None = None, task: Task | None = None) -> Dataset:
    """A table in Parquet (`.parquet`) or Arrow's own format (`.arrow`, `.feather`). X has the columns' common dtype."""
    with _errors_named(path):
        content = _content(path)
        names = list(content.column_names)
        at = target_index(path, names, target)
        X = _features(path, content, [i for i in range(len(names)) if i != at])
        y = _target(path, names[at], content.column(at))
    return table(path, X, y, names, at, task)


def read_arrow_columns(path: Path, wanted: Sequence[str]) -> NDArray[Any]:
    """The columns with the wanted names, in that order, or all if none are named; other columns may hold anything."""
    with _errors_named(path):
        content = _content(path)
        return _features(path, content, column_indices(path, content.column_names, wanted))


@contextmanager
def _errors_named(path: Path) -> Iterator[None]:
    try:
        import pyarrow as pa
    except ModuleNotFoundError:
        raise DataError(f"{path}: reading it needs pyarrow: pip install 'chainrule[tables]'") from None
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {str(error).splitlines()[0]}. Write it again.") from error


def _content(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: there is no such file. Check the path.")
    content = _parquet(path) if path.suffix.lower() == ".parquet" else _ipc(path)
    content.validate(full=True)  # or texts could begin and end outside the file
    if content.num_rows == 0 or content.num_columns == 0:
        raise DataError(f"{path}: has {content.num_columns} columns but no rows.")
    return content


def _parquet(path: Path) -> Any:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
        # Runs of equal values are short even where a page is not compressed, so the rows are counted too.
        rows_bytes = file.metadata.num_rows * sum(_width(field.type) for field in file.schema_arrow)
        _refuse_bomb(path, max(rows_bytes, sum(group.total_byte_size for group in groups)))
        return file.read()


def _ipc(path: Path) -> Any:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        if source.read(6) == b"ARROW1":
            reader = pa.ipc.open_file(source)
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            source.seek(0)
            reader = pa.ipc.open_stream(source)
            batches = iter(reader)
        return pa.Table.from_batches(_watched(path, batches), reader.schema)


def _watched(path: Path, batches: Iterator[Any]) -> Iterator[Any]:
    """The batches as they come, until together they are more than such a file can honestly hold."""
    unpacked = 0
    for batch in batches:
        unpacked += batch.nbytes
        _refuse_bomb(path, unpacked)
        yield batch


def _refuse_bomb(path: Path, unpacked: int) -> None:
    refuse_bomb(path, path.stat().st_size, unpacked, instead="write it uncompressed, or as .npz with numpy.savez")


def _width(kind: Any) -> int:
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:  # no fixed width: texts, lists
        return 1


def _features(path: Path, content: Any, chosen: list[int]) -> NDArray[Any]:
    columns = [_numbers(path, content.column_names[i], content.column(i)) for i in chosen]
    dtype = np.result_type(*columns)
    X = np.empty((content.num_rows, len(columns)), np.uint8 if dtype.kind == "b" else dtype)
    for i, column in enumerate(columns):
        X[:, i] = column
    return X


def _numbers(path: Path, name: str, column: Any) -> NDArray[Any]:
    if not _is_numeric(column.type):
        value = column[0].as_py() if _is_text(column.type) else str(column.type)
        raise no_number(path, "row 0", name, value)
    _refuse_null(path, name, column)
    values = native(column.to_numpy())
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argmax(~np.isfinite(values)))
        raise gap(path, f"row {row}", name, float(values[row]))
    return values


def _target(path: Path, name: str, column: Any) -> NDArray[Any]:
    import pyarrow as pa

    if _is_numeric(column.type):
        return _numbers(path, name, column)
    is_dictionary = pa.types.is_dictionary(column.type)
    if not _is_text(column.type.value_type if is_dictionary else column.type):
        raise DataError(f"{path}: target {name!r} is {column.type}; expected numbers, booleans or texts.")
    _refuse_null(path, name, column)
    coded = (column if is_dictionary else column.dictionary_encode()).combine_chunks()
    words = [word or "" for word in coded.dictionary.to_pylist()]
    check_label(path, name, max(map(len, words)))
    labels: NDArray[Any] = np.array(words)[coded.indices.to_numpy(zero_copy_only=False)]
    if (labels == "").any():
        raise gap(path, f"row {int(np.argmax(labels == ''))}", name, "")
    return labels


def _refuse_null(path: Path, name: str, column: Any) -> None:
    if column.null_count:
        raise gap(path, f"row {int(np.argmax(column.is_null().to_numpy()))}", name, None)


def _is_numeric(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))
