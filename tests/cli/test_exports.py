"""`chainrule export`."""

import json
import subprocess
import sys

import numpy as np
import pytest

from chainrule import load_model, read
from command import chainrule

DIGITS = read("digits")


def test_a_run_is_exported_here_under_its_own_name(run, tmp_path):
    done = chainrule("export", run, "--to", "onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run.onnx").stat().st_size > 20_000
    assert done.stdout.startswith("run.onnx\nlargest difference from the model on 64 rows: ")
    again = chainrule("export", run / "model", "--to", "onnx", cwd=tmp_path)
    assert again.returncode == 2
    assert again.stderr == "error: run.onnx exists; name another output, or replace it with --overwrite\n"
    assert chainrule("export", run, "--to", "onnx", "--overwrite", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("form", "files"),
    [("onnx", ["x"]), ("torch", ["model.py", "model.safetensors"]), ("numpy", ["predict.py", "model.npz"])],
)
def test_every_form_is_compared_and_said_in_json(run, form, files, tmp_path):
    out = tmp_path / "new" / "x"
    done = chainrule("export", run, "--to", form, "--best", "-o", out, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["files"] == [str(out if form == "onnx" else out / name) for name in files]
    assert found["largest_difference"] < 1e-5
    assert (found["to"], found["rows"], found["note"]) == (form, 64, "")


def test_the_numpy_script_predicts_from_the_shell(run, tmp_path):
    assert chainrule("export", run, "--to", "numpy", cwd=tmp_path).returncode == 0
    np.save(tmp_path / "rows.npy", DIGITS.X[:30])
    command = [sys.executable, tmp_path / "run-numpy" / "predict.py", tmp_path / "rows.npy"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert found == load_model(run / "model").predict(DIGITS.X[:30]).tolist()


def test_an_unknown_form_and_a_folder_that_is_no_run_are_refused(run, tmp_path):
    done = chainrule("export", run, "--to", "pickle", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: export to 'pickle' is not known; expected one of onnx, torch, numpy\n"
    done = chainrule("export", tmp_path, "--to", "onnx")
    assert done.returncode == 2
    assert "holds no model: it has no model.json" in done.stderr
