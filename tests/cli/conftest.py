"""A run that the command line made."""

from pathlib import Path

import pytest

from command import QUICK, chainrule


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "run"
    done = chainrule("train", *QUICK, "--output", folder)
    assert done.returncode == 0, done.stderr
    return folder
