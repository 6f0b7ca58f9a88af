"""Predictions as text or a table, one line a row, block after block."""

import csv
import json
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.backends import EVALUATION_BLOCK
from chainrule.data.streaming import row_blocks
from chainrule.errors import ConfigError
from chainrule.runs.files import sync, written
from chainrule.runs.model import Model

Scores = NDArray[np.float64]

BINARY = (".parquet", ".arrow", ".feather")
SUFFIXES = (".csv", ".tsv", ".json", *BINARY)
_NUMBERS = 2**18  # of the widest thing that is held of a block


def form(output: Path | None, *, as_json: bool) -> str:
    """The suffix of what is to be written. Raises a ConfigError for one that cannot be."""
    suffix = "" if output is None else output.suffix.lower()
    if not suffix:
        return ".json" if as_json else ".csv"
    if suffix not in SUFFIXES:
        raise ConfigError(f"output {output}: its suffix {suffix!r} is not one of {' '.join(SUFFIXES)}; name another")
    if as_json and suffix != ".json":
        raise ConfigError(f"output {output}: --json writes JSON; give it the suffix .json, or leave --json out")
    if suffix in BINARY and find_spec("pyarrow") is None:
        raise ConfigError(f"output {output}: writing it needs pyarrow: pip install 'chainrule[tables]', or name a .csv")
    return suffix


def score_blocks(model: Model, rows: Path) -> Iterator[Scores]:
    """The scores of all rows in a file, block by block, (n_rows, n_out) each.

    Blocks of evaluation are full in each of them, so that a row's bits are those that it has among all rows.
    """
    widest = max(model.preprocessing.n_in, model.network.widths[0], len(model.target_names))
    n_rows = max(1, _NUMBERS // (widest * EVALUATION_BLOCK)) * EVALUATION_BLOCK
    for block in row_blocks(rows, model.feature_names, model.preprocessing.n_in, model.columns_of_words, n_rows,
                            model.row_shape):  # fmt: skip
        yield model.scores(block)


def as_text(model: Model, blocks: Iterable[Scores], suffix: str) -> Iterator[str]:
    """CSV, TSV or JSON, a piece for each block."""
    return _json(model, blocks) if suffix == ".json" else _csv(model, blocks, "\t" if suffix == ".tsv" else ",")


def _columns(model: Model) -> list[str]:
    """The number of a row, the predicted class and the probabilities, or the predicted numbers."""
    if model.task == "classification":
        return ["row", "prediction", *(f"p({name})" for name in model.target_names)]
    return ["row", *model.target_names]


def _csv(model: Model, blocks: Iterable[Scores], delimiter: str) -> Iterator[str]:
    file, first = StringIO(), 0
    writer = csv.writer(file, lineterminator="\n", delimiter=delimiter)
    writer.writerow(_columns(model))
    for scores in blocks:
        for i, row in enumerate(scores, first):
            prediction = [model.target_names[int(row.argmax())]] if model.task == "classification" else []
            writer.writerow([i, *prediction, *(f"{value:.6g}" for value in row)])
        first += len(scores)
        yield file.getvalue()
        file.seek(0)
        file.truncate()


def _json(model: Model, blocks: Iterable[Scores]) -> Iterator[str]:
    """A list with one object a row."""
    first = 0
    for scores in blocks:
        records = [json.dumps(_record(model, i, row)) for i, row in enumerate(scores, first)]
        yield (", " if first else "[") + ", ".join(records)
        first += len(scores)
    yield "]"


def _record(model: Model, i: int, row: Scores) -> dict[str, Any]:
    values = {name: float(value) for name, value in zip(model.target_names, row, strict=True)}
    if model.task == "classification":
        return {"row": i, "prediction": model.target_names[int(row.argmax())], "probabilities": values}
    return {"row": i, "prediction": values}


def write_predictions(model: Model, blocks: Iterable[Scores], output: Path, suffix: str) -> int:
    """The predictions in a file, whole or not at all; how many there are. Raises an OutputError."""
    n = 0

    def counted() -> Iterator[Scores]:
        nonlocal n
        for scores in blocks:
            yield scores
            n += len(scores)

    with written(output) as temporary:
        if suffix in BINARY:
            _write_table(model, counted(), temporary, suffix)
        else:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                file.writelines(as_text(model, counted(), suffix))
        sync(temporary)
    return n


def _write_table(model: Model, blocks: Iterable[Scores], path: Path, suffix: str) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    names = _columns(model)
    texts = [pa.string()] if model.task == "classification" else []
    schema = pa.schema(list(zip(names, [pa.int64(), *texts, *[pa.float64()] * len(model.target_names)], strict=True)))
    with parquet.ParquetWriter(path, schema) if suffix == ".parquet" else pa.ipc.new_file(str(path), schema) as file:
        first = 0
        for scores in blocks:
            classes = [np.array(model.target_names)[scores.argmax(axis=1)]] if texts else []
            columns = [np.arange(first, first + len(scores)), *classes, *scores.T]
            file.write_table(pa.table([pa.array(one) for one in columns], schema=schema))
            first += len(scores)
