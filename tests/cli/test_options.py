"""Unknown options that are options of the configuration: how to set them is said."""

import pytest

from chainrule.cli.options import USUAL, meant, settings_for
from chainrule.spec import paths
from chainrule.study.config import Tables
from chainrule.training import Config
from chainrule.training.config import load
from command import chainrule


def said(*arguments):
    """The message in its frame, in one line."""
    done = chainrule(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    return " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "digits", "--epochs", "3"], "--epochs. It belongs to the configuration: --set training.epochs=3 "),
        (["check", "--batch-size=16"], "--batch-size. It belongs to the configuration: --set training.batch_size=16 "),
        (
            ["study", "s.toml", "--epochs", "3"],
            "--epochs. It belongs to the configuration: --set search.epochs=3, or --set train.training.epochs=3 ",
        ),
        (["train", "--epoch=3"], "--epoch. It belongs to the configuration: --set training.epochs=3 "),
        (
            ["train", "--learning-rate", "0.1"],
            "--learning-rate. It belongs to the configuration: --set optimizer.lr=0.1 ",
        ),
        (["train", "--sed", "3"], "--sed (Possible options: --seed, --seeds, --set) "),
        (["train", "--unknown"], "--unknown ╰"),
        (["evaluate", "run", "--epochs", "3"], "--epochs ╰"),
    ],
)
def test_the_message_says_how_to_set_it(arguments, message):
    assert f"No such option: {message}" in said(*arguments)


@pytest.mark.parametrize(
    ("option", "given", "settings"),
    [
        ("--lr", ["--lr"], ["optimizer.lr=..."]),
        ("--lr", ["--lr", "--quiet"], ["optimizer.lr=..."]),
        ("--tolerance", ["--tolerance", "-1e-3"], ["evaluation.tolerance=-1e-3"]),
        ("--tolerance", ["--tolerance", "-.5"], ["evaluation.tolerance=-.5"]),
        ("--lr", ["--lr=", "3"], ["optimizer.lr="]),
        ("--optimizer", ["--optimizer", "sgd"], ["optimizer.kind=sgd"]),
        ("--init", ["--init", "he"], ["network.init=he"]),
        ("--split.test", ["--split.test", "0.2"], ["data.split.test=0.2"]),
        ("--hidden", ["--hidden", "200,100"], ["'network.hidden=[200,100]'"]),
        ("--hidden", ["--hidden", "[9]"], ["'network.hidden=[9]'"]),
        ("--metrics", ["--metrics=r2"], ["'evaluation.metrics=[\"r2\"]'"]),
        ("--layers", ["--layers", "relu"], ["network.layers=..."]),
        ("--monitor", ["--monitor", "a b"], ["'evaluation.monitor=a b'"]),
        ("--keep", ["--keep", "2"], ["evaluation.keep=2", "checkpoint.keep=2"]),
        ("--kind", ["--kind", "x"], ["loss.kind=x", "optimizer.kind=x", "schedule.kind=x"]),
        ("--training", ["--training", "3"], []),
        ("--rate", ["--rate", "3"], []),
        ("-e", ["-e", "3"], []),
    ],
)
def test_the_setting_has_the_value_as_it_is_written(option, given, settings):
    assert settings_for(option, given, Config) == [f"--set {one}" for one in settings]


def test_every_option_of_the_configuration_is_found_by_its_name():
    for path in paths(Config):
        *_, name = path.split(".")
        found = settings_for(f"--{name.replace('_', '-')}", [], Config)
        assert f"--set {path}=..." in found or len(found) == 3, path
    assert {f"train.{path}" for path in paths(Config)} < set(paths(Tables))


def test_what_it_is_called_elsewhere_and_what_is_nearly_right_is_found():
    names = {path.rpartition(".")[2] for path in paths(Config)}
    assert set(USUAL.values()) < names
    assert not set(USUAL) & names
    assert [meant(f"--{name}", Config) for name in ("l2", "max-epochs", "weight_deacy", "droput")] == [
        "penalty", "epochs", "weight_decay", "dropout"]  # fmt: skip
    assert [meant(f"--{name}", Config) for name in ("gpu", "verbose", "rate", "x", "")] == [None] * 5
    for name in names:
        assert meant(f"--{name}", Config) == name


def test_what_is_said_works():
    assert load(None, ["training.epochs=3", "network.hidden=[200,100]"]).network.hidden == (200, 100)
    assert load(None, ['evaluation.metrics=["r2"]', "optimizer.kind=sgd"]).evaluation.metrics == ("r2",)
