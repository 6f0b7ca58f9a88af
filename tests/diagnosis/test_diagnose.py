"""The whole diagnosis: silent on healthy runs, the same on both backends, robust, and readable."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

import chainrule as cr
from chainrule.diagnosis.diagnose import diagnose
from chainrule.diagnosis.finding import Finding, plain, several, text
from chainrule.training import load
from chainrule.training.plan import plan
from chainrule.training.step import State, resident, start
from diagnosis.trained import NUMPY, classes, numbers, trained, trained_config

EXAMPLES = Path(__file__).parents[2] / "examples"
DIGITS = cr.read("digits")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 6))


def test_the_digits_example_is_silent_from_the_first_row_to_the_end():
    run = trained_config(load(EXAMPLES / "digits.toml", ["evaluation.every_epochs=2"]), DIGITS, watch=True)
    assert (run.early, run.final) == ((), ())


@pytest.mark.real_data
def test_the_fashion_mnist_example_has_no_problem(fashion_mnist):
    """Its network and rates for one epoch, looked at early and often."""
    changes = ["training.epochs=1", "evaluation.every_steps=25", "evaluation.train_rows=1000",
               "data.split.validation=1000"]  # fmt: skip
    data = cr.read("fashion-mnist", path=fashion_mnist)
    run = trained_config(load(EXAMPLES / "fashion-mnist.toml", changes), data, watch=True)
    assert run.problems() == []


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu", "selu"])
def test_usual_networks_have_no_problem(activation, norm):
    run = trained(DIGITS, f"network.activation='{activation}'", f"network.norm='{norm}'", "network.hidden=[64,64]",
                  "training.epochs=12", watch=True)  # fmt: skip
    assert run.problems() == []


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("optimizer", ["{kind='sgd',lr=0.1}", "{kind='sgd',lr=0.05,momentum=0.9}", "{kind='adam',lr=3e-3}",
                                       "{kind='adamw'}", "{kind='rmsprop'}"])  # fmt: skip
def test_usual_optimizers_have_no_problem(optimizer, dropout):
    run = trained(DIGITS, f"optimizer={optimizer}", f"network.dropout={dropout}", "network.hidden=[100,50]",
                  "training.epochs=15", watch=True)  # fmt: skip
    assert run.problems() == []


@pytest.mark.parametrize("changes", [["network.hidden=[32]"], ["optimizer={kind='sgd',lr=0.05}", "network.hidden=[]"],
                                     ["loss={kind='huber'}"]])  # fmt: skip
def test_a_small_table_of_numbers_has_no_problem(changes):
    table = load_diabetes()
    run = trained(numbers(table.data, table.target), "training.epochs=60", *changes, watch=True)
    assert run.problems() == []


def test_counts_and_several_labels_have_no_problem():
    counts = numbers(X, RNG.poisson(np.exp(0.5 * X[:, 0])))
    assert trained(counts, "loss={kind='poisson'}", "training.epochs=40", watch=True).problems() == []
    labels = cr.Dataset("labels", X, (X[:, :3] > 0).astype(np.int64), "multilabel", ("a", "b", "c"))
    assert trained(labels, "training.epochs=40", watch=True).problems() == []


def test_both_backends_find_the_same():
    found = [
        trained(DIGITS, "network.hidden=[50,50]", "network.init={kind='normal',std=1e-3}", "training.epochs=3",
                f"compute.backend='{name}'", "compute.precision='float64'").final
        for name in ("numpy", "torch")
    ]  # fmt: skip
    assert found[0] == found[1]
    assert found[0]


def at(run, parameters, step=0, history=()):
    with run.backend.scope():
        state = start(run)
        return diagnose(run, resident(run), State(state.parameters | parameters, state.slots), step, history)


def decided(*changes, network=None, data=DIGITS):
    config = load(None, [*NUMPY, *changes])
    return plan(config, data, network or config.network.build())


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_named(backend, value):
    run = decided(f"compute.backend='{backend}'", "network.norm='batch'")
    W = np.zeros((64, 100))
    W[3, 4] = value
    history = [{"step": 1, "train_loss": value, "batch_loss": value, "validation_loss": value,
                "train_accuracy": 0.1, "validation_accuracy": 0.1, "gradient_norm": value}]  # fmt: skip
    found = at(run, run.backend.parameters({"0.W": W}), run.n_steps, history)
    broken = next(one for one in found if one.name == "not-finite")
    assert broken.where == "layer 0 (Linear)"
    assert "the parameters 0.W; outputs of layer 0 (Linear), layer 1 (BatchNorm)" in broken.measured
    json.dumps(plain(found), allow_nan=False)


def test_finite_weights_can_have_outputs_that_are_not():
    run = decided()
    found = at(run, run.backend.parameters({"0.W": np.full((64, 100), 1e38)}))
    assert found[0].name == "not-finite"
    assert "the parameters" not in found[0].measured


class Double(cr.Layer):
    """Brings no pullback: torch derives it."""

    def forward(self, parameters, x, context):
        return 2 * x


class Stateful(cr.Layer):
    """Brings statistics and a parameter of its own."""

    def parameters(self, n_in):
        return {"g": cr.Parameter((n_in,), "norm", 1.0), "r": cr.Parameter((n_in,), "running", 0.0)}

    def forward(self, parameters, x, context):
        g = parameters["g"]
        return g * x, lambda dy: (dy * g, {"g": context.xp.sum(dy * x, axis=-2)}), {"r": parameters["r"] + 1}


@pytest.mark.parametrize("own", [Double(), Stateful()])
def test_own_layers_also_inside_blocks_are_passed_through(own):
    block = cr.Residual((cr.BatchNorm(), own, cr.Residual((cr.Linear(32), cr.ReLU(), cr.Dropout(0.1), cr.Linear(32)))))
    network = cr.Network((cr.Dropout(0.1), cr.Linear(32), own, block, cr.ReLU(), cr.Linear()))
    run = trained(
        DIGITS,
        "compute.backend='torch'",
        "compute.precision='float32'",
        "training.epochs=3",
        network=network,
        watch=True,
    )
    assert run.problems() == []


def test_nothing_is_changed_and_the_end_may_be_asked_for():
    run = decided("network.norm='batch'", "training.iterations=5")
    with run.backend.scope():
        data, state = resident(run), start(run)
        before = {name: value.copy() for name, value in state.parameters.items()}
        first = diagnose(run, data, state, run.n_steps, [])
        assert first == diagnose(run, data, state, run.n_steps, [], state, 1.0)
    for name, value in before.items():
        np.testing.assert_array_equal(state.parameters[name], value)


@pytest.mark.parametrize(
    ("data", "changes"),
    [
        (classes(X[:12], X[:12, 0] > 0), ["data.split.validation=0", "training.batch_size=2"]),
        (classes(X, X[:, 0] > 0, weight=RNG.random(500)), ["network.hidden=[]"]),
        (numbers(X[:9], X[:9, :2]), ["evaluation.train_rows=2"]),
        (classes(np.ones((50, 1)), RNG.random(50) < 0.5), []),
        (classes(X.astype(np.float16), X[:, 0] > 0), ["compute.backend='torch'", "compute.precision='bfloat16'"]),
        (classes((X > 0).astype(np.uint8), X[:, 0] > 0), ["data.preprocessing='none'", "network.layers=[{kind='linear'}]"]),
    ],
)  # fmt: skip
def test_odd_data_and_networks_are_survived(data, changes):
    run = trained(data, "training.epochs=3", *changes, watch=True)
    json.dumps(plain(run.final), allow_nan=False)


LONG = Finding("dead-units", "layer 1 (ReLU)", "word " * 40, "b", "c", "problem")


def test_text_is_wrapped_and_aligned():
    lines = text([LONG, LONG._replace(severity="hint", where="")], width=60).splitlines()
    assert lines[0] == "problem: dead-units, layer 1 (ReLU)"
    assert max(map(len, lines)) <= 60
    assert lines[1].startswith("  measured  word word")
    assert lines[2].startswith("            word")
    assert "hint: dead-units" in lines
    assert text([]) == "nothing found that looks unhealthy"
    assert several(["a", "b", "c"], most=2) == "a, b and 1 more"


def test_problems_come_before_hints():
    run = trained(classes(X * [1e5, 1, 1, 1, 1, 1], X[:, 1] > 1.7), "data.preprocessing='none'", "training.epochs=3")
    severities = [found.severity for found in run.final]
    assert severities == sorted(severities, key=lambda s: s != "problem")
    assert set(severities) == {"problem", "hint"}


def test_every_key_that_a_message_names_exists():
    """Messages name options as section.key; an option that is renamed must not be forgotten there."""
    config = load()
    options = {
        "data.split": config.data.split,
        **{
            name: getattr(config, name)
            for name in ("data", "network", "training", "evaluation", "optimizer", "schedule")
        },
    }
    named = set()
    for path in Path(cr.__file__).parent.joinpath("diagnosis").glob("*.py"):
        texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        for words in (value for value in texts if isinstance(value, str)):
            named |= set(re.findall(rf"\b({'|'.join(map(re.escape, options))})\.([a-z_]+)", words))
    named -= {("data", "split")}
    assert len(named) > 20
    assert {(section, key) for section, key in named if not hasattr(options[section], key)} == set()
