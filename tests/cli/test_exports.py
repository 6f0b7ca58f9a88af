"""`chainrule export`."""

import json

from command import chainrule


def test_a_run_is_exported_here_under_its_own_name(run, tmp_path):
    done = chainrule("export", run, "--to", "onnx", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run.onnx").stat().st_size > 20_000
    assert done.stdout.startswith("run.onnx\nlargest difference from the model on 64 rows: ")
    again = chainrule("export", run / "model", "--to", "onnx", cwd=tmp_path)
    assert again.returncode == 2
    assert again.stderr == "error: run.onnx exists; name another output, or replace it with --overwrite\n"
    found = json.loads(
        chainrule("export", run, "--to", "onnx", "--best", "-o", tmp_path / "b" / "x.onnx", "--json").stdout
    )
    assert found["files"] == [str(tmp_path / "b" / "x.onnx")]
    assert found["largest_difference"] < 1e-5
    assert found["note"] == ""


def test_an_unknown_form_and_a_folder_that_is_no_run_are_refused(run, tmp_path):
    done = chainrule("export", run, "--to", "pickle", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: export to 'pickle' is not known; expected one of onnx, torch, numpy\n"
    done = chainrule("export", tmp_path, "--to", "onnx")
    assert done.returncode == 4
    assert "is no model: it has no model.json" in done.stderr
