"""Hostile run directories and checkpoints, sealed like the models."""

import json
import pickle
import tempfile
from functools import cache
from pathlib import Path

import chainrule as cr
from chainrule.runs.integrity import seal_run
from chainrule.runs.sealed import write_sealed
from faults.cases import Arguments, Touches, collector

CASES, case = collector()


@case("run: a directory that holds nothing but a pickle", "holds no run: it has no config.toml", 2)
def _(root: Path) -> Arguments:
    (root / "run").mkdir()
    (root / "run" / "model.pkl").write_bytes(pickle.dumps(Touches()))
    return ["evaluate", root / "run"]


@cache
def sound_run() -> dict[str, bytes]:
    """The files of a finished run of three steps on the digits, with its checkpoints."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        cr.train(cr.mlp([4]), cr.read("digits"), training=cr.Training(iterations=3, batch_size=8), output=run,
                 evaluation=cr.Evaluation(every_steps=3, train_rows=64), compute=cr.Compute(backend="numpy", threads=1),
                 checkpoint=cr.Checkpoint(every_steps=3))  # fmt: skip
        return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def evaluate(root: Path, **others: bytes) -> Arguments:
    """`evaluate` of a run of which some files are others, sealed again."""
    folder = root / "run"
    for name, content in (sound_run() | {name.replace("_", "."): content for name, content in others.items()}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    seal_run(folder)
    return ["evaluate", folder]


@case("run: a sound one, so that the others are not refused for something else", code=0)
def _(root: Path) -> Arguments:
    return evaluate(root)


@case("run: an environment without what it should tell", "is not a run of this version", 4)
def _(root: Path) -> Arguments:
    return evaluate(root, environment_json=b"{}")


@case("run: metrics nested a hundred thousand deep", "is not a run of this version", 4)
def _(root: Path) -> Arguments:
    return evaluate(root, metrics_json=b"[" * 100_000)


@case("run: a history that is a number", "is not a run of this version", 4)
def _(root: Path) -> Arguments:
    return evaluate(root, history_jsonl=b"9" * 10_000)


@case("run: a configuration nested ten thousand deep", "is not a run of this version", 4)
def _(root: Path) -> Arguments:
    return evaluate(root, config_toml=b"a = " + b"[" * 10_000)


@case("run: a configuration that names an import path", "unknown kind 'os.system'", 4)
def _(root: Path) -> Arguments:
    return evaluate(root, config_toml=b'[optimizer]\nkind = "os.system"')


def unfinished(root: Path, state: bytes) -> Arguments:
    """`verify` of a run that did not finish and whose only checkpoint has another state."""
    folder = root / "run"
    place = "checkpoints/step-00000003"
    folder.mkdir()
    (folder / "config.toml").write_bytes(sound_run()["config.toml"])
    files = {"arrays.safetensors": sound_run()[f"{place}/arrays.safetensors"], "state.json": state}
    write_sealed(folder / place, files)
    return ["verify", folder]


@case("checkpoint: a state that is a pickle", "cannot be read as JSON", 4)
def _(root: Path) -> Arguments:
    return unfinished(root, pickle.dumps(Touches()))


@case("checkpoint: a state without anything", "is not a checkpoint of format 1", 4)
def _(root: Path) -> Arguments:
    return unfinished(root, b'{"format": 1}')


@case("checkpoint: a state of other types", "is not a checkpoint of format 1", 4)
def _(root: Path) -> Arguments:
    state = json.loads(sound_run()["checkpoints/step-00000003/state.json"])
    return unfinished(root, json.dumps(state | {"setbacks": 5, "history": {}, "config": "x"}).encode())


@case("checkpoint: a best row that is not there", "it has no row 9", 4)
def _(root: Path) -> Arguments:
    state = json.loads(sound_run()["checkpoints/step-00000003/state.json"])
    return unfinished(root, json.dumps(state | {"best_row": 9}).encode())


@case("checkpoint: an environment that is none", "environment.sessions is wrong", 4)
def _(root: Path) -> Arguments:
    state = json.loads(sound_run()["checkpoints/step-00000003/state.json"])
    return unfinished(root, json.dumps(state | {"environment": {"data_sha256": "0", "versions": {}}}).encode())
