"""ONNX files say what the model says, at every batch, with everything inside; what cannot be said is refused."""

import json

import numpy as np
import onnx
import pytest

import chainrule as cr
from chainrule.data.preprocessing import Affine
from chainrule.exporting import onnx_file
from chainrule.exporting.built_in import difference
from exporting.kinds import CLASSES, KINDS, made, own, rows


@pytest.mark.parametrize("kind", KINDS)
def test_onnxruntime_agrees_at_every_batch(kind):
    model = KINDS[kind]()
    content = onnx_file.to_onnx(model)
    for n in (1, 2, 7, 64, 1000):
        X = rows(model, n)
        expected = onnx_file.references(model, X)
        found = onnx_file.run(content, X)
        assert found.keys() == expected.keys()
        for name, value in found.items():
            assert value.dtype == np.float32
            assert difference(value, expected[name], model) < 1e-5
    assert onnx_file.check(model, content)[0] < 1e-5


def test_the_file_is_plain_and_names_everything():
    model = KINDS["images"]()
    file = onnx.load_from_string(onnx_file.to_onnx(model))
    assert 18 <= file.opset_import[0].version <= 20
    assert len(file.opset_import) == 1
    assert file.ir_version <= 10
    assert file.producer_name == "chainrule"
    (x,), outputs = file.graph.input, [value.name for value in file.graph.output]
    assert [x.name, *outputs] == ["input", "logits", "probabilities"]
    assert [x.type.tensor_type.shape.dim[i] for i in (0, 1)] == [
        onnx.TensorShapeProto.Dimension(dim_param="batch"), onnx.TensorShapeProto.Dimension(dim_value=192)
    ]  # fmt: skip
    about = {one.key: one.value for one in file.metadata_props}
    assert json.loads(about["classes"]) == list(CLASSES)
    assert json.loads(about["row_shape"]) == [3, 8, 8]
    assert about["preprocessing"] == "inside: give raw rows"
    assert about["weights_sha256"] == model.digest
    assert {node.domain for node in file.graph.node} == {""}


def test_the_same_model_gives_the_same_file():
    assert onnx_file.to_onnx(KINDS["gelu"]()) == onnx_file.to_onnx(KINDS["gelu"]())


def test_numbers_that_float32_would_round_are_taken_in_float64():
    seconds = Affine(np.array([1.7e9, 0.0]), np.array([1 / 3600, 1.0]))
    model = made((cr.Linear(8), cr.ReLU(), cr.Linear()), n_in=2, preprocessing=seconds)
    content = onnx_file.to_onnx(model)
    assert onnx.load_from_string(content).graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.DOUBLE
    X = seconds.back(np.random.default_rng(0).normal(size=(50, 2)))
    found = onnx_file.run(content, X)["probabilities"]
    np.testing.assert_allclose(found, model.scores(X), atol=1e-5)


def test_own_layers_are_refused_by_name():
    with pytest.raises(cr.ConfigError) as caught:
        onnx_file.to_onnx(own())
    assert str(caught.value) == (
        "layers Square are your own classes, which ONNX has no words for; export a network of built-in layers, or "
        "bring the equation of yours over by hand"
    )


def test_a_file_that_differs_is_not_written(tmp_path, monkeypatch):
    """The exporter forgets the preprocessing; the check at export notices."""
    monkeypatch.setattr(onnx_file, "prepared", lambda graph, affine, x, dtype: x)
    with pytest.raises(
        cr.ChainruleError, match=r"the ONNX file differs from the model by .*, more than .*, so it was not written"
    ):
        cr.export(KINDS["tanh"](), "onnx", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_onnxruntime_the_file_is_written_and_said_to_be_unchecked(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "find_spec", lambda name: None)
    made = cr.export(KINDS["tanh"](), "onnx", tmp_path / "model.onnx")
    assert made.largest_difference is None
    assert made.note == "not compared: onnxruntime is not installed; pip install 'chainrule[onnx]'"
    assert (tmp_path / "model.onnx").exists()


def test_without_onnx_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr("chainrule.exporting.built_in.find_spec", lambda name: None)
    with pytest.raises(cr.ConfigError) as caught:
        onnx_file.to_onnx(KINDS["tanh"]())
    assert str(caught.value) == "export to ONNX needs onnx, which is not installed; pip install 'chainrule[onnx]'"


def test_more_than_2_gb_is_refused_before_it_is_built(monkeypatch):
    monkeypatch.setattr(onnx_file, "_LARGEST", 200)
    with pytest.raises(cr.ConfigError) as caught:
        onnx_file.to_onnx(KINDS["linear"]())
    assert (
        str(caught.value)
        == "the network's 63 parameters pass the 2 GB of an ONNX file; export to torch or numpy instead"
    )


def test_a_network_that_float32_itself_moves_is_exported_and_said_to_be_one(tmp_path):
    """Weights that make logits of a thousand: the last bits of float32 are worth more than 1e-5 of a probability."""
    model = made((cr.Linear(400), cr.ReLU(), cr.Linear(400), cr.ReLU(), cr.Linear()), n_in=3000)
    for name in ("0.W", "2.W"):
        model.parameters[name] *= 3
    written = cr.export(model, "onnx", tmp_path / "far.onnx")
    assert written.largest_difference > 1e-5
    assert written.note.startswith("more than 1e-05: float32 alone moves this network's outputs by ")
