"""PyTorch modules say what the model says in both modes, go out as files, come back, and go on training here."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import chainrule as cr
from chainrule.backends.numpy_backend import NumpyBackend
from chainrule.backprop import forward
from chainrule.exporting import torch_out
from chainrule.exporting.built_in import difference
from exporting.kinds import KINDS, deep, made, own, rows

NUMPY = cr.Compute(backend="numpy", threads=1)
FLOAT64 = cr.Compute(backend="numpy", precision="float64", threads=1)
DIGITS = cr.read("digits")
TAKEN_BACK = [kind for kind in KINDS if not kind.startswith(("members", "embedded"))]
"""The modules of members give logits of their mean in both modes; these and embeddings have no equal to come back to."""


def without_dropout(layers: tuple[cr.Layer, ...]) -> tuple[cr.Layer, ...]:
    found: list[Any] = []
    for layer in layers:
        if isinstance(layer, cr.Residual):
            found.append(cr.Residual(without_dropout(layer.body)))
        else:
            found.append(cr.Dropout(0.0) if isinstance(layer, cr.Dropout) else layer)
    return tuple(found)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_agrees(kind):
    model = KINDS[kind]()
    module = cr.to_torch(model).eval()
    for n in (1, 7, 300):
        X = rows(model, n)
        with torch.no_grad():
            found = module(torch.from_numpy(X).to(getattr(torch, str(torch_out.parameter_dtype(model))))).numpy()
        assert difference(found, torch_out.expected(model, X), model) < 1e-5


@pytest.mark.parametrize("kind", TAKEN_BACK)
def test_training_mode_agrees_and_renews_the_same_running_statistics(kind):
    """In float64, with dropout's rate at 0, twice, on prepared rows."""
    model = KINDS[kind]()
    model = replace(model, network=cr.Network(without_dropout(model.network.layers), model.network.n_in))
    module = cr.to_torch(model, preparation=False, dtype=torch.float64).train()
    parameters = {name: value.astype(np.float64) for name, value in model.parameters.items()}
    context = NumpyBackend("float64", 1, "").context(training=True)
    for n in (40, 2):
        x = np.random.default_rng(n).normal(size=(n, model.network.widths[0]))
        y, _, statistics = forward(model.network.layers, parameters, x, context)
        parameters |= statistics
        np.testing.assert_allclose(module(torch.from_numpy(x)).detach().numpy(), y, rtol=1e-9, atol=1e-9)
    again = cr.from_torch(module, loss=model.loss)
    for name, value in again.parameters.items():
        np.testing.assert_allclose(value, parameters[name], rtol=1e-12)


def test_dropout_is_there_in_training_mode():
    module = cr.to_torch(KINDS["batch norm and dropout"]())
    assert module.training
    assert [one.p for one in module.modules() if isinstance(one, nn.Dropout)] == [0.4]


def test_neither_way_touches_the_global_generator():
    before = torch.get_rng_state()
    cr.from_torch(cr.to_torch(deep()))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", TAKEN_BACK)
def test_there_and_back_is_the_same_model(kind):
    model = KINDS[kind]()
    again = cr.from_torch(cr.to_torch(model), loss=model.loss, target_names=model.target_names)
    if kind != "residual blocks":  # an init is no part of a module
        assert [type(layer) for layer in again.network.layers] == [type(layer) for layer in model.network.layers]
    X = rows(model, 20)
    assert difference(again.scores(X, FLOAT64), model.scores(X, FLOAT64), model) < 2e-6
    for name, value in model.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], value)
        assert again.parameters[name].dtype == value.dtype
    np.testing.assert_allclose(again.preprocessing.shift, model.preprocessing.shift, rtol=1e-12)


def test_layers_and_options_come_back():
    layers = (
        cr.Linear(8, bias=False), cr.BatchNorm(0.3, 1e-3), cr.LeakyReLU(0.25), cr.Dropout(0.125), cr.LayerNorm(1e-4),
        cr.GELU("tanh"), cr.Residual((cr.Linear(8), cr.Tanh())), cr.Linear(3),
    )  # fmt: skip
    assert cr.from_torch(cr.to_torch(made(layers))).network.layers == layers


@pytest.mark.parametrize("kind", ["residual blocks", "regression", "float64", "poisson", "images"])
def test_the_exported_folder_needs_no_chainrule(kind, tmp_path):
    model = KINDS[kind]()
    X = rows(model, 30)
    written = cr.export(model, "torch", tmp_path / "out")
    assert [path.name for path in written.files] == ["model.py", "model.safetensors"]
    assert written.largest_difference < 1e-5
    np.save(tmp_path / "rows.npy", X if kind != "images" else X.reshape(-1, 3, 8, 8))
    code = f"""
import sys, numpy, torch
sys.path.insert(0, {str(tmp_path / "out")!r})
import model
module = model.load()
assert not module.training and model.NAMES == {list(model.target_names)!r}
dtype = next(module.parameters()).dtype
numpy.save({str(tmp_path / "found.npy")!r}, module(torch.from_numpy(numpy.load({str(tmp_path / "rows.npy")!r})).to(dtype)).detach())
assert "chainrule" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert difference(np.load(tmp_path / "found.npy"), torch_out.expected(model, X), model) < 1e-5


def test_the_script_reads_like_one_written_by_hand():
    text = torch_out.script(made((cr.Linear(5), cr.BatchNorm(), cr.Residual((cr.ReLU(),)), cr.Linear())))
    assert (
        "    return nn.Sequential(\n        Affine(20),\n        nn.Linear(20, 5),\n"
        "        nn.BatchNorm1d(5, eps=1e-05, momentum=0.1),\n        Residual(\n            nn.ReLU(),\n        ),\n"
        "        nn.Linear(5, 3),\n    )\n"
    ) in text
    assert "chainrule" not in text.split('"""', 2)[2]


def test_own_layers_are_refused_by_name(tmp_path):
    with pytest.raises(cr.ConfigError, match="layers Square are your own classes, which PyTorch has no words for"):
        cr.to_torch(own())
    with pytest.raises(cr.ConfigError, match="layers Square are your own classes, which PyTorch has no words for"):
        cr.export(own(), "torch", tmp_path / "model")


def test_a_script_that_differs_is_not_written(tmp_path, monkeypatch):
    state = torch_out.state
    monkeypatch.setattr(torch_out, "state", lambda *a: {k: v + v.dtype.type(1) for k, v in state(*a).items()})
    with pytest.raises(cr.ChainruleError, match=r"model\.py differs from the model by .*, so it was not written"):
        cr.export(KINDS["linear"](), "torch", tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


class Own(nn.Module):
    def forward(self, x):
        return x


TAKES = (
    "from_torch takes Linear, ReLU, LeakyReLU, Tanh, Sigmoid, GELU, SiLU, SELU, Mish, Dropout, BatchNorm1d, LayerNorm, "
    "Flatten, and Sequential of these"
)


def hooked():
    layer = nn.Linear(4, 4)
    layer.register_forward_hook(lambda *_: None)
    return layer


def nonfinite():
    layer = nn.Linear(4, 4)
    nn.init.constant_(layer.weight, float("nan"))
    return layer


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Softmax(dim=1), f"module 1 (Softmax) has no equal here: leave it out: the loss has it. {TAKES}"),
        (Own(), f"module 1 (Own) has no equal here: write it in terms of those, or as an own Layer here. {TAKES}"),
        (nn.PReLU(), f"module 1 (PReLU) has no equal here: use LeakyReLU. {TAKES}"),
        (
            nn.Sequential(nn.ReLU(), nn.ELU()),
            f"module 1.1 (ELU) has no equal here: use SELU. {TAKES}",
        ),
        (
            nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
            "module 1 (ParametrizedLinear) has no equal here: write it in terms of those, or as an own Layer here. "
            + TAKES,
        ),
        (hooked(), "module 1 has forward hooks, which cannot be taken; remove them first"),
        (nonfinite(), "module 1 (Linear): its weight holds numbers that are not finite; train it again"),
        (nn.Sigmoid(), "module 1 (Sigmoid) is applied by the loss as well; leave the last Sigmoid out"),
    ],
)
def test_what_has_no_equal_is_refused_by_name(module, message):
    with pytest.raises(cr.ConfigError) as caught:
        cr.from_torch(nn.Sequential(nn.Linear(3, 4), module))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("module", "advice"),
    [
        (nn.BatchNorm1d(4, momentum=None), "give it affine=True, track_running_stats=True and a momentum"),
        (nn.BatchNorm1d(4, track_running_stats=False), "give it affine=True, track_running_stats=True and a momentum"),
        (nn.BatchNorm1d(4, affine=False), "give it affine=True, track_running_stats=True and a momentum"),
        (nn.LayerNorm(4, bias=False), "let it normalise one axis, with elementwise_affine=True and a bias"),
        (nn.LayerNorm((2, 2)), "let it normalise one axis, with elementwise_affine=True and a bias"),
        (nn.Flatten(0), "let it flatten from axis 1 to the last"),
        (nn.Dropout(1.0), "give it p below 1"),
    ],
)
def test_options_without_an_equal_are_refused_with_advice(module, advice):
    with pytest.raises(cr.ConfigError) as caught:
        cr.from_torch(nn.Sequential(nn.Linear(3, 4), module))
    kind = type(module).__name__
    assert str(caught.value).startswith(f"module 1 ({kind}) has no equal with these options, {module}: {advice}. ")


def test_a_module_alone_without_widths_or_for_other_data_is_refused():
    with pytest.raises(cr.ConfigError, match="the module has no layer with a width; from_torch takes Linear"):
        cr.from_torch(nn.Sequential(nn.ReLU()))
    with pytest.raises(
        cr.ConfigError, match=r"^module is 3; expected an nn.Module, such as nn.Sequential\(nn.Linear\(64"
    ):
        cr.from_torch(3)
    with pytest.raises(cr.ConfigError, match=r"^Conv1d has no equal here"):
        cr.from_torch(nn.Conv1d(1, 1, 1))
    with pytest.raises(cr.ConfigError) as caught:
        cr.from_torch(nn.Linear(63, 10), DIGITS)
    assert str(caught.value) == "the module is of width 63 to 10; the data have 64 features and 10 outputs"


def test_a_module_that_stands_twice_is_taken_twice_and_shared_arrays_are_refused():
    relu, square = nn.ReLU(), nn.Linear(5, 5)
    twice = nn.Sequential(nn.Linear(3, 5), relu, nn.Linear(5, 5), relu, nn.Linear(5, 2))
    model, X = cr.from_torch(twice), np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
    assert [layer.kind for layer in model.network.layers] == ["linear", "relu", "linear", "relu", "linear"]
    np.testing.assert_allclose(model.logits(X), twice(torch.from_numpy(X)).detach().numpy(), atol=1e-6)
    with pytest.raises(cr.ConfigError) as caught:
        cr.from_torch(nn.Sequential(nn.Linear(3, 5), square, relu, square, nn.Linear(5, 2)))
    assert str(caught.value) == "3.weight is the same array as 1.weight, which no layer here can be; copy it first"


def test_a_module_trained_there_goes_on_here_as_it_would_there():
    """Full batches, SGD with momentum, float64: five steps in torch, five more in both."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 12), nn.LayerNorm(12), nn.GELU(),
        nn.Linear(12, 10),
    ).double()  # fmt: skip
    train = cr.split(DIGITS, cr.Split())["train"]
    X, y = (torch.from_numpy(a) for a in ((DIGITS.X[train].astype(float) - 8) / 4, DIGITS.y[train]))

    def steps(n: int) -> None:
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        for _ in range(n):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(X.reshape(-1, 1, 8, 8)), y).backward()
            optimizer.step()

    steps(5)
    start = cr.from_torch(module, DIGITS, shift=8, scale=0.25)
    assert start.row_shape == DIGITS.row_shape
    run = cr.train(start.network, DIGITS, start=start, optimizer=cr.SGD(0.1), compute=FLOAT64,
                   training=cr.Training(iterations=5, batch_size=len(train)))  # fmt: skip
    steps(5)
    expected = cr.from_torch(module, DIGITS, shift=8, scale=0.25)
    for name, value in expected.parameters.items():
        np.testing.assert_allclose(run.model.parameters[name], value, rtol=1e-9, atol=1e-11)


def test_half_precision_comes_as_float32_and_columns_have_their_own_scale():
    model = cr.from_torch(nn.Linear(2, 3).to(torch.bfloat16), target_names=("a", "b", "c"), shift=[1, 2], scale=[3, 4])
    assert {value.dtype for value in model.parameters.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(model.preprocessing([[2, 3]]), [[3, 4]])
    with pytest.raises(cr.ConfigError) as caught:
        cr.from_torch(nn.Linear(2, 3), shift=[1, 2, 3])
    assert str(caught.value) == (
        "shift and scale have shapes (3,) and (); expected numbers or arrays (2,), every scale above 0"
    )


def test_a_module_of_members_is_refused_by_name_on_its_way_back():
    with pytest.raises(cr.ConfigError, match=r"^module 1 \(MemberLinear\) has no equal here: "):
        cr.from_torch(cr.to_torch(KINDS["members"]()))
