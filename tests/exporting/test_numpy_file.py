"""`predict.py` says what the model says, alone with NumPy."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.data.preprocessing import Affine
from chainrule.exporting import numpy_file
from exporting.kinds import KINDS, hidden, made, own, rows

EXPECTED = "; expected 4 numbers a row, rows counted from 0, and no header"
FLOAT64 = cr.Compute(backend="numpy", precision="float64")


def only_numpy(folder: Path) -> Path:
    """A place to import from that holds NumPy and nothing else."""
    folder.mkdir()
    packages = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (packages / name).exists():
            (folder / name).symlink_to(packages / name)
    return folder


def isolated(script: Path, numpy: Path, *arguments: Path) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys, runpy; sys.path.append({str(numpy)!r}); sys.argv = {[str(script), *map(str, arguments)]!r}; "
        f"runpy.run_path({str(script)!r}, run_name='__main__'); "
        "assert not {'torch', 'scipy', 'sklearn', 'chainrule', 'pydantic'} & set(sys.modules)"
    )
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", KINDS)
def test_the_script_agrees(kind):
    model = KINDS[kind]()
    text = numpy_file.script(model)
    assert numpy_file.check(model, text, numpy_file.arrays_file(model))[0] < 1e-12


def test_the_script_of_a_network_with_a_hidden_layer_has_about_50_lines():
    model = made((cr.Linear(9), cr.ReLU(), cr.Dropout(0.1), cr.Linear()))
    assert len(numpy_file.script(model).splitlines()) <= 50


@pytest.mark.parametrize("kind", ["residual blocks", "gelu", "regression", "sigmoid, multilabel"])
def test_it_runs_where_only_numpy_can_be_imported(kind, tmp_path):
    model, X = KINDS[kind](), rows(KINDS[kind](), 9)
    made = cr.export(model, "numpy", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["model.npz", "predict.py"]
    assert made.largest_difference < 1e-12
    np.save(tmp_path / "rows.npy", X)
    np.savetxt(tmp_path / "rows.csv", X, delimiter=",", fmt="%.9g")
    numpy = only_numpy(tmp_path / "packages")
    for name in ("rows.npy", "rows.csv"):
        done = isolated(tmp_path / "out" / "predict.py", numpy, tmp_path / name)
        assert done.returncode == 0, done.stderr
        found = [line.split(",") if model.task != "classification" else line for line in done.stdout.splitlines()]
        expected = model.predict(X, FLOAT64)
        if model.task == "classification":
            assert found == expected.tolist()
        else:
            np.testing.assert_allclose(np.array(found, float), expected, rtol=1e-6)


def test_rows_of_another_shape_than_the_models_are_refused(tmp_path):
    model = KINDS["images"]()
    cr.export(model, "numpy", tmp_path / "out")
    X = rows(model, 5)
    numpy, script = only_numpy(tmp_path / "packages"), tmp_path / "out" / "predict.py"
    expected = "".join(f"{name}\n" for name in model.predict(X, FLOAT64))
    np.save(tmp_path / "rows.npy", X.reshape(5, 3, 8, 8))
    assert isolated(script, numpy, tmp_path / "rows.npy").stdout == expected
    np.save(tmp_path / "rows.npy", X.reshape(5, 3, 8, 8).transpose(0, 2, 3, 1))
    message = (
        f"error: {tmp_path / 'rows.npy'}: rows of shape (8, 8, 3); expected (3, 8, 8), or flat ones of 192 numbers\n"
    )
    refused = isolated(script, numpy, tmp_path / "rows.npy")
    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", message)


def test_a_single_number_a_row_is_no_list(tmp_path):
    network, target = cr.Network(hidden(cr.ReLU())).sized(4, 1), Affine(np.array([1e4]), np.array([1 / 300]))
    scale = Affine(np.zeros(4), np.ones(4))
    model = cr.Model(network, network.initial(0), cr.SquaredError(), "regression", scale, target, ("price",))
    cr.export(model, "numpy", tmp_path / "out")
    np.save(tmp_path / "rows.npy", rows(model, 5))
    done = isolated(tmp_path / "out" / "predict.py", only_numpy(tmp_path / "packages"), tmp_path / "rows.npy")
    np.testing.assert_allclose([float(line) for line in done.stdout.splitlines()], model.predict(rows(model, 5)))


@pytest.mark.parametrize("arguments", [[], ["a.npy", "b.npy"]])
def test_without_its_one_argument_it_says_how_it_is_used(arguments, tmp_path):
    cr.export(KINDS["regression"](), "numpy", tmp_path / "out")
    done = isolated(tmp_path / "out" / "predict.py", only_numpy(tmp_path / "packages"), *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: python predict.py rows.npy|rows.csv\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "there is no such file"),
        ("none.npy", None, "there is no such file"),
        ("", None, "Is a directory"),
        ("empty.npy", b"", f"No data left in file{EXPECTED}"),
        ("rows.csv", b"1,2,3,4\n1,2,x,4\n", f"could not convert string 'x' to float64 at row 1, column 3{EXPECTED}"),
        ("rows.csv", b"1,2,3\n", f"cannot reshape array of size 3 into shape (1,4){EXPECTED}"),
    ],
)
def test_rows_that_it_cannot_take_are_an_error_and_no_traceback(name, content, message, tmp_path):
    model, path = made(hidden(cr.Tanh()), n_in=4), tmp_path / name
    cr.export(model, "numpy", tmp_path / "out")
    if content is not None:
        path.write_bytes(content)
    done = isolated(tmp_path / "out" / "predict.py", only_numpy(tmp_path / "packages"), path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {path}: {message}\n")


def test_own_layers_are_refused_by_name(tmp_path):
    with pytest.raises(cr.ConfigError, match="layers Square are your own classes, which NumPy has no words for"):
        cr.export(own(), "numpy", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_script_that_differs_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(numpy_file, "is_identity", lambda affine: True)
    with pytest.raises(cr.ChainruleError, match=r"predict\.py differs from the model by .*, so it was not written"):
        cr.export(made(hidden(cr.Tanh())), "numpy", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
