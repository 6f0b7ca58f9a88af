"""Sets in npy shards and Parquet files: what is read of them, and what is refused before any work or on the way."""

import os
from decimal import Decimal

import numpy as np
import pytest

import chainrule as cr
from chainrule.data.streaming import open_data, opening
from data.streaming import made


@pytest.fixture
def digits(tmp_path):
    return made.digits(tmp_path / "digits")


def refused(*arguments, **options):
    with pytest.raises(cr.DataError) as found:
        cr.shards(*arguments, **options).resident()
    return str(found.value)


def test_npy_shards_are_their_rows_in_the_order_of_the_names(digits):
    data, whole = cr.shards(digits, stream=made.SMALL), cr.read("digits")
    assert (data.n_rows, data.n_features, data.task, data.target_names) == (
        1797,
        64,
        "classification",
        tuple("0123456789"),
    )
    assert data.n_blocks > 20
    np.testing.assert_array_equal(data.resident().X, whole.X)
    np.testing.assert_array_equal(data.resident().y, whole.y)
    assert repr(data) == "Shards('digits': 1,797 rows of 64 float32; classification)"


def test_one_large_pair_images_names_and_labels_of_any_number(tmp_path):
    np.save(tmp_path / "X.npy", np.arange(4 * 12, dtype=np.uint8).reshape(4, 3, 2, 2))
    np.save(tmp_path / "y.npy", np.array([7, -3, 7, -3]))
    data = cr.shards(tmp_path)
    assert (data.row_shape, data.n_features, data.target_names) == ((3, 2, 2), 12, ("-3", "7"))
    assert data.resident().y.tolist() == [1, 0, 1, 0]
    np.save(tmp_path / "y.npy", np.array([0, 1, 1, 0]))
    np.save(tmp_path / "target_names.npy", np.array(["cat", "dog"]))
    assert cr.shards(tmp_path).target_names == ("cat", "dog")


@pytest.mark.parametrize(("y", "task", "names"), [
    (np.linspace(0, 1, 100), "regression", ("y",)),
    (np.arange(100), "regression", ("y",)),  # so many whole numbers are quantities
    (np.arange(100) % 20, "classification", tuple(map(str, range(20)))),
    (np.arange(200).reshape(100, 2) % 2, "multilabel", ("y0", "y1")),
    (np.arange(200.0).reshape(100, 2), "regression", ("y0", "y1")),
    (np.array(["b", "a"] * 50), "classification", ("a", "b")),
    (np.array([True, False] * 50), "classification", ("false", "true")),
])  # fmt: skip
def test_targets_are_what_they_would_be_in_memory(tmp_path, y, task, names):
    np.save(tmp_path / "X.npy", np.ones((100, 2)))
    np.save(tmp_path / "y.npy", y)
    streamed, whole = cr.shards(tmp_path, stream=made.SMALL).resident(), cr.read(str(tmp_path))
    assert (streamed.task, streamed.target_names) == (whole.task, whole.target_names) == (task, names)
    np.testing.assert_array_equal(streamed.y, whole.y)


def test_decimals_of_parquet_are_numbers_in_float64(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    prices = pa.array([Decimal(k) / 100 for k in range(200)], pa.decimal128(10, 2))
    table = pa.table({"price": prices, "n": np.arange(200, dtype=np.int8), "y": prices})
    parquet.write_table(table, tmp_path / "t.parquet")
    streamed = cr.shards(tmp_path / "t.parquet", stream=made.SMALL).resident()
    np.testing.assert_array_equal(streamed.X, cr.read(tmp_path / "t.parquet").X)
    np.testing.assert_array_equal(streamed.X[:, 0], np.arange(200) / 100)
    np.testing.assert_array_equal(streamed.y, np.arange(200) / 100)


def test_parquet_files_have_the_target_that_is_named_and_the_columns_common_dtype(tmp_path):
    columns = {
        "a": np.arange(200, dtype=np.int16),
        "class": ["b", "a"] * 100,
        "c": np.arange(200, dtype=np.float32) / 7,
    }
    data = cr.shards(made.parquet(tmp_path / "t", columns), target="class")
    assert (data.feature_names, data.dtype, data.target_names, data.n_blocks) == (("a", "c"), np.float32, ("a", "b"), 4)
    whole = data.resident()
    np.testing.assert_array_equal(whole.X, np.stack([columns["a"], columns["c"]], axis=1))
    assert whole.y.tolist() == [1, 0] * 100
    one = cr.shards(tmp_path / "t" / "part-1.parquet", target="class")
    np.testing.assert_array_equal(one.resident().X, whole.X[100:])


def test_a_shard_without_its_partner(digits):
    (digits / "y-1.npy").unlink()
    assert refused(digits) == f"{digits}: holds X-1.npy but no y-1.npy. Every shard needs both."


def test_shards_that_differ(digits):
    np.save(digits / "X-1.npy", np.load(digits / "X-1.npy").astype(float))
    assert refused(digits) == (
        f"{digits / 'X-1.npy'}: has rows of shape (64,) and float64, but X-0.npy has (64,) and float32; all shards must be "
        "alike."
    )


def test_targets_that_are_too_few(digits):
    np.save(digits / "y-2.npy", np.zeros(5))
    assert refused(digits) == (
        f"{digits / 'y-2.npy'}: has shape (5,); expected a target for each of the 599 rows of X-2.npy."
    )


def test_weights_and_test_rows_are_refused_and_not_left_out(digits):
    np.save(digits / "weight.npy", np.ones(1797))
    assert refused(digits) == (
        f"{digits / 'weight.npy'}: weights and test rows of their own are not streamed. Move it away, or set "
        "data.stream.when = 'never' where X.npy fits in memory."
    )


def test_a_file_cut_short_and_one_in_fortran_order(digits):
    path = digits / "X-0.npy"
    os.truncate(path, 1000)
    assert refused(digits).startswith(f"{path}: its header promises shape (599, 64) of float32, 153,472 bytes")
    np.save(path, np.asfortranarray(np.ones((599, 64), np.float32)))
    assert refused(digits) == (
        f"{path}: is in Fortran order, so its rows do not lie together. Save it with np.ascontiguousarray."
    )


def test_a_file_that_changes_or_goes_while_it_is_in_use(digits):
    data = cr.shards(digits)
    data.read(0)
    path = digits / "X-0.npy"
    size = path.stat().st_size
    os.truncate(path, size - 64)
    with pytest.raises(cr.DataError) as changed:
        data.read(0)
    assert str(changed.value) == (
        f"{path}: has changed since it was opened: {size:,} bytes then, {size - 64:,} now. Leave the files alone while "
        "they are in use, and start again."
    )
    path.unlink()
    with pytest.raises(cr.DataError, match=r"cannot be read: .*No such file.* Put the file back and start again"):
        data.read(0)


def test_parquet_that_is_cut_short_or_differs(tmp_path):
    folder = made.parquet(tmp_path / "t", {"a": np.arange(100.0), "y": np.arange(100) % 2})
    second = folder / "part-1.parquet"
    whole = second.read_bytes()
    second.write_bytes(whole[:-10])
    assert refused(folder).startswith(f"{second}: cannot be read: ")
    made.parquet(tmp_path / "u", {"a": np.arange(100), "y": np.arange(100) % 2}, n_files=1)
    second.write_bytes((tmp_path / "u" / "part-0.parquet").read_bytes())
    assert (
        refused(folder) == f"{second}: column 'a' is int64, not double, unlike part-0.parquet; all files must be alike."
    )
    made.parquet(tmp_path / "u", {"y": np.arange(100) % 2}, n_files=1)
    second.write_bytes((tmp_path / "u" / "part-0.parquet").read_bytes())
    assert refused(folder) == f"{second}: has no column 'a', unlike part-0.parquet; all files must be alike."


def test_parquet_with_a_gap_names_file_row_and_column(tmp_path):
    folder = made.parquet(tmp_path / "t", {"a": np.arange(200.0), "y": np.arange(200) % 2})
    import pyarrow as pa
    from pyarrow import parquet

    a = pa.array([*range(70), None, *range(29)], pa.float64())
    parquet.write_table(pa.table({"a": a, "y": np.arange(100) % 2}), folder / "part-1.parquet", row_group_size=50)
    assert refused(folder) == (
        f"{folder / 'part-1.parquet'}: row 70, column 'a': None is no value. Fill the gap, or remove the row or the column."
    )


def test_shards_of_one_class_are_refused_before_a_look_through_them(tmp_path):
    folder = made.parquet(tmp_path / "t", {"a": np.arange(100.0), "y": np.full(100, 3)})
    with pytest.raises(cr.DataError, match="t: every row has the label '3'; a classifier needs two classes"):
        cr.train(cr.mlp([2]), cr.shards(folder, task="classification"))


def test_what_cannot_be_streamed(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n1,2\n")
    assert refused(tmp_path / "t.csv") == (
        f"{tmp_path / 't.csv'}: cannot be streamed. Expected a folder of X-NAME.npy with y-NAME.npy, or a Parquet file or a "
        "folder of them; write the data as one of these, or leave data.stream out."
    )
    assert refused(tmp_path / "none") == f"{tmp_path / 'none'}: there is no such file or folder."


def test_a_set_is_streamed_when_it_is_large_or_when_that_is_asked_for(digits, tmp_path, monkeypatch):
    table = made.parquet(tmp_path / "t", {"a": np.arange(100.0), "y": np.arange(100) % 2}, 1) / "part-0.parquet"
    for source in (digits, table):
        assert isinstance(open_data(str(source), cr.Stream()), cr.Dataset)
        assert isinstance(open_data(str(source), cr.Stream(when="always")), cr.Shards)
    monkeypatch.setattr(opening, "memory", lambda: 1000)
    for source in (digits, table):
        assert isinstance(open_data(str(source), cr.Stream()), cr.Shards)
        assert isinstance(open_data(str(source), cr.Stream(when="never")), cr.Dataset)
    assert isinstance(open_data("digits", cr.Stream()), cr.Dataset)


def test_what_is_no_stream_is_refused(tmp_path):
    with pytest.raises(cr.ConfigError, match=r"^stream is 'always'; expected a Stream, such as Stream\(when="):
        cr.shards(tmp_path, stream="always")
