"""A model of a table: saved with its words, given raw rows by name, with the same bits; hostile files are refused."""

import json

import numpy as np
import pandas as pd
import pytest

import chainrule as cr
from chainrule.runs.sealed import write_sealed
from tabular import NAMES, data, trained, written

NUMPY = cr.Compute(backend="numpy", threads=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    path = written(folder)
    table = cr.read(str(path), target="price")
    return cr.train(cr.mlp([8]), table, training=cr.Training(epochs=2, batch_size=50), compute=NUMPY,
                    output=folder / "run")  # fmt: skip


def test_a_saved_model_gives_the_same_bits_for_raw_rows(run, tmp_path):
    again = cr.load_model(run.directory / "model")
    assert again.preprocessing.categories == run.model.preprocessing.categories
    assert (again.preprocessing.gaps, again.digest) == (run.model.preprocessing.gaps, run.model.digest)
    frame = pd.read_csv(written(tmp_path, 40, seed=5))
    np.testing.assert_array_equal(again.predict(frame), run.model.predict(frame))
    again.save(tmp_path / "copy")
    for name in ("model.json", "weights.safetensors"):
        assert (tmp_path / "copy" / name).read_bytes() == (run.directory / "model" / name).read_bytes()


def test_columns_are_found_by_name_in_any_order_beside_any_others(run, tmp_path):
    frame = pd.read_csv(written(tmp_path, 40, seed=5))
    expected = run.model.predict(frame)
    turned = frame[list(frame.columns[::-1])].assign(when=pd.Timestamp(0), note="x")
    np.testing.assert_array_equal(run.model.predict(turned), expected)
    with pytest.raises(cr.DataError) as caught:
        run.model.predict(frame.drop(columns="city"))
    assert str(caught.value).startswith("frame: there is no column 'city'; its columns are size, age")


def test_data_sets_tables_and_rows_of_objects_give_the_same(run):
    expected = run.model.predict(data())
    np.testing.assert_array_equal(run.model.predict(data().take(slice(None))), expected)
    frame = pd.DataFrame(data().X, columns=list(NAMES)).astype(object)
    for i, words in enumerate(data().categories):
        if words is not None:
            frame.isetitem(i, [None if np.isnan(code) else words[int(code)] for code in data().X[:, i]])
    np.testing.assert_array_equal(run.model.predict(frame), expected)
    np.testing.assert_array_equal(run.model.predict(frame.to_numpy()), expected)
    np.testing.assert_array_equal(run.model.predict(frame.to_numpy().tolist()), expected)


def test_other_words_have_other_codes_and_the_same_predictions(run):
    """A new data set has a vocabulary of its own; codes of one must never be taken for those of the other."""
    some = data().take(data().X[:, 3] > 7)
    words = some.categories[3][8:]
    X = some.X.copy()
    X[:, 3] -= 8
    other = cr.data.Table(X, (*some.categories[:3], words, None), some.names)
    np.testing.assert_array_equal(run.model.predict(other), run.model.predict(some))


def test_a_new_word_and_a_gap_without_a_category_are_zeros(run):
    row = {"size": 1.0, "age": 0.0, "colour": "red", "city": "Atlantis", "const": 7}
    unseen, gap = run.model.predict(pd.DataFrame([row, row | {"city": None}]))
    assert unseen == gap
    assert np.isfinite(unseen)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((2, 5)), "X is an array of numbers, and this model takes words in 2 of its 5 columns (colour, city); "
                           "give a data frame, a data set, or rows with the words themselves."),
        (pd.DataFrame([["old", 1, "red", "city 01", 7]], columns=["age", "size", "colour", "city", "const"]),
         "column 'age' holds words, such as 'old' at row 0; expected numbers. Give numbers there."),
        (pd.DataFrame([[np.inf, 1, "red", "city 01", 7]], columns=["age", "size", "colour", "city", "const"]),
         "frame: row 0, column 'age': inf is infinite; expected a finite number. Correct it, or leave the row out."),
    ],
)  # fmt: skip
def test_refused(run, X, message):
    with pytest.raises(cr.DataError) as caught:
        run.model.predict(X)
    assert str(caught.value) == message


def test_a_plain_model_takes_frames_by_name_and_still_knows_no_gaps():
    frame = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) ** 2, "y": np.arange(20.0) / 7})
    model = cr.train(cr.mlp([4]), cr.read(frame, target="y"), training=cr.Training(epochs=1), compute=NUMPY).model
    expected = model.predict(frame[["a", "b"]].to_numpy())
    np.testing.assert_array_equal(model.predict(frame[["y", "b", "a"]]), expected)
    with pytest.raises(cr.DataError, match="X is nan at row 0, column 'b'; this model takes finite numbers"):
        model.predict(frame.assign(b=np.nan))
    with pytest.raises(cr.DataError, match="column 'a' holds words; this model takes numbers alone"):
        model.predict(frame.assign(a="x"))


def test_evaluate_reads_other_tables_by_their_words(run, tmp_path):
    other = cr.read(str(written(tmp_path, 50, seed=9, order=(3, 5, 4, 2, 1, 0))), target="price")
    found = cr.assess_run(run, "test", other)
    frame = pd.read_csv(tmp_path / "table.csv")
    assert found.n == 50
    expected = np.sqrt(np.mean((run.model.predict(frame) - frame["price"]) ** 2))
    assert abs(found.metrics["rmse"] - expected) < 1e-6


def test_a_resumed_run_is_the_uninterrupted_one(run, tmp_path, monkeypatch):
    import signal

    from chainrule.runs.keeper import Keeper

    wants = Keeper.wants
    how = {"training": cr.Training(epochs=2, batch_size=50), "compute": NUMPY, "output": tmp_path / "run"}
    table = cr.read(run.config.data.source, target="price")

    def stopping(self, now):
        if now == 3:
            self.interrupts.received = signal.SIGTERM
        return wants(self, now)

    monkeypatch.setattr(Keeper, "wants", stopping)
    with pytest.raises(cr.Interrupted):
        cr.train(cr.mlp([8]), table, **how)
    monkeypatch.undo()
    assert cr.train(cr.mlp([8]), table, resume=True, **how).model.digest == run.model.digest


def test_the_card_says_what_the_columns_hold(run):
    card = (run.directory / "model" / "README.md").read_text()
    assert "| columns of categories | 2 (colour: 3, city: 15) |" in card
    assert "| columns with gaps | 2 (age, colour) |" in card
    assert "raw rows of 5 columns, found by their names in a data frame" in card


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p["categories"][2].append("red"), "the categories of column 2 are not words, each of them once"),
        (lambda p: p["categories"][2].append("NA"), "the categories of column 2 are not words, each of them once"),
        (lambda p: p["categories"][2].pop(), "does not fit the network"),
        (lambda p: p["categories"].append(None), "array 'preprocessing.scale' has shape (3,), but model.json needs (4,)"),
        (lambda p: p.update(gaps=[1]), "does not fit the network"),
        (lambda p: p.update(gaps=[2, 1]), "gaps in columns (2, 1) of 5"),
        (lambda p: p.update(gaps=[1, 9]), "gaps in columns (1, 9) of 5"),
        (lambda p: p.update(more=1), "unknown option"),
    ],
)  # fmt: skip
def test_a_damaged_preparation_is_refused(run, tmp_path, change, message):
    folder = run.directory / "model"
    plain = json.loads((folder / "model.json").read_text())
    change(plain["preparation"])
    weights = (folder / "weights.safetensors").read_bytes()
    write_sealed(tmp_path / "model", {"model.json": json.dumps(plain).encode(), "weights.safetensors": weights})
    with pytest.raises(cr.DamagedError) as caught:
        cr.load_model(tmp_path / "model")
    assert message in str(caught.value)


def test_a_plain_model_is_written_as_before(tmp_path):
    model = cr.train(cr.mlp([2]), cr.read("digits"), training=cr.Training(iterations=1), compute=NUMPY).model
    model.save(tmp_path / "m")
    assert "preparation" not in json.loads((tmp_path / "m" / "model.json").read_text())
    assert trained().model.preprocessing.constant == (4,)
