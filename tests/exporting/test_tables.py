"""A table's preparation goes out inside: ONNX by codes, NumPy by codes and by words; what has no form for it refuses."""

import json
import runpy
import subprocess
import sys

import numpy as np
import onnx
import pandas as pd
import pytest

import chainrule as cr
from chainrule.data.preparation import Preparation
from chainrule.exporting import numpy_file, onnx_file
from chainrule.exporting.built_in import as_given, difference, probe_rows
from exporting.kinds import made
from tabular import CITIES, NAMES, trained, written


def numbers_with_gaps() -> cr.Model:
    """No words, two indicators, one constant column, and times in seconds, which float32 would round."""
    table = Preparation(np.array([1.7e9, 0.5, 3.0]), np.array([1 / 3600, 2.0, 0.0]), (None,) * 3, (0, 2))
    layers = (cr.Linear(8), cr.ReLU(), cr.Linear())
    return made(layers, n_in=5, preprocessing=table, feature_names=("time", "b", "c"))


def wide() -> cr.Model:
    """Two embedded columns, one of more than 256 categories and one with a gap among them; and one-hot without numbers."""
    many, more = tuple(f"m{i:03d}" for i in range(300)), tuple(f"n{i:02d}" for i in range(12))
    table = Preparation(np.zeros(0), np.zeros(0), (many, ("x", "y"), more), (1, 2))
    layers = (cr.Embedding((300, 13), width=3), cr.Linear(8), cr.Tanh(), cr.Linear())
    return made(layers, n_in=7, preprocessing=table, feature_names=("a", "b", "c"))


def years() -> cr.Model:
    """float32 holds the column to a thirtieth of a second; its median in float32 would be off by more."""
    table = Preparation(np.array([2010.3371, 40.0]), np.array([1 / 5.1, 0.1]), (None, None), (1,))
    return made((cr.Linear(30), cr.ReLU(), cr.Linear()), n_in=3, preprocessing=table, feature_names=("a", "b"))


KINDS = {"gaps": numbers_with_gaps, "years": years, "wide": wide, "trained": lambda: trained().model}


@pytest.mark.parametrize("kind", KINDS)
def test_onnxruntime_agrees(kind: str) -> None:
    model = KINDS[kind]()
    content = onnx_file.to_onnx(model)
    X = probe_rows(model, 200).astype(np.float64)
    assert np.isnan(X).any()
    X[0] = -50  # no word has such a code, and no number is so small
    X[1] = 1e30
    for n in (1, 200):
        for name, value in onnx_file.run(content, X[:n]).items():
            assert difference(value, onnx_file.references(model, X)[name][:n], model) < 1e-5
    assert onnx_file.check(model, content)[0] < 1e-5


def test_the_file_says_which_code_is_which_word() -> None:
    model = trained().model
    file = onnx.load_from_string(onnx_file.to_onnx(model))
    about = {one.key: one.value for one in file.metadata_props}
    assert json.loads(about["categories"]) == [None, None, ["blue", "green", "red"], list(CITIES), None]
    assert json.loads(about["features"]) == list(NAMES)
    assert file.graph.input[0].type.tensor_type.shape.dim[1].dim_value == 5
    assert {node.domain for node in file.graph.node} == {""}


@pytest.mark.parametrize("kind", KINDS)
def test_numpy_agrees(kind: str) -> None:
    model = KINDS[kind]()
    checked = numpy_file.check(model, numpy_file.script(model), numpy_file.arrays_file(model))
    assert checked[0] < 1e-12


def test_the_script_takes_words_and_a_csv(tmp_path) -> None:
    model = trained().model
    cr.export(model, "numpy", tmp_path / "out")
    path = written(tmp_path, 30, seed=3, order=(5, 4, 3, 2, 1, 0))
    frame = pd.read_csv(path)
    expected = model.predict(frame, cr.Compute(backend="numpy", precision="float64"))
    script = runpy.run_path(str(tmp_path / "out" / "predict.py"))
    rows = frame[list(NAMES)].to_numpy(dtype=object)
    np.testing.assert_allclose(script["predict"](rows), expected, rtol=1e-12)
    codes = model.preprocessing.encoded(as_table(frame))
    np.testing.assert_allclose(script["predict"](codes), expected, rtol=1e-12)
    said = subprocess.run([sys.executable, tmp_path / "out" / "predict.py", path], capture_output=True, text=True,
                          check=True)  # fmt: skip
    np.testing.assert_allclose([float(line) for line in said.stdout.split()], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("header", "missing"), [(NAMES[1:-1], [NAMES[0], NAMES[-1]]), (["x"], [*NAMES]), ([], [*NAMES])]
)
def test_the_script_names_columns_that_are_missing(header, missing, tmp_path) -> None:
    cr.export(trained().model, "numpy", tmp_path / "out")
    path = tmp_path / "rows.csv"
    path.write_text(f"{','.join(header)}\n{','.join('1' for _ in header)}\n" if header else "")
    done = subprocess.run([sys.executable, tmp_path / "out" / "predict.py", path], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {path}: columns {missing} are missing; expected a header with {[*NAMES]}\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        ("a,b,c,b,d,d\n", "columns ['b'] stand twice; rename or remove one of each"),
        ("a,b,c\nx,x,n03\nx,y,n11\n", "row 1, column 'a': 'x' is no number"),
        ("c,a,b\nn03,true,x\nn11,1.5,y\nn11,1 m,y\n", "row 3, column 'a': '1 m' is no number"),
        ("a,b,c\n1,x," + "n" * 200_000, "field larger than field limit (131072)"),
    ],
)
def test_the_script_says_what_it_cannot_take(content, message, tmp_path) -> None:
    table = Preparation(np.array([0.5]), np.array([2.0]), (None, ("x", "y"), ("n03", "n11")))
    model = made(
        (cr.Linear(8), cr.Tanh(), cr.Linear()), n_in=table.n_out, preprocessing=table, feature_names=("a", "b", "c")
    )
    cr.export(model, "numpy", tmp_path / "out")
    path = tmp_path / "rows.csv"
    if content is not None:
        path.write_text(content)
    done = subprocess.run([sys.executable, tmp_path / "out" / "predict.py", path], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {path}: {message}\n")


def as_table(frame: pd.DataFrame) -> cr.data.Table:
    from chainrule.data.readers.frames import rows_of

    return rows_of(frame, NAMES, ("colour", "city"))


def test_the_probe_asks_for_everything() -> None:
    model = wide()
    X = probe_rows(model, 64)
    given = as_given(model, X)
    assert isinstance(given, cr.data.Table)
    assert {-1, 0, 1} <= set(X[:, 1][~np.isnan(X[:, 1])])


REFUSED = (
    "the model prepares a table (robust scaling, gaps, words), which {} has no form for; export to ONNX or NumPy "
    "instead, which have it inside"
)


def test_pytorch_and_scikit_learn_are_refused_before_anything_is_written(tmp_path) -> None:
    for form, call in (
        ("PyTorch", lambda: cr.export(trained().model, "torch", tmp_path / "t")),
        ("PyTorch", lambda: cr.to_torch(trained().model)),
        ("scikit-learn", lambda: cr.to_sklearn(trained().model)),
    ):
        with pytest.raises(cr.ConfigError) as caught:
            call()
        assert str(caught.value) == REFUSED.format(form)
    assert not (tmp_path / "t").exists()
