"""Output directories: which are free, what `--overwrite` may replace, and what it takes away."""

import shutil
import signal

import pytest

import chainrule as cr
from chainrule.runs.keeper import Keeper
from chainrule.runs.lock import locked

DIGITS = cr.read("digits")
HOW = {"training": cr.Training(iterations=3, batch_size=100), "compute": cr.Compute("numpy", threads=1)}


def train(output, **how):
    return cr.train(cr.mlp([4]), DIGITS, output=output, **HOW | how)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "run"
    train(folder)
    return folder


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "names",
    [["config.toml"], ["a.png", "b.png"], ["model/weights.safetensors", "best/x", "checkpoints/x.pt"],
     ["config.toml", "seed-0/x"], ["lock", "x"], ["report.html"]],
)  # fmt: skip
def test_overwriting_what_is_no_run_is_refused_and_nothing_is_touched(names, tmp_path):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = files(tmp_path)
    with pytest.raises(cr.ConfigError) as caught:
        train(tmp_path, overwrite=True)
    first = min(path.name for path in tmp_path.iterdir() if path.name != "lock")
    assert str(caught.value) == (
        f"output {tmp_path} holds no run to overwrite, but other files, such as {first}; name another directory"
    )
    assert files(tmp_path) == before


@pytest.mark.parametrize("gone", [(), ("config.toml",), ("environment.json",), ("checkpoints", "manifest.json")])
def test_a_run_is_overwritten_whole_or_damaged_and_what_is_beside_it_is_kept(gone, made, tmp_path):
    shutil.copytree(made, tmp_path / "run")
    for name in gone:
        path = tmp_path / "run" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (tmp_path / "run" / "mine.txt").write_text("keep")
    train(tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "mine.txt").read_text() == "keep"
    assert cr.load_run(tmp_path / "run").metrics["steps"] == 3


@pytest.mark.parametrize("left", [[], ["lock"], ["lock", "config.toml"]])
def test_an_empty_folder_and_what_a_killed_process_left_are_overwritten(left, tmp_path):
    for name in left:
        (tmp_path / name).write_text("")
    train(tmp_path, overwrite=True)
    assert cr.load_run(tmp_path).metrics["steps"] == 3


ALONE = {"numpy": cr.Compute("numpy", threads=1), "torch": cr.Compute("torch", "cpu", threads=1)}


@pytest.mark.parametrize("backend", ALONE)
def test_overwriting_seeds_takes_all_old_ones_and_reports_on_them(backend, tmp_path):
    """On PyTorch they are trained one after the other."""
    train(tmp_path, seeds=3)
    for name in ("report.html", "mine.txt", "seed-0/mine.txt"):
        (tmp_path / name).write_text("x")
    train(tmp_path, seeds=2, overwrite=True, compute=ALONE[backend])
    assert {path.name for path in tmp_path.iterdir()} == {"mine.txt", "seed-0", "seed-1"}
    assert (tmp_path / "seed-0" / "mine.txt").exists()
    for seed in (0, 1):
        assert cr.load_run(tmp_path / f"seed-{seed}").environment["backend"] == backend


def test_a_run_is_overwritten_by_seeds_and_seeds_by_a_run(made, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(made, folder)
    train(folder, seeds=2, overwrite=True)
    assert {path.name for path in folder.iterdir()} == {"seed-0", "seed-1"}
    (folder / "report.html").write_text("about them")
    train(folder, overwrite=True)
    assert {path.name for path in folder.iterdir()} == {path.name for path in made.iterdir()}


def test_seeds_among_other_runs_are_refused_before_any_work(made, tmp_path):
    shutil.copytree(made, tmp_path / "run")
    train(tmp_path / "seeds", seeds=3)
    expected = {
        "run": "holds a run, and seeds would be written inside of it; name another directory, or give --overwrite to "
        "replace it",
        "seeds": "holds seed-0, seed-1, seed-2, which would be taken for seeds of the same training; name another "
        "directory, or give --overwrite to replace all of them",
    }
    for name, message in expected.items():
        before = files(tmp_path / name)
        with pytest.raises(cr.ConfigError) as caught:
            train(tmp_path / name, seeds=2, training=cr.Training(iterations=3, batch_size=100, seed=7))
        assert str(caught.value) == f"output {tmp_path / name} {message}"
        assert files(tmp_path / name) == before


def test_overwriting_seeds_takes_nothing_where_one_is_in_use_or_the_seeds_cannot_be_kept(tmp_path):
    train(tmp_path, seeds=3)
    before = files(tmp_path)
    with locked(tmp_path / "seed-2"), pytest.raises(cr.BusyError, match="seed-2 is in use by process"):
        train(tmp_path, seeds=2, overwrite=True)
    assert files(tmp_path) == before
    with pytest.raises(cr.ConfigError, match="initial cannot be written down"):
        train(tmp_path, seeds=2, overwrite=True, initial=[cr.train(cr.mlp([4]), DIGITS, **HOW).end] * 2)
    assert files(tmp_path) == before


def test_seeds_that_were_to_be_overwritten_in_their_turn_are_no_finished_runs(tmp_path, monkeypatch):
    train(tmp_path, seeds=2)

    def stopping(self, step):
        self.interrupts.received = signal.SIGTERM
        return True

    monkeypatch.setattr(Keeper, "wants", stopping)
    how = {"compute": ALONE["torch"], "seeds": 2}
    with pytest.raises(cr.Interrupted):
        train(tmp_path, overwrite=True, **how)
    monkeypatch.undo()
    with pytest.raises(cr.DamagedError, match="holds a run that did not finish"):
        cr.load_run(tmp_path / "seed-1")
    with pytest.raises(cr.ConfigError, match="seed-1 has nothing left to train"):
        train(tmp_path, resume=True, **how)


def test_seeds_are_added_when_going_on(tmp_path):
    train(tmp_path, seeds=2)
    assert len(train(tmp_path, seeds=3, resume=True)) == 3


def test_one_run_is_not_begun_beside_seeds(tmp_path):
    train(tmp_path, seeds=2)
    before = files(tmp_path)
    with pytest.raises(cr.ConfigError) as caught:
        train(tmp_path, resume=True)
    assert str(caught.value) == (
        f"output {tmp_path} holds runs of 2 seeds; name another directory, give --resume and --seeds 2 to go on with "
        "them, or --overwrite to replace them"
    )
    assert files(tmp_path) == before


def test_seeds_do_not_go_on_inside_of_one_run(made, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(made, folder)
    before = files(folder)
    with pytest.raises(cr.ConfigError) as refused:
        train(folder, seeds=2, resume=True)
    assert str(refused.value) == (
        f"output {folder} holds a run, and seeds would be written inside of it; leave out --seeds to go on with it, or "
        "name a directory of seeds, or a new one"
    )
    assert files(folder) == before
