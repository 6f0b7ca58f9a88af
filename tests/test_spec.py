"""Specifications: strict, frozen, the same from Python and from plain tables, with every problem named at once."""

import json
import re
import tomllib

import numpy as np
import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.spec import from_plain, json_schema, to_plain
from chainrule.training.config import NetworkOptions

SPECS = [
    cr.Linear(3, init=cr.Init("normal", std=0.1), bias=False), cr.Linear(), cr.ReLU(), cr.LeakyReLU(0.2), cr.Tanh(),
    cr.Sigmoid(), cr.GELU("tanh"), cr.SiLU(), cr.SELU(), cr.Mish(), cr.Dropout(0.3), cr.BatchNorm(0.2, 1e-3),
    cr.LayerNorm(), cr.Residual((cr.Linear(4), cr.Residual((cr.ReLU(),)))),
    cr.SoftmaxCrossEntropy(0.1), cr.SigmoidCrossEntropy(), cr.SquaredError(), cr.Huber(2.0), cr.Poisson(),
    cr.SGD(0.1, momentum=0.9, nesterov=True), cr.Adam(), cr.AdamW(weight_decay=0.3), cr.RMSprop(momentum=0.5),
    cr.Constant(warm_up=2), cr.Exponential(0.9, early=True), cr.Step(3), cr.Cosine(0.1), cr.OneCycle(0.2),
    cr.Split(test=100, validation=0.25, order="file"), cr.Compute(backend="numpy"), cr.Training(epochs=3),
    cr.Evaluation(metrics=("f1_macro",)), cr.Config(),
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_plain_tables_and_back(spec):
    assert from_plain(type(spec), to_plain(spec)) == spec
    assert hash(spec) == hash(from_plain(type(spec), to_plain(spec)))


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_frozen(spec):
    with pytest.raises(AttributeError):
        spec.kind = "other"


def test_every_problem_at_once_each_with_its_path():
    plain = {
        "layers": [
            {"kind": "linear", "widht": 3},
            {"kind": "relo"},
            {"kind": "residual", "body": [{"kind": "dropout", "rate": 2}]},
            {"kind": "linear", "init": {"kind": "normal"}},
            {"width": 1},
            {"kind": "linear", "init": {"kind": "normal", "sdt": 2}},
            7,
        ],
        "activation": "sine",
    }
    with pytest.raises(cr.ConfigError) as caught:
        from_plain(NetworkOptions, plain)
    lines = [line.strip() for line in str(caught.value).splitlines()]
    assert lines[0] == "The configuration has 8 problems:"
    assert lines[1] == (
        "activation: should be 'relu', 'leaky_relu', 'tanh', 'sigmoid', 'gelu', 'silu', 'selu' or 'mish', got 'sine'"
    )
    assert lines[2] == "layers.0.widht: unknown option (did you mean 'width'?)"
    assert lines[3].startswith("layers.1: unknown kind 'relo' (did you mean 'relu'?); the kinds are 'linear', 'relu', ")
    assert lines[4] == "layers.2.body.0.rate: should be less than 1, got 2"
    assert lines[5].startswith("layers.3.init: init kind 'normal' with std None: kind 'normal' needs a std")
    assert lines[6].startswith("layers.4: no 'kind' is given, got {'width': 1}; the kinds are 'batch_norm', ")
    assert lines[7] == "layers.5.init.sdt: unknown option (did you mean 'std'?)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.Linear("3"), "Linear: width: should be a whole number, got '3'"),
        (lambda: cr.Linear(True), "Linear: width: should be a whole number, got True"),
        (lambda: cr.Linear(3, biass=True), "Linear: biass: unknown option (did you mean 'bias'?)"),
        (lambda: cr.Dropout(float("nan")), "Dropout: rate: should be"),
        (lambda: cr.Init("he", std=0.1), "Init: init kind 'he' with std 0.1: kind 'normal' needs a std"),
        (lambda: cr.Residual(()), "Residual: a residual block with an empty body is y = 2x"),
        (lambda: cr.Residual([3]), "Residual: body.0: should be an instance of Layer, got 3"),
        (
            lambda: cr.SGD(nesterov=True),
            "SGD: nesterov = true with momentum 0 would do nothing; set a momentum such as 0.9",
        ),
        (lambda: cr.Adam(-1.0), "Adam: lr: should be greater than 0, got -1.0"),
        (
            lambda: cr.Compute(device="gpu"),
            "Compute: device: should be 'auto', 'cpu', 'cuda' or one of several such as 'cuda:1', got 'gpu'",
        ),
        (lambda: cr.Linear(3, "he", True, 7, 8), "Linear: got more than 3 values; it takes width, init, bias"),
        (lambda: cr.Residual(3), "Residual: body: should be a list, got 3"),
        (
            lambda: cr.Config(optimizer="adam"),
            "Config: optimizer: should be one of Adam, AdamW, RMSprop, SGD, or an Optimizer of your own, got 'adam'",
        ),
        (
            lambda: cr.Config(optimizer=cr.Adam),
            "Config: optimizer: should be an instance, such as Adam(), got the class Adam",
        ),
        (
            lambda: cr.Config(loss=OwnLoss, schedule=cr.Cosine),
            "Config: loss: should be an instance, such as OwnLoss(), got the class OwnLoss; schedule: should be an "
            "instance, such as Cosine(), got the class Cosine",
        ),
    ],
)
def test_python_gets_the_same_messages(make, message):
    with pytest.raises(cr.ConfigError) as caught:
        make()
    assert str(caught.value).startswith(message)


class OwnLoss(cr.Loss):
    pass


class Own(cr.Layer):
    def forward(self, parameters, x, context):
        return x, lambda dy: (dy, {})


def test_an_own_layer_is_welcome_in_python_and_unknown_in_files():
    assert isinstance(cr.Residual((Own(),)).body[0], Own)
    with pytest.raises(cr.ConfigError, match="unknown kind 'Own'"):
        from_plain(NetworkOptions, {"layers": [{"kind": "Own"}]})


fraction = st.floats(0, 0.99)
positive = st.floats(1e-12, 1e6)
factor = st.floats(1e-6, 1)
inits = st.one_of(
    st.sampled_from(["he", "glorot", "lecun", "orthogonal", "zeros"]),
    st.builds(cr.Init, st.sampled_from(["he", "glorot", "lecun"]), st.sampled_from(["normal", "uniform"])),
    st.builds(cr.Init, st.just("normal"), std=positive),
)
simple_layers = st.one_of(
    st.builds(cr.Linear, st.integers(1, 9), init=inits, bias=st.booleans()), st.just(cr.Linear()),
    *(st.just(cls()) for cls in (cr.ReLU, cr.Tanh, cr.Sigmoid, cr.SiLU, cr.SELU, cr.Mish)),
    st.builds(cr.GELU, st.sampled_from(["none", "tanh"])), st.builds(cr.LeakyReLU, fraction), st.builds(cr.Dropout, fraction),
    st.builds(cr.BatchNorm, factor, positive), st.builds(cr.LayerNorm, positive),
)  # fmt: skip
any_layers = st.recursive(
    simple_layers, lambda inner: st.lists(inner, min_size=1, max_size=3).map(cr.Residual), max_leaves=5
)
any_losses = st.one_of(
    st.builds(cr.SoftmaxCrossEntropy, fraction), st.builds(cr.Huber, positive),
    *(st.just(cls()) for cls in (cr.SigmoidCrossEntropy, cr.SquaredError, cr.Poisson)),
)  # fmt: skip
optimizers = st.one_of(
    st.builds(cr.SGD, positive, fraction), st.just(cr.SGD(0.1, 0.9, True)),
    st.builds(cr.Adam, positive, fraction, fraction, positive),
    st.builds(cr.AdamW, positive, positive, fraction, fraction, positive),
    st.builds(cr.RMSprop, positive, fraction, fraction, positive),
)  # fmt: skip
schedules = st.one_of(
    st.builds(cr.Constant, fraction), st.builds(cr.Exponential, factor, st.booleans(), fraction),
    st.builds(cr.Step, st.integers(1, 9), factor, fraction), st.builds(cr.Cosine, fraction, fraction),
    st.builds(cr.OneCycle, st.floats(0.01, 0.99), factor, fraction),
)  # fmt: skip
networks = st.one_of(
    st.builds(NetworkOptions, layers=st.lists(any_layers, min_size=1, max_size=4)),
    st.builds(NetworkOptions, hidden=st.lists(st.integers(1, 9)), dropout=st.one_of(fraction, st.lists(fraction)),
              norm=st.one_of(st.sampled_from(["batch", "none"]), st.just(["layer", "none"])), init=inits),
)  # fmt: skip
configs = st.builds(
    cr.Config, network=networks, loss=st.none() | any_losses, optimizer=optimizers, schedule=schedules,
    training=st.builds(cr.Training, epochs=st.integers(1, 9), penalty=fraction, seed=st.integers()),
    compute=st.builds(cr.Compute, st.sampled_from(["auto", "numpy", "torch"]), st.sampled_from(["cpu", "cuda", "cuda:1"]),
                      st.sampled_from(["auto", "float64", "float32", "bfloat16"]), st.none() | st.integers(1, 64)),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(configs)
def test_a_specification_comes_back_equal_from_json_and_from_toml(config):
    plain = to_plain(config)
    assert from_plain(cr.Config, json.loads(json.dumps(plain))) == config
    if abs(config.training.seed) < 2**63:  # TOML's integers are those of 64 bits
        assert from_plain(cr.Config, tomllib.loads(tomli_w.dumps(plain))) == config


@pytest.mark.parametrize(("plain", "problem"), [
    ({"q": 1}, "q: unknown option; known here: checkpoint, compute, data, evaluation, loss, network, optimizer, schedule, start, training"),
    ({"loss": {"kind": "squared_error", "delta": 1}}, "loss.delta: unknown option; there are no options here"),
    ({"network": {"dropout": {}}}, "network.dropout: should be a number or a list, got {}"),
    ({"network": {"init": 1}}, "network.init: should be a text or a table, got 1"),
    ({"network": {"init": {"kind": "he", "st": 1}}}, "network.init.st: unknown option (did you mean 'std'?)"),
    ({"data": {"image_size": [3]}}, "data.image_size.1: missing; the list is too short"),
    ({"data": {"image_size": [3, 3, 3]}}, "data.image_size: should have at most 2 values, got [3, 3, 3]"),
    ({"start": {}}, "start.model: missing; it has no default"),
    ({"epochs": 3}, "epochs: unknown option (did you mean 'training.epochs'?)"),
    ({"lr": 3}, "lr: unknown option (did you mean 'optimizer.lr'?)"),
    ({"data": {"mixup": 1.0}}, "data.mixup: unknown option (did you mean 'data.augment.mixup'?)"),
    ({"network": {"hidden": 100}}, "network.hidden: should be a list such as [100], got 100"),
    ({"network": {"hidden": "200,100"}}, "network.hidden: should be a list such as [200,100], got '200,100'"),
    ({"network": {"hidden": "(32, 16)"}}, "network.hidden: should be a list such as [32, 16], got '(32, 16)'"),
    ({"network": {"hidden": "[32"}}, "network.hidden: should be a list such as [32], got '[32'"),
    ({"network": {"hidden": "wide"}}, "network.hidden: should be a list, got 'wide'"),
    ({"network": {"hidden": True}}, "network.hidden: should be a list, got True"),
    ({"network": {"layers": "relu"}}, "network.layers: should be a list, got 'relu'"),
    ({"network": {"layers": ["relu"]}}, "network.layers.0: should be a table such as { kind = 'relu' }, got 'relu'"),
    ({"evaluation": {"metrics": "loss"}}, "evaluation.metrics: should be a list such as ['loss'], got 'loss'"),
    ({"data": {"categorical": "[zip]"}},
     "data.categorical: should be a list with its words in quotes, --set 'data.categorical=[\"zip\"]', got '[zip]'"),
    ({"data": {"categorical": "[zip,'a b'"}},
     "data.categorical: should be a list with its words in quotes, --set 'data.categorical=[\"zip\", \"a b\"]', got "
     "\"[zip,'a b'\""),
    ({"data": {"categorical": "["}}, "data.categorical: should be a list, got '['"),
    ({"optimizer": 3}, "optimizer: should be a table such as { kind = 'adam' }, got 3"),
    ({"data": {"augment": []}}, "data.augment: should be a table of cutout, flip, mixup, shift, got []"),
    ({"data": {"augment": {"flip": 1}}}, "data.augment.flip: should be true or false, got 1"),
    ({"training": {"penalty": "0"}}, "training.penalty: should be a number, got '0'"),
    ({"data": {"source": "x", "path": list(range(100))}},
     "data.path: should be a text, got " + repr(list(range(100)))[:77] + "..."),
])  # fmt: skip
def test_one_problem_is_written_in_one_line(plain, problem):
    with pytest.raises(
        cr.ConfigError, match=f"^{re.escape('The configuration has 1 problem:' + chr(10) + '  ' + problem)}$"
    ):
        from_plain(cr.Config, plain)


def test_an_own_layer_is_welcome_anywhere_in_a_network():
    options = NetworkOptions(layers=(cr.Linear(3), Own(), cr.Residual([Own()]), cr.Linear()))
    assert options.build().sized(2, 4).widths == (2, 3, 3, 3, 4)


def test_a_number_of_numpy_is_a_plain_one_afterwards():
    """np.float64 would widen every float32 array it meets."""
    assert type(cr.SGD(np.float64(0.1)).lr) is float
    assert type(cr.LeakyReLU(np.float64(0.1)).slope) is float


def test_the_schema_names_every_table_and_refuses_others():
    schema = json_schema(cr.Config)
    assert set(schema["properties"]) == {
        "data", "network", "loss", "optimizer", "schedule", "training", "evaluation", "compute", "checkpoint", "start",
    }  # fmt: skip
    assert all(
        node.get("additionalProperties") is False for node in schema["$defs"].values() if node["type"] == "object"
    )
    json.dumps(schema)
