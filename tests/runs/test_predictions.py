"""Predictions of a file, block by block: the bits of all rows at once, as text and as tables; whole or not at all."""

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.runs import predictions
from chainrule.runs.predictions import as_text, form, score_blocks, write_predictions
from tabular import trained, written


@pytest.fixture
def small(monkeypatch):
    """Blocks of 1,024 rows, the least."""
    monkeypatch.setattr(predictions, "_NUMBERS", 1)


def test_blocks_have_the_bits_of_all_rows_at_once(tmp_path, small):
    model = trained().model
    path = written(tmp_path, 2500, seed=3)
    expected = model.scores(cr.read(str(path), target="price"))
    found = list(score_blocks(model, path))
    assert [len(one) for one in found] == [1024, 1024, 452]
    np.testing.assert_array_equal(np.concatenate(found), expected)
    pd = pytest.importorskip("pandas")
    pd.read_csv(path).to_parquet(tmp_path / "table.parquet", row_group_size=700)
    np.testing.assert_array_equal(np.concatenate(list(score_blocks(model, tmp_path / "table.parquet"))), expected)


@pytest.fixture(scope="module")
def digits():
    data = cr.read("digits")
    return data, cr.train(cr.mlp([8]), data, training=cr.Training(iterations=5)).model


def test_arrays_too_whatever_their_order(tmp_path, small, digits):
    data, model = digits
    np.save(tmp_path / "c.npy", data.X)
    np.save(tmp_path / "f.npy", np.asfortranarray(data.X))
    np.savez(tmp_path / "z.npz", X=data.X)
    for name in ("c.npy", "f.npy", "z.npz"):
        found = list(score_blocks(model, tmp_path / name))
        assert len(found) == 2
        np.testing.assert_array_equal(np.concatenate(found), model.scores(data.X))


def test_texts_go_on_from_block_to_block(digits):
    data, model = digits
    scores = model.scores(data.X[:7])
    for suffix in (".csv", ".tsv", ".json"):
        assert "".join(as_text(model, [scores[:4], scores[4:]], suffix)) == "".join(as_text(model, [scores], suffix))
    lines = list(csv.reader(io.StringIO("".join(as_text(model, [scores[:4], scores[4:]], ".csv")))))
    assert [line[0] for line in lines] == ["row", *map(str, range(7))]
    assert [line[1] for line in lines[1:]] == model.predict(data.X[:7]).tolist()
    assert json.loads("".join(as_text(model, [scores], ".json")))[6]["probabilities"]["3"] == scores[6, 3]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather"])
def test_tables_hold_every_digit(tmp_path, suffix, digits):
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    data, model = digits
    scores, path = model.scores(data.X[:7]), tmp_path / f"out{suffix}"
    assert write_predictions(model, iter([scores[:4], scores[4:]]), path, suffix) == 7
    frame = (pd.read_parquet if suffix == ".parquet" else pd.read_feather)(path)
    assert list(frame.columns) == ["row", "prediction", *(f"p({i})" for i in range(10))]
    np.testing.assert_array_equal(frame.iloc[:, 2:].to_numpy(), scores)
    assert (frame["row"].tolist(), frame["prediction"].tolist()) == ([*range(7)], model.predict(data.X[:7]).tolist())


def test_a_bad_row_far_down_leaves_what_was_there(tmp_path, small):
    model, path, out = trained().model, written(tmp_path, 1500, seed=3), tmp_path / "out.csv"
    with path.open("a") as file:
        file.write("1,old,red,city 01,7,0\n")
    out.write_text("before")
    with pytest.raises(cr.DataError, match="line 1502, column 'age': 'old' is no number"):
        write_predictions(model, score_blocks(model, path), out, ".csv")
    assert out.read_text() == "before"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out.csv", "table.csv"]


def test_without_pyarrow_it_is_said_before_anything_is_done():
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from pathlib import Path\n"
        "from chainrule.runs.predictions import form\n"
        "print(form(Path('a.csv'), as_json=False))\n"
        "try: form(Path('a.parquet'), as_json=False)\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out == (
        ".csv\nConfigError output a.parquet: writing it needs pyarrow: pip install 'chainrule[tables]', or name a .csv\n"
    )


def test_without_an_output_it_is_text():
    assert (form(None, as_json=False), form(None, as_json=True)) == (".csv", ".json")
