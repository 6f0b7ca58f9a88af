"""Damage the files of a run at random: python -m faults.damage --count 50000 (in tests/).

Every damage must be detected, or be harmless: what is read equals what was written. Anything else is silent.
"""

import argparse
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.runs import checkpoint
from chainrule.runs.integrity import read_run


def made(folder: Path) -> Path:
    """A small finished run with two checkpoints."""
    cr.train(cr.mlp([4], norm="batch"), cr.read("digits"), training=cr.Training(iterations=6, batch_size=8),
             evaluation=cr.Evaluation(every_steps=3, train_rows=64), checkpoint=cr.Checkpoint(every_steps=3),
             compute=cr.Compute(backend="numpy", threads=1), output=folder / "run")  # fmt: skip
    return folder / "run"


def contents(folder: Path) -> Any:
    """What a reader gets: plain values that can be compared. Raises a DamagedError."""
    if checkpoint.is_one(folder):
        saved = checkpoint.load(folder)
        return saved.state, {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in saved.arrays.items()}
    if folder.name in ("model", "best"):
        model = cr.load_model(folder)
        return repr(model), {name: (a.dtype.str, a.shape, a.tobytes()) for name, a in model.parameters.items()}
    return read_run(folder)


def bit(path: Path, draw: random.Random) -> None:
    raw = bytearray(path.read_bytes())
    raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    path.write_bytes(raw)


def truncation(path: Path, draw: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: draw.randrange(path.stat().st_size)])


def zeroed(path: Path, draw: random.Random) -> None:
    raw = bytearray(path.read_bytes())
    start = draw.randrange(len(raw))
    raw[start : start + 4096] = bytes(len(raw[start : start + 4096]))
    path.write_bytes(raw)


def junk(path: Path, draw: random.Random) -> None:
    path.write_bytes(path.read_bytes() + draw.randbytes(draw.randint(1, 64)))


def exchanged(path: Path, draw: random.Random) -> None:
    """The file of the same name from another place of the run: an old manifest with new weights, and the other way."""
    run = next(parent for parent in path.parents if parent.name == "run")
    others = [one for one in run.rglob(path.name) if one != path]
    if others:
        path.write_bytes(draw.choice(sorted(others)).read_bytes())


def missing(path: Path, draw: random.Random) -> None:
    path.unlink()


DAMAGES: list[Callable[[Path, random.Random], None]] = [bit, bit, bit, truncation, zeroed, junk, exchanged, missing]


def campaign(count: int, seed: int, folder: Path) -> Counter[str]:
    """How many damages were detected, harmless (the same values were read) and silent."""
    run, draw, outcomes = made(folder), random.Random(seed), Counter[str]()
    pristine = folder / "pristine"
    shutil.copytree(run, pristine)
    places = [run, run / "model", run / "best", *sorted((run / "checkpoints").iterdir())]
    expected = {place: contents(place) for place in places}
    files = {place: [path for path in sorted(place.iterdir()) if path.is_file()] for place in places}
    for _ in range(count):
        place = draw.choice(places)
        path = draw.choice(files[place])
        damage = draw.choice(DAMAGES)
        damage(path, draw)
        try:
            found = contents(place)
        except cr.DamagedError:
            outcome = "detected"
        else:
            outcome = "harmless" if found == expected[place] else f"silent: {damage.__name__} of {path.name}"
        outcomes[outcome] += 1
        shutil.copy(pristine / path.relative_to(run), path)
    return outcomes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with np.errstate(all="ignore"), tempfile.TemporaryDirectory() as place:
        print(json.dumps(campaign(asked.count, asked.seed, Path(place))))
