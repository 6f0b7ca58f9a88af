"""A model saved and loaded predicts the same; files that do not fit together are refused as damaged."""

import json
from dataclasses import replace

import numpy as np
import pytest

import chainrule as cr
from chainrule.data.preprocessing import Affine
from chainrule.runs.files import format_arrays, parse_arrays, write
from chainrule.runs.sealed import read_sealed, write_sealed

DIGITS = cr.read("digits")
NETWORK = cr.Network(
    (cr.Linear(12, init=cr.Init("normal", std=0.1)), cr.BatchNorm(), cr.GELU("tanh"), cr.Dropout(0.1),
     cr.Residual((cr.LayerNorm(), cr.Linear(12), cr.LeakyReLU(0.2))), cr.Linear())
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> cr.Run:
    folder = tmp_path_factory.mktemp("model") / "run"
    return cr.train(NETWORK, DIGITS, training=cr.Training(epochs=2), output=folder)


def test_the_loaded_run_is_the_run(run):
    loaded = cr.load_run(run.directory)
    np.testing.assert_array_equal(loaded.model.scores(DIGITS.X), run.model.scores(DIGITS.X))
    assert loaded.model.network == run.model.network
    assert loaded.model.target_names == DIGITS.target_names
    assert loaded.config.network.layers == NETWORK.layers
    assert loaded.history == run.history
    assert loaded.metrics == run.metrics
    assert loaded.environment == run.environment


def test_scores_are_probabilities_and_predict_names_the_largest(run):
    scores = run.model.scores(DIGITS.X[:50])
    np.testing.assert_allclose(scores.sum(axis=1), 1)
    assert run.model.predict(DIGITS.X[:50]).tolist() == [DIGITS.target_names[i] for i in scores.argmax(axis=1)]


@pytest.mark.parametrize("as_given", [lambda X: X, lambda X: replace(DIGITS, row_shape=X.shape[1:])])
def test_rows_of_another_shape_are_refused(as_given):
    model = cr.Model(NETWORK.sized(64, 10), NETWORK.sized(64, 10).initial(0), cr.SoftmaxCrossEntropy(), "classification",
                     Affine(np.zeros(64), np.ones(64)), Affine(np.zeros(0), np.zeros(0)), DIGITS.target_names,
                     row_shape=(4, 4, 4))  # fmt: skip
    model.predict(as_given(DIGITS.X[:9].reshape(9, 4, 4, 4)))
    with pytest.raises(cr.DataError, match=r"rows of shape \(2, 8, 4\); the model takes rows of shape \(4, 4, 4\), or"):
        model.predict(as_given(DIGITS.X[:9].reshape(9, 2, 8, 4)))


def test_data_of_another_row_shape_are_not_evaluated(run):
    assert cr.assess_run(run, "test", replace(DIGITS, n_test=30, row_shape=(8, 8))).n == 30
    with pytest.raises(cr.DataError) as error:
        cr.assess_run(run, "test", replace(DIGITS, n_test=30, row_shape=(4, 4, 4)))
    assert str(error.value) == (
        "digits: holds rows of shape (4, 4, 4); the model takes rows of shape (1, 8, 8), or flat ones of 64 numbers."
    )


def test_raw_rows_of_any_dtype_and_layout_predict_the_same(run):
    scores = run.model.scores(DIGITS.X[:9])
    for rows in (
        DIGITS.X[:9].astype(float),
        np.asfortranarray(DIGITS.X[:9]),
        DIGITS.X[:9].astype(">f4"),
        DIGITS.X[:9].reshape(9, 8, 8),
        np.repeat(DIGITS.X[:9], 2, axis=0)[::2],
    ):
        # float64 rows are preprocessed in float64, so their last bits may differ
        np.testing.assert_allclose(run.model.scores(rows), scores, atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((2, 63)), "X has shape (2, 63) and dtype float64; this model takes numbers (n_rows, 64)."),
        (
            np.zeros((2, 64), dtype=object),
            "X has shape (2, 64) and dtype object; this model takes numbers (n_rows, 64).",
        ),
        (
            np.ma.masked_equal(np.ones((2, 64)), 1),
            "X is a masked array; this model knows no gaps. Fill it: X.filled(value).",
        ),
        (
            [[1.0, 2.0], [3.0]],
            "X is no array of numbers: setting an array element with a sequence. The requested array has an "
            "inhomogeneous shape after 1 dimensions. The detected shape was (2,) + inhomogeneous part.",
        ),
        (np.zeros((0, 3, 1)), "X has shape (0, 3) and dtype float64; this model takes numbers (n_rows, 64)."),
        (np.full((2, 64), np.nan), "X is nan at row 0, column 0; this model takes finite numbers."),
    ],
)
def test_rows_that_do_not_fit_are_refused(run, rows, message):
    with pytest.raises(cr.DataError) as caught:
        run.model.predict(rows)
    assert str(caught.value) == message


def resealed(folder, name, content):
    """Whoever changes a file on purpose can write its hash too; what it holds is then checked."""
    write_sealed(folder, read_sealed(folder) | {name: content})


def arrays_of(folder):
    return parse_arrays((folder / "weights.safetensors").read_bytes(), folder)


def spoil_weights(folder):
    arrays = arrays_of(folder)
    arrays["network.0.W"] = arrays["network.0.W"].T
    resealed(folder, "weights.safetensors", format_arrays(arrays))


def drop_array(folder):
    arrays = arrays_of(folder)
    del arrays["network.0.b"]
    resealed(folder, "weights.safetensors", format_arrays(arrays))


def spoil_json(folder):
    plain = json.loads((folder / "model.json").read_text())
    plain["layers"][0]["kind"] = "os.system"
    resealed(folder, "model.json", json.dumps(plain).encode())


def future_format(folder):
    plain = json.loads((folder / "model.json").read_text())
    resealed(folder, "model.json", json.dumps(plain | {"format": 2}).encode())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_weights, "array 'network.0.W' has shape"),
        (drop_array, "array 'network.0.b' has shape None, but model.json needs (12,)."),
        (spoil_json, "unknown kind 'os.system'"),
        (future_format, "model.json has format 2; this version reads 1."),
        (lambda folder: (folder / "model.json").unlink(), "model.json is damaged: it cannot be read"),
        (lambda folder: resealed(folder, "weights.safetensors", b""), "cannot be read as safetensors"),
        (lambda folder: (folder / "weights.safetensors").write_bytes(b""), "is damaged: it has 0 bytes"),
    ],
)
def test_damaged_models_are_refused(run, tmp_path, spoil, message):
    run.model.save(tmp_path)
    spoil(tmp_path)
    with pytest.raises(cr.DamagedError) as caught:
        cr.load_model(tmp_path)
    assert message in str(caught.value)


def test_transposed_and_strided_arrays_are_saved_as_they_read(tmp_path):
    """safetensors 0.8.0 writes the memory of such arrays, whatever their order."""
    a = np.arange(12.0).reshape(3, 4)
    arrays = {"t": a.T, "f": np.asfortranarray(a), "s": a[:, ::2]}
    for name, value in parse_arrays(format_arrays(arrays), tmp_path).items():
        np.testing.assert_array_equal(value, arrays[name])


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write(path, b"old")
    monkeypatch.setattr("os.fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(cr.OutputError, match="No space left"):
        write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_run_that_did_not_finish_is_said_to_be_one(run, tmp_path):
    (tmp_path / "config.toml").write_bytes((run.directory / "config.toml").read_bytes())
    with pytest.raises(cr.DamagedError, match=r"holds a run that did not finish: it has no manifest\.json"):
        cr.load_run(tmp_path)
