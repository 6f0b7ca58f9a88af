"""What an export replaces: what exports wrote, and nothing of others."""

import sys

import pytest

import chainrule as cr
from exporting.kinds import KINDS

MODEL = KINDS["regression"]()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_one_form_replaces_the_other_and_leaves_nothing_of_it(tmp_path):
    cr.export(MODEL, "numpy", tmp_path / "out")
    (tmp_path / "out" / "__pycache__").mkdir()
    (tmp_path / "out" / "__pycache__" / f"predict.{sys.implementation.cache_tag}.pyc").write_bytes(b"")
    with pytest.raises(cr.ConfigError) as caught:
        cr.export(MODEL, "torch", tmp_path / "out")
    assert str(caught.value) == f"{tmp_path / 'out'} exists; name another output, or replace it with --overwrite"
    cr.export(MODEL, "torch", tmp_path / "out", overwrite=True)
    assert names(tmp_path / "out") == ["model.py", "model.safetensors"]
    cr.export(MODEL, "numpy", tmp_path / "out", overwrite=True)
    assert names(tmp_path / "out") == ["model.npz", "predict.py"]


def test_an_onnx_file_replaces_a_file(tmp_path):
    cr.export(MODEL, "onnx", tmp_path / "x.onnx")
    content = (tmp_path / "x.onnx").read_bytes()
    (tmp_path / "x.onnx").write_bytes(b"old")
    cr.export(MODEL, "onnx", tmp_path / "x.onnx", overwrite=True)
    assert (tmp_path / "x.onnx").read_bytes() == content


def test_what_is_not_an_exports_stays(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    (tmp_path / "folder" / "predict.py").write_text("mine")
    refused = {
        ("numpy", "file"): "is a file, and numpy is a folder of two; name a folder",
        ("torch", "file"): "is a file, and torch is a folder of two; name a folder",
        ("onnx", "folder"): "is a folder, and ONNX is one file; name a file",
        ("numpy", "folder"): "holds files that no export wrote, such as notes.txt; name another folder",
    }
    for (form, name), message in refused.items():
        with pytest.raises(cr.ConfigError) as caught:
            cr.export(MODEL, form, tmp_path / name, overwrite=True)
        assert str(caught.value) == f"{tmp_path / name} {message}"
    assert [path.read_text() for path in sorted(tmp_path.rglob("*")) if path.is_file()] == ["mine"] * 3


def test_a_run_is_no_model(tmp_path):
    run = cr.train(cr.mlp([4]), cr.read("digits"), training=cr.Training(epochs=1))
    for made in (lambda: cr.export(run, "numpy", tmp_path / "x"), lambda: cr.to_torch(run), lambda: cr.to_sklearn(run)):
        with pytest.raises(cr.ConfigError, match=r"^model is Run.*; expected a Model, such as run\.model$"):
            made()
    assert not (tmp_path / "x").exists()
