"""The configuration: TOML, `--set`, defaults, and refusals that name every problem."""

import pytest
import tomli_w

import chainrule as cr
from chainrule.spec import from_plain, json_schema, to_plain
from chainrule.training import load
from chainrule.training.config import NetworkOptions, set_option


def test_set_reads_toml_values_and_plain_texts():
    plain = {"optimizer": {"kind": "sgd"}}
    for change in ("optimizer.lr=3e-4", "network.hidden=[2, 3]", "data.source=digits", "data.path=/a=b", "x.y.z=true"):
        set_option(plain, change)
    assert plain == {
        "optimizer": {"kind": "sgd", "lr": 3e-4},
        "network": {"hidden": [2, 3]},
        "data": {"source": "digits", "path": "/a=b"},
        "x": {"y": {"z": True}},
    }


@pytest.mark.parametrize("change", ["optimizer.lr", "=3", "a.=3"])
def test_set_without_key_or_value_is_refused(change):
    with pytest.raises(cr.ConfigError, match="expected KEY=VALUE with a dotted key"):
        set_option({}, change)


def test_the_written_configuration_reads_back_equal(tmp_path):
    config = load(
        changes=[
            "network.hidden=[20, 10]", "network.dropout=[0.4, 0]", "network.norm=['none', 'batch']",
            "network.init={kind='normal', std=1e-3}", "optimizer={kind='rmsprop', momentum=0.5}",
            "schedule={kind='one_cycle', rise=0.2}", "loss={kind='softmax_cross_entropy', label_smoothing=0.1}",
            "data.split.validation=0.25", "data.split.test=100", "training.clip_norm=1",
            "evaluation.metrics=['f1_macro']",
        ]
    )  # fmt: skip
    path = tmp_path / "config.toml"
    path.write_text(tomli_w.dumps(to_plain(config)), encoding="utf-8")
    assert load(path) == config


def test_an_optimizer_without_a_kind_is_adams():
    assert load(changes=["optimizer.lr=0.5"]).optimizer == cr.Adam(0.5)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (["training.epochs=3", "training.iterations=4"], "training: training.epochs 3 and training.iterations 4:"),
        (["network.hidden=[3]", "network.layers=[{kind='relu'}]"], "network.layers lists every layer, so"),
        (["network.dropout='much'"], "network.dropout: should be a number or a list, got 'much'"),
        (["network.dropout=[0.1, 2]"], "network.dropout.1: should be less than 1, got 2"),
        (["network.layers=[{kind='residual', body=[]}]"], "network.layers.0: a residual block with an empty body"),
        (["network.layers=[{width=3}]"], "network.layers.0: no 'kind' is given, got {'width': 3}; the kinds are"),
        (["optimizer={kind='sgd', nesterov=true}"], "optimizer: nesterov = true with momentum 0 would do nothing"),
        (["optimizer.lr=inf"], "optimizer.lr: should be a finite number, got inf"),
        (["optimizer.lr=nan"], "optimizer.lr: should be"),
        (["schedule={kind='cosin'}"], "schedule: unknown kind 'cosin' (did you mean 'cosine'?)"),
        (["optimizer={kind=[1]}"], "optimizer: unknown kind '[1]'; the kinds are"),
        (["training.seed=true"], "training.seed: should be a whole number, got True"),
        (["training.batch_sise=4"], "training.batch_sise: unknown option (did you mean 'batch_size'?)"),
        (["evaluation.every_epochs=1", "evaluation.every_steps=1"], "evaluation.every_epochs and evaluation.every"),
    ],
)  # fmt: skip
def test_a_problem_is_named_by_its_path(changes, problem):
    with pytest.raises(cr.ConfigError) as caught:
        load(changes=changes)
    lines = str(caught.value).splitlines()
    assert lines[0] == "The configuration has 1 problem:"
    assert lines[1].strip().startswith(problem) or problem in lines[1]


def test_a_mark_of_the_byte_order_is_no_part_of_the_file(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("[training]\nepochs = 3\n", encoding="utf-8-sig")
    assert load(path).training.epochs == 3


@pytest.mark.parametrize(("text", "message"), [("a = ", "is not TOML"), ("\xff", "cannot be read")])
def test_files_that_are_no_toml_are_refused(tmp_path, text, message):
    path = tmp_path / "c.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(cr.ConfigError, match=message):
        load(path)


def test_the_common_form_and_the_explicit_list_build_the_same_network():
    explicit = NetworkOptions(layers=cr.mlp([7, 5], dropout=[0.4, 0], norm=[None, "batch"]).layers)
    short = NetworkOptions(hidden=(7, 5), dropout=(0.4, 0.0), norm=("none", "batch"))
    assert explicit.build() == short.build()


def test_the_schema_describes_every_section():
    assert set(json_schema(cr.Config)["properties"]) == {
        "data", "network", "loss", "optimizer", "schedule", "training", "evaluation", "compute", "checkpoint",
        "start",
    }  # fmt: skip


def test_configurations_are_frozen():
    with pytest.raises(AttributeError):
        cr.Config().training.seed = 3
    assert from_plain(cr.Config, {}) == cr.Config()
