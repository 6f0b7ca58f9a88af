"""MLflow's own client finds in its store what the run has measured, in a SQLite file and in a folder."""

import math
import subprocess
import sys

import pytest

import chainrule as cr
from chainrule.tracking.mlflow import quiet
from tracking.tracked import DIGITS, CrashError, Stopped, columns, trained

mlflow = pytest.importorskip("mlflow", reason="no mlflow: pip install mlflow-skinny")


@pytest.fixture(params=["sqlite", "folder"], scope="module")
def uri(request, tmp_path_factory):
    """One store of each kind for the module: making the tables takes two seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    return f"sqlite:///{folder}/runs.db" if request.param == "sqlite" else str(folder / "store")


@pytest.fixture
def experiment(request):
    return request.node.name.replace("[", " ").replace("]", "")


def held(uri, experiment):
    """The MLflow runs of an experiment, newest first, each with its points."""
    with quiet(uri):
        client = mlflow.MlflowClient(tracking_uri=uri)
        runs = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
        return [
            (one, {name: [(m.step, m.value) for m in client.get_metric_history(one.info.run_id, name)]
                   for name in one.data.metrics})
            for one in runs
        ]  # fmt: skip


def check(points, run):
    expected = columns(run.history)
    assert {name for name in points if not name.startswith("final/")} == set(expected)
    for name, values in expected.items():
        assert points[name] == values, name
    for name in ("validation_loss", "validation_accuracy"):
        assert points[f"final/{name}"] == [(run.metrics["steps"], run.metrics["model"][name])]


def test_every_column_options_conditions_and_notes_are_read_back(uri, experiment, tmp_path):
    run = trained([cr.MLflow(uri, experiment)], output=tmp_path / "mine")
    ((one, points),) = held(uri, experiment)
    check(points, run)
    assert one.info.run_name == "mine"
    assert one.info.status == "FINISHED"
    assert one.data.params["optimizer.lr"] == "0.001"
    assert one.data.params["network.layers"].startswith('[{"')
    assert one.data.tags["chainrule.data_sha256"] == DIGITS.digest
    assert one.data.tags["chainrule.versions.chainrule"] == run.environment["versions"]["chainrule"]
    assert one.data.tags["chainrule.notes"].startswith("3 columns are constant")


def test_a_killed_run_goes_on_in_its_mlflow_run_without_double_or_lost_points(uri, experiment, tmp_path):
    with pytest.raises(CrashError):
        trained([cr.MLflow(uri, experiment), Stopped(4)], output=tmp_path / "mine")
    ((one, points),) = held(uri, experiment)
    assert one.info.status == "RUNNING"
    assert len(points["train_loss"]) == 4  # the fourth is beyond the checkpoint
    trained([cr.MLflow(uri, experiment)], output=tmp_path / "mine", resume=True)
    run = cr.load_run(tmp_path / "mine")
    ((one, points),) = held(uri, experiment)
    assert one.info.status == "FINISHED"
    expected = columns(run.history)
    assert {name: [step for step, _ in points[name]] for name in expected} == {
        name: [step for step, _ in values] for name, values in expected.items()
    }
    for name in set(expected) - {"seconds", "rows_per_second"}:  # of the fourth row, measured twice
        assert points[name] == expected[name], name


def test_a_run_that_was_changed_gets_another_mlflow_run_with_its_whole_history(uri, experiment, tmp_path):
    with pytest.raises(CrashError):
        trained([cr.MLflow(uri, experiment), Stopped(4)], output=tmp_path / "mine")
    run = trained([cr.MLflow(uri, experiment)], epochs=6, output=tmp_path / "mine", resume=True, inexact=True)
    found = held(uri, experiment)
    assert sorted(one.info.status for one, _ in found) == ["FINISHED", "RUNNING"]
    check(next(points for one, points in found if one.info.status == "FINISHED"), run)


def test_a_tracker_that_comes_with_the_resuming_gets_the_whole_history(uri, experiment, tmp_path):
    with pytest.raises(CrashError):
        trained([Stopped(4)], output=tmp_path / "mine")
    run = trained([cr.MLflow(uri, experiment)], output=tmp_path / "mine", resume=True)
    ((_, points),) = held(uri, experiment)
    check(points, run)


def test_seeds_that_are_trained_together_have_an_mlflow_run_each(uri, experiment):
    runs = trained([cr.MLflow(uri, experiment)], seeds=2)
    found = {one.info.run_name: points for one, points in held(uri, experiment)}
    check(found["digits-seed-0"], runs[0])
    check(found["digits-seed-1"], runs[1])


def test_setbacks_are_notes(uri, experiment):
    how = {"optimizer": cr.SGD(1e3), "training": cr.Training(epochs=3, batch_size=128, on_divergence="reduce-lr")}
    run = cr.train(cr.mlp([16, 16]), DIGITS, hooks=[cr.MLflow(uri, experiment)], **how)
    ((one, _),) = held(uri, experiment)
    assert one.data.tags["chainrule.notes"].count("is not finite at step") == len(run.metrics["setbacks"]) > 0


def test_a_column_of_ones_own_that_is_not_finite_and_has_an_odd_name(uri, experiment):
    class Odd(cr.Measuring):
        def measured(self, model):
            return {"mine [%]": math.nan}

    trained([Odd(), cr.MLflow(uri, experiment)], epochs=1)
    ((_, points),) = held(uri, experiment)
    ((_, value),) = points["mine ___"]
    assert math.isnan(value)


def test_a_store_that_fails_in_between_is_caught_up_with(uri, experiment, tmp_path, monkeypatch):
    said = []
    hook = cr.MLflow(uri, experiment, warn=said.append)
    log, broken = hook.client.log_batch, [False, True, True, False, False]

    def failing(run_id, metrics=(), **more):
        if metrics and broken and broken.pop(0):
            raise OSError("database is locked")
        return log(run_id, metrics=metrics, **more)

    monkeypatch.setattr(hook.client, "log_batch", failing)
    run = trained([hook], output=tmp_path / "mine")
    assert said == [f"{hook!r} cannot be written: database is locked. The run goes on; it is tried again."]
    ((_, points),) = held(uri, experiment)
    check(points, run)


def test_a_store_that_stays_away_costs_its_entries_and_not_the_run(uri, experiment, tmp_path, monkeypatch):
    said = []
    hook = cr.MLflow(uri, experiment, warn=said.append)
    begin = hook.started

    def begin_then_fail(begun):
        begin(begun)
        monkeypatch.setattr(hook, "client", None)

    monkeypatch.setattr(hook, "started", begin_then_fail)
    run = trained([hook], output=tmp_path / "mine")
    assert len(said) == 2
    assert said[1] == f"{hook!r} lacks 6 entries of the run, which is whole without it"
    assert len(cr.load_run(tmp_path / "mine").history) == len(run.history) == 5


@pytest.mark.parametrize("bad", ["https://example.org", "postgresql://a/b", "databricks"])
def test_only_local_stores(bad, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if bad == "databricks":  # a folder of that name
        assert repr(cr.MLflow(bad)) == f"MLflow('file://{tmp_path}/databricks')"
        return
    with pytest.raises(cr.ConfigError) as caught:
        cr.MLflow(bad)
    assert str(caught.value) == f"the MLflow store {bad!r} is not local; expected sqlite:///FILE or a folder"


def test_a_store_that_cannot_be_opened_is_refused_before_training_and_at_once(tmp_path):
    file = tmp_path / "file"
    file.write_text("no database")
    with pytest.raises(cr.OutputError, match=r"file cannot be opened: file is not a database; name another file$"):
        cr.MLflow(f"sqlite:///{file}")
    for place, message in {
        file: f"the MLflow store {file} is a file; name a directory",
        file / "below": f"the MLflow store {file / 'below'}: {file} is a file; name a directory",
        f"sqlite:///{tmp_path}": f"the MLflow store {tmp_path} is a folder; name it without sqlite:///, or a file",
    }.items():
        with pytest.raises(cr.ConfigError) as caught:
            cr.MLflow(place)
        assert str(caught.value) == message


def test_without_the_library_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("chainrule.tracking.tracker.find_spec", lambda name: None)
    with pytest.raises(cr.ConfigError) as caught:
        cr.MLflow(tmp_path)
    assert str(caught.value) == (
        "tracking with mlflow needs mlflow, which is not installed: pip install 'chainrule[mlflow]'"
    )


def test_neither_library_is_imported_where_no_tracker_is_asked_for():
    code = (
        "import chainrule as cr; cr.train(cr.mlp([4]), cr.read('digits'), training=cr.Training(epochs=1)); cr.MLflow; "
        "import sys; print(*({'mlflow', 'tensorboard'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
