"""Output directories: which are free, what `--overwrite` may replace, and what it takes away."""

import shutil

import pytest

import chainrule as cr

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
