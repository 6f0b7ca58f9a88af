"""What tests of pages share."""

import json
from pathlib import Path

import numpy as np

import chainrule as cr

DIGITS = cr.read("digits")
HOSTILE = "</script><img src=x onerror=document.title='owned'>\x1b[2J\u202egnp\u2066\x07&amp;\u2028$x$|`"


def edited(run: Path, change) -> None:
    """The history of a run with `change` applied to its rows; its manifest goes: seal it again, or `unfinish` it."""
    file = run / "history.jsonl"
    rows = change([json.loads(line) for line in file.read_text().splitlines()])
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run / "manifest.json").unlink(missing_ok=True)


def unfinish(run: Path) -> None:
    """As it was before its end."""
    for name in ("manifest.json", "metrics.json"):
        (run / name).unlink(missing_ok=True)


def hostile_runs(folder: Path):
    """Two groups whose folders, data set, classes and columns have names that would do harm; and their data."""
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    data = cr.Dataset(HOSTILE, rng.normal(size=(300, 2)) + y[:, None] / 2, y, "classification",
                      (HOSTILE, "<b>bold</b>", "plain"), (HOSTILE + "1", "x"))  # fmt: skip
    paths = [folder / f"{i}{HOSTILE.replace('/', chr(0x2215))}" for i in range(2)]
    for n, path in enumerate(paths, 3):
        cr.train(cr.mlp([n]), data, training=cr.Training(epochs=2), seeds=2, output=path)
    return paths, data
