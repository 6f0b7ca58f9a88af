"""Runs, studies and a browser for the tests of pages."""

import os
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from reported import DIGITS

CHROMIUM = Path(os.environ.get("CHAINRULE_CHROMIUM", "/usr/bin/chromium"))


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> Path:
    """Two groups of digits, wide (3 seeds) and narrow (2 seeds)."""
    folder = tmp_path_factory.mktemp("reported")
    for name, hidden, seeds in (("wide", [24], 3), ("narrow", [4], 2)):
        cr.train(cr.mlp(hidden), DIGITS, optimizer=cr.Adam(1e-2), training=cr.Training(epochs=4, batch_size=64),
                 seeds=seeds, output=folder / name)  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def table() -> cr.Dataset:
    """A regression with named columns."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    return cr.Dataset("made", X, X[:, 0] - 2 * X[:, 1] ** 2, "regression", ("y",), ("a", "b", "c"))


STUDY = """
[train.training]
epochs = 3
batch_size = 64
[space]
"network.hidden" = [[4], [8], [16]]
"optimizer.lr" = { low = 1e-4, high = 1e-1, log = true }
[search]
sampler = "random"
trials = 12
metric = "validation_accuracy"
[pruning]
kind = "median"
warm_up = 3
[finalists]
n = 2
seeds = 2
"""


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Path:
    """A small study of digits with pruned trials, finalists and a reading of the test rows."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "small.toml").write_text(STUDY)
    cr.run_study(cr.load_study(folder / "small.toml"), folder / "small")
    return folder / "small"


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium; pages are opened without a network."""
    if not CHROMIUM.is_file():
        pytest.skip(f"no browser: {CHROMIUM} is missing; install Debian's chromium, or set $CHAINRULE_CHROMIUM")
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()
