"""A path that holds no run is a wrong name; a run without its manifest is unfinished or damaged: what is said of each."""

import shutil

import pytest

import chainrule as cr
from chainrule.runs.diagnosing import diagnose_run
from chainrule.runs.integrity import verify
from chainrule.runs.model import find_model
from chainrule.runs.train import train_config
from faults.compared import fingerprint

HOW = {"training": cr.Training(epochs=2, batch_size=200), "compute": cr.Compute("numpy", threads=1)}
READERS = {"run": cr.load_run, "model": find_model, "run, model or checkpoint": verify}
NAME = "name what `chainrule train --output` wrote"


def diagnose(path):
    return diagnose_run(path, lambda _: None)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("named") / "runs"
    cr.train(cr.mlp([6]), cr.read("digits"), seeds=2, output=folder, **HOW)
    return folder


@pytest.mark.parametrize(("wanted", "read"), [*READERS.items(), ("run", diagnose), ("run", cr.report)])
def test_a_path_without_a_run_is_a_wrong_name(wanted, read, seeds, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    mark = "model.json" if wanted == "model" else "config.toml"
    expected = {
        tmp_path / "nowhere": f"{tmp_path / 'nowhere'} does not exist; {NAME}",
        tmp_path / "file": f"{tmp_path / 'file'} is a file and holds no {wanted}; {NAME}",
        tmp_path / "empty": f"{tmp_path / 'empty'} holds no {wanted}: it has no {mark}; {NAME}",
    }
    if read is not cr.report:  # which takes folders of seeds
        expected[seeds] = f"{seeds} holds no {wanted} itself, but 2 runs; name one of them, such as {seeds / 'seed-0'}"
    for path, message in expected.items():
        with pytest.raises(cr.ConfigError) as caught:
            read(path)
        assert str(caught.value) == message
        assert caught.value.exit_code == 2


def test_the_lowest_of_many_seeds_is_named(tmp_path):
    for name in ("seed-10", "seed-2", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text("")
    (tmp_path / "other" / "config.toml").unlink()
    with pytest.raises(cr.ConfigError, match=r"but 2 runs; name one of them, such as .*seed-2$"):
        cr.load_run(tmp_path)


def test_a_finished_run_without_its_manifest_is_said_to_be_one_and_is_repaired(seeds, tmp_path):
    run = tmp_path / "my run"
    shutil.copytree(seeds / "seed-0", run)
    (run / "manifest.json").unlink()
    message = (
        f"{run} holds a run that finished, but its manifest.json is missing, so nothing in it can be checked. "
        f"chainrule train --resume '{run}' goes on from its last checkpoint and writes it anew"
    )
    for read in (cr.load_run, cr.report):
        with pytest.raises(cr.DamagedError) as caught:
            read(run)
        assert str(caught.value) == message
    found = verify(run)
    assert (found["run"], found["model"], found["best"]) == (message, None, None)
    train_config(None, run, resume=True)
    assert set(verify(run).values()) == {None}
    assert fingerprint(run) == fingerprint(seeds / "seed-0")


def test_a_run_that_did_not_finish_has_no_model_yet(seeds, tmp_path):
    shutil.copy(seeds / "seed-0" / "config.toml", tmp_path)
    with pytest.raises(
        cr.DamagedError, match=r"holds a run that did not finish: it has no manifest\.json\. Go on with"
    ):
        find_model(tmp_path)
    with pytest.raises(cr.DamagedError, match="holds no checkpoint to diagnose; train it again"):
        diagnose(tmp_path)


def test_of_a_run_that_diverged_is_said_what_training_said(tmp_path):
    run = tmp_path / "run"
    with pytest.raises(cr.DivergenceError) as ended:
        cr.train(cr.mlp([16]), cr.read("digits"), output=run, optimizer=cr.SGD(lr=1e9), **HOW)
    for read in (cr.load_run, find_model):
        with pytest.raises(cr.DamagedError) as caught:
            read(run)
        assert str(caught.value) == f"{run} holds a run that diverged: {ended.value}"


def test_best_is_asked_for_where_there_is_none(tmp_path):
    cr.train(cr.mlp([6]), cr.read("digits"), split=cr.Split(validation=0), output=tmp_path, **HOW)
    with pytest.raises(cr.ConfigError, match="has no best row apart: it had no validation rows; leave --best out"):
        find_model(tmp_path, "best")


def test_going_on_with_a_folder_of_seeds_names_one(seeds, tmp_path):
    with pytest.raises(cr.ConfigError, match=r"holds no run itself, but 2 runs; name one of them, such as .*seed-0"):
        train_config(None, seeds, resume=True)
    with pytest.raises(cr.ConfigError, match="holds no run: it has no config"):
        train_config(None, tmp_path, resume=True)
    with pytest.raises(cr.ConfigError, match="holds no run to go on with; give a configuration too, to start one"):
        train_config(None, tmp_path / "new", resume=True)
