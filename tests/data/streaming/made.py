"""Sets in files, for the tests: rows of the digits, or of a table."""

import numpy as np

import chainrule as cr

SMALL = cr.Stream(when="always", window_mb=0.05, blocks=4)
"""Several windows of several blocks for a set as small as the digits."""


def digits(folder, n_files=3, dtype=np.float32):
    """The digits as npy shards in `folder`."""
    data = cr.read("digits")
    folder.mkdir(exist_ok=True)
    for i, rows in enumerate(np.array_split(np.arange(data.n_rows), n_files)):
        np.save(folder / f"X-{i}.npy", data.X[rows].astype(dtype))
        np.save(folder / f"y-{i}.npy", data.y[rows])
    return folder


def parquet(folder, columns, n_files=2, **how):
    """A table of the given columns as Parquet files in `folder`."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    folder.mkdir(exist_ok=True)
    n = len(next(iter(columns.values())))
    for i, rows in enumerate(np.array_split(np.arange(n), n_files)):
        table = pa.table({name: np.asarray(values)[rows] for name, values in columns.items()})
        pq.write_table(table, folder / f"part-{i}.parquet", **({"row_group_size": 50} | how))
    return folder
