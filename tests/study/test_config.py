"""STUDY.toml is refused before anything runs, with every problem named."""

import pytest

from chainrule.errors import ConfigError
from chainrule.study.conduct import run_study
from chainrule.study.config import load_study, study

SMALL = {"train": {"training": {"epochs": 1}}, "space": {"optimizer.lr": [1e-3, 1e-2]}, "search": {"sampler": "grid"}}


def changed(**tables):
    return study(SMALL | tables, "small")


def test_a_file_with_a_base_and_changes(tmp_path):
    (tmp_path / "base.toml").write_text("[training]\nepochs = 3\nbatch_size = 16\n[optimizer]\nlr = 0.5\n")
    path = tmp_path / "one.toml"
    path.write_text('base = "base.toml"\n[train.training]\nepochs = 7\n[space]\n"network.hidden" = [[3], [4]]\n')
    made = load_study(path, ["search.sampler=grid", "search.metric=validation_accuracy"])
    assert made.train["training"] == {"epochs": 7, "batch_size": 16}
    assert made.config({"network.hidden": [3]}).optimizer.lr == 0.5
    assert (made.name, made.metric, made.maximise) == ("one", "validation_accuracy", True)


def test_a_studys_own_record_is_a_study_of_its_name(tmp_path):
    made, record = run_study(changed(finalists={"n": 0}), tmp_path / "out").study, tmp_path / "out" / "study.toml"
    again = load_study(record)
    assert (again.name, again.train, again.space, again.metric) == ("small", made.train, made.space, made.metric)
    assert again.options == made.options
    written = record.read_bytes()
    resumed = run_study(again, tmp_path / "out", resume=True)
    assert (len(resumed.trials), resumed.search, record.read_bytes()) == (2, 0, written)


@pytest.mark.parametrize("name", ["3", "true", '""', '".."', '"a/b"'])
def test_a_name_that_no_folder_can_have_is_refused(name, tmp_path):
    (tmp_path / "one.toml").write_text(f'name = {name}\n[space]\n"network.hidden" = [[3], [4]]\n')
    with pytest.raises(
        ConfigError, match=r"^name is .*; expected one that a folder can have, in quotes, or none: that of the"
    ):
        load_study(tmp_path / "one.toml")


def test_the_metric_is_what_the_training_monitors():
    assert (changed().metric, changed().maximise) == ("validation_loss", False)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"space": {"network.hiden": [[3]]}}, "network.hiden: unknown option (did you mean 'hidden'?) (with network.hiden = [3])"),
        ({"space": {"optimizer.lr": ["fast"]}}, "optimizer.lr: should be a number, got 'fast'"),
        ({"space": {"training.batch_size": [0]}}, "training.batch_size: should be greater than 0, got 0"),
        ({"space": {"network.dropout": {"low": 0.0, "high": 1.0}}, "search": {"trials": 3}}, "should be less than 1"),
        ({"space": {"data.split.test": [0.1, 0.2]}},
         "space.'data.split.test': candidates would be judged on different rows; set train.data.split.test for all"),
        ({"space": {"data.source": ["digits"]}}, "space.'data.source': candidates would be judged on different rows"),
        ({"space": [1]}, "space is [1]; expected a table, [space]"),
        ({"train": 3}, "train is 3; expected a table, [train]"),
        ({"spaces": {}}, "'spaces' is no table of a study; expected base, train, space, finalists, pruning, search"),
        ({"search": {"sampler": "tpe"}}, "sampler 'tpe' never ends by itself: give search.trials, .seconds or .epochs"),
        ({"search": {"sampler": "gird"}}, "search.sampler: should be 'grid', 'random', 'quasi-random' or 'tpe', got 'gird'"),
        ({"search": {"sampler": "grid", "metric": "accuracy"}}, "search.metric 'accuracy': expected a column of the history"),
        ({"train": {"training": {"epoch": 1}}}, "\n  train.training.epoch: unknown option (did you mean 'epochs'?)"),
        ({"train": {"evaluation": {"monitor": "accuracy"}}},
         "train.evaluation.monitor 'accuracy': expected a column of the history"),
        ({"train": {"epochs": 1}}, "\n  train.epochs: unknown option (did you mean 'train.training.epochs'?)"),
        ({"train": {"lr": 1}}, "\n  train.lr: unknown option (did you mean 'train.optimizer.lr'?)"),
        ({"train": {"optimizer": {"lr": "fast"}}}, "\n  train.optimizer.lr: should be a number, got 'fast'"),
        ({"train": {"training": {"epochs": 1, "iterations": 2}}},
         "\n  train.training: training.epochs 1 and training.iterations 2: give one of them, not both"),
    ],
)  # fmt: skip
def test_mistakes_are_named(tables, message):
    with pytest.raises(ConfigError) as error:
        changed(**tables)
    assert message in str(error.value)


def test_problems_of_all_tables_are_told_at_once():
    with pytest.raises(ConfigError) as error:
        changed(train={"training": {"epochs": 0}}, search={"sampler": "grid", "seeds": 0})
    assert str(error.value) == (
        "The configuration has 2 problems:\n  search.seeds: should be greater than 0, got 0\n"
        "  train.training.epochs: should be greater than 0, got 0"
    )


def test_values_that_do_not_go_together_are_found():
    space = {"network.layers": [[{"kind": "relu"}]], "network.hidden": [[3]]}
    with pytest.raises(ConfigError, match=r"network\.layers lists every layer, so network\.hidden would do nothing"):
        changed(space=space)


def test_a_condition_may_have_a_condition():
    space = {
        "optimizer.kind": ["adam", "sgd"],
        "optimizer.momentum": {"choices": [0.0, 0.9], "when": {"optimizer.kind": "sgd"}},
        "optimizer.nesterov": {"choices": [True, False], "when": {"optimizer.momentum": 0.9}},
    }
    for sampler in ("grid", "random"):
        assert len(changed(space=space, search={"sampler": sampler, "trials": 3}).space) == 3


def test_the_losses_of_a_trial():
    def kinds(params, **train):
        made = changed(train=train, space={"loss": [{"kind": "poisson"}, {"kind": "huber"}]})
        return [one and one.kind for one in made.losses(params)]

    assert kinds({"loss": {"kind": "poisson"}}) == ["poisson"]
    assert kinds({}, loss={"kind": "huber"}) == ["huber"]
    assert kinds({}) == ["softmax_cross_entropy", "sigmoid_cross_entropy", "squared_error"]  # the targets decide
    assert kinds({}, start={"model": "somewhere"}) == [None]


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_study(str(tmp_path / "none.toml"))
    (tmp_path / "bad.toml").write_text("base = 3\n[space]")
    with pytest.raises(ConfigError, match=r"^base is 3; expected the path of a configuration, in quotes$"):
        load_study(tmp_path / "bad.toml")
    (tmp_path / "bad.toml").write_text('base = "bad.toml"\ntrain = 3')
    with pytest.raises(ConfigError, match=r"^train is 3; expected a table, \[train\]$"):
        load_study(tmp_path / "bad.toml")
    (tmp_path / "bad.toml").write_text("[")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_study(tmp_path / "bad.toml")
    (tmp_path / "base.toml").write_text('base = "none.toml"')
    with pytest.raises(ConfigError, match=r"base 'none.toml': .* cannot be read as TOML"):
        load_study(tmp_path / "base.toml")
