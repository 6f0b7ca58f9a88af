"""`chainrule train --tensorboard --mlflow`: what the shell asks for is in the stores, and nothing is written unasked."""

from contextlib import nullcontext

import pytest

from chainrule.backends import World
from chainrule.cli.training import train
from chainrule.errors import Followed
from command import QUICK, chainrule


def test_seeds_are_in_both_stores(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # for the reader here
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard")
    mlflow = pytest.importorskip("mlflow", reason="no mlflow: pip install mlflow-skinny")
    done = chainrule("train", *QUICK, "--seeds", 2, "-o", "digits", "--tensorboard", "events", "--mlflow", "store",
                     cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"digits", "events", "store"}
    found = reader.EventAccumulator(str(tmp_path / "events" / "digits" / "seed-1"))
    found.Reload()
    assert len(found.Scalars("validation_accuracy")) == 2
    client = mlflow.MlflowClient(tracking_uri=(tmp_path / "store").as_uri())
    runs = client.search_runs([client.get_experiment_by_name("chainrule").experiment_id])
    assert {one.info.run_name for one in runs} == {"digits/seed-0", "digits/seed-1"}
    assert {one.info.status for one in runs} == {"FINISHED"}


def test_a_store_that_cannot_be_is_refused_and_the_earlier_run_stays(tmp_path):
    assert chainrule("train", *QUICK, "-o", "mine", cwd=tmp_path).returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}
    before = (tmp_path / "mine" / "manifest.json").read_bytes()
    done = chainrule("train", *QUICK, "-o", "mine", "--overwrite", "--mlflow", "http://localhost:1", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "error: the MLflow store 'http://localhost:1' is not local; expected sqlite:///FILE or a folder\n"
    )
    done = chainrule("train", *QUICK, "-o", "mine", "--overwrite", "--tensorboard", "mine/config.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: the TensorBoard folder mine/config.toml is a file; name a directory\n"
    assert (tmp_path / "mine" / "manifest.json").read_bytes() == before


def test_rank_0_alone_opens_stores(tmp_path, monkeypatch):
    """Ranks that make one database at the same time fail."""

    class Second(World):
        rank, size = 1, 2

    def follow(*_):
        raise Followed(0)

    monkeypatch.setattr("chainrule.backends.world.joined", lambda: nullcontext(Second()))
    monkeypatch.setattr("chainrule.runs.ranks.follow", follow)
    with pytest.raises(Followed):
        train(changes=[], tensorboard=tmp_path / "events", mlflow=f"sqlite:///{tmp_path / 'runs.db'}")
    assert list(tmp_path.iterdir()) == []
