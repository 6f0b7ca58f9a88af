"""Whether a data set is held in memory or streamed, and the opening of one that is streamed."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset, Origin, Task
from chainrule.data.readers.catalogue import NAMES
from chainrule.data.readers.files import looked_for
from chainrule.data.registry import read
from chainrule.data.streaming import npy_shards, parquet_shards
from chainrule.data.streaming.labels import look
from chainrule.data.streaming.options import Stream
from chainrule.data.streaming.shards import Block, Shards
from chainrule.errors import DataError
from chainrule.spec import expect

SHARE = 3
"""A set is streamed of its own accord where its rows would take more than one in so many bytes of memory."""

MIB = 2**20


def shards(
    source: str | Path,
    *,
    target: str | None = None,
    task: Task | None = None,
    stream: Stream = Stream(when="always"),  # noqa: B008
) -> Shards:
    """The data set in npy shards or Parquet files, to be read block by block.

    source: a folder of X-NAME.npy with y-NAME.npy, or of X.npy with y.npy; a folder of Parquet files, or one file.
    target: the column of a table to predict, the last one unless given. task: what the targets are, if not what they
    look like. All headers and all targets are read now, rows when they are needed. Raises a DataError.

    >>> import numpy as np
    >>> from tempfile import mkdtemp
    >>> folder = Path(mkdtemp())
    >>> np.save(folder / "X-0.npy", np.eye(4)), np.save(folder / "y-0.npy", np.array([0, 1, 0, 1]))
    (None, None)
    >>> shards(folder).n_rows
    4
    """
    expect("stream", stream, isinstance(stream, Stream), 'a Stream, such as Stream(when="always")')
    path, origin = Path(source).expanduser(), Origin(str(source), None, target, task)
    try:
        if path.is_dir() and npy_shards.find(path):
            if target is not None:
                raise DataError(f"{path}: target {target!r} has no use for this data. Leave it out.")
            return _npy(path, task, stream, origin)
        if (path.is_dir() or path.is_file()) and _parquet_there(path):
            return _parquet(path, target, task, stream, origin)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder{looked_for(path)}.")
    raise DataError(
        f"{path}: cannot be streamed. Expected a folder of X-NAME.npy with y-NAME.npy, or a Parquet file or a folder "
        "of them; write the data as one of these, or leave data.stream out."
    )


def open_data(source: str, stream: Stream, *, path: str | None = None, target: str | None = None,
              task: Task | None = None, image_size: tuple[int, int] | None = None,
              categorical: Sequence[str] = ()) -> Dataset | Shards:  # fmt: skip
    """The data set as `read` gives it, or streamed, as `stream` says."""
    place = Path(source).expanduser()
    sharded = source not in NAMES and _sharded(place)
    if stream.when == "always" or sharded or (stream.when == "auto" and source not in NAMES and _large(_size(place))):
        if categorical:
            raise DataError(
                f"{place}: categorical {categorical[0]!r} has no use for shards, whose columns are all numbers. Leave "
                "it out."
            )
        found = shards(source, target=target, task=task, stream=stream)
        streamed = stream.when == "always" or (stream.when == "auto" and _large(found.n_rows * found.row_bytes))
        return found if streamed else found.resident()
    return read(source, path=path, target=target, task=task, image_size=image_size, categorical=categorical)


def _sharded(path: Path) -> bool:
    """Whether the folder holds what only shards are: several files of one set."""
    return path.is_dir() and (any(path.glob("[Xy]-*.npy")) or any(path.glob("*.parquet")))


def _size(path: Path) -> int:
    """Bytes that the rows of one file would take in memory at most; 0 of what cannot be streamed."""
    if (path / "X.npy").is_file():
        return (path / "X.npy").stat().st_size
    return parquet_shards.unpacked(path) if path.is_file() and _parquet_there(path) else 0


def _parquet_there(path: Path) -> bool:
    return any(path.glob("*.parquet")) if path.is_dir() else path.suffix.lower() == ".parquet"


def _large(n_bytes: int) -> bool:
    return n_bytes * SHARE > memory()


def memory() -> int:
    """Bytes of memory that this process may use: the machine's, or its control group's where that is less."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text(encoding="ascii").strip() if limit.is_file() else ""
    return min(found, int(text)) if text.isdigit() else found


def _npy(path: Path, task: Task | None, stream: Stream, origin: Origin) -> Shards:
    layout = npy_shards.open_npy(path, stream.window_mb * MIB / stream.blocks)
    shape = layout.X[0].shape[1:]
    names = npy_shards.names(path, "target_names")
    n_rows = int(layout.blocks[:, 2].sum())
    targets = look((layout.read_targets(_block(one)) for one in layout.blocks), n_rows, task, path, "y", names)
    n_features = int(np.prod(shape))
    dtype = np.dtype(np.float32) if layout.X[0].dtype == np.float16 else layout.X[0].dtype.newbyteorder("=")
    return Shards(path.stem, layout, dtype, n_features, shape if len(shape) > 1 else (),
                  npy_shards.names(path, "feature_names"), targets, stream, origin)  # fmt: skip


def _parquet(path: Path, target: str | None, task: Task | None, stream: Stream, origin: Origin) -> Shards:
    layout = parquet_shards.open_parquet(path, target)
    n_rows = int(layout.blocks[:, 2].sum())
    blocks = (layout.read_targets(_block(one)) for one in layout.blocks)
    targets = look(blocks, n_rows, task, path, layout.target, ())
    return Shards(path.stem, layout, layout.dtype, len(layout.columns), (), layout.columns, targets, stream, origin)


def _block(row: NDArray[np.int64]) -> Block:
    return Block(*map(int, row))
