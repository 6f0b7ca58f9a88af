"""Specifications: strict, frozen, the same from Python and from plain tables, with every problem named at once."""

import pytest

import chainrule as cr
from chainrule.spec import from_plain, to_plain
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
    assert lines[6] == "layers.4: no 'kind' is given, got {'width': 1}"
    assert lines[7] == "layers.5.init.sdt: unknown option (did you mean 'std'?)"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cr.Linear("3"), "Linear: width: should be a valid integer, got '3'"),
        (lambda: cr.Linear(True), "Linear: width: should be a valid integer, got True"),
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
        (lambda: cr.Compute(device="gpu"), "Compute: device: "),
    ],
)
def test_python_gets_the_same_messages(make, message):
    with pytest.raises(cr.ConfigError) as caught:
        make()
    assert str(caught.value).startswith(message)


class Own(cr.Layer):
    def forward(self, parameters, x, context):
        return x, lambda dy: (dy, {})


def test_an_own_layer_is_welcome_in_python_and_unknown_in_files():
    assert isinstance(cr.Residual((Own(),)).body[0], Own)
    with pytest.raises(cr.ConfigError, match="unknown kind 'Own'"):
        from_plain(NetworkOptions, {"layers": [{"kind": "Own"}]})
