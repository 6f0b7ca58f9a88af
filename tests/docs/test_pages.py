"""The Python on the README and the how-to pages runs, given what the text takes as given."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

import chainrule as cr
from conftest import ROOT
from docs.told import run_python

X, y = load_iris(return_X_y=True)
FLOWERS = {"X": X[::2], "y": y[::2]}


def test_readme(tmp_path):
    lines = (f"{a:.3f},{b:.3f},{3 * a - b:.3f}" for a, b in np.random.default_rng(0).normal(size=(60, 2)))
    (tmp_path / "table.csv").write_text("\n".join(["a,b,price", *lines]))
    assert run_python(ROOT / "README.md", tmp_path, dict(FLOWERS)) == 5
    assert (tmp_path / "runs" / "digits" / "manifest.json").is_file()


def test_tracking(tmp_path):
    assert run_python(ROOT / "docs" / "tracking.md", tmp_path, {}) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"events", "runs.db"}


def test_estimators(tmp_path):
    names = FLOWERS | {"w": np.ones(75), "X_held": FLOWERS["X"][::3], "y_held": FLOWERS["y"][::3]}
    assert run_python(ROOT / "docs" / "estimators.md", tmp_path, names) == 1


def test_export(tmp_path):
    data = cr.read("digits")
    run = cr.train(cr.mlp([16]), data)
    torch = pytest.importorskip("torch", reason="no torch")
    pytest.importorskip("onnxruntime", reason="no onnxruntime: pip install 'chainrule[onnx]'")
    cr.export(run.model, "onnx", tmp_path / "digits.onnx")
    names = {"cr": cr, "run": run, "data": data, "rows": data.X[:5], "torch": torch}
    assert run_python(ROOT / "docs" / "export.md", tmp_path, names) == 3
    assert (tmp_path / "price.onnx").is_file()
