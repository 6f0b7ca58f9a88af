"""What fuzzing found stays mended: each file of `found/` was once a crash, a hang or another exception."""

import resource
from pathlib import Path

import pytest

from chainrule.errors import ChainruleError
from faults.fuzz_targets import TARGETS, emptied

FOUND = sorted(Path(__file__).with_name("found").iterdir())


def test_there_are_some():
    assert len(FOUND) >= 4


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_it_is_refused_in_little_memory(path, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ChainruleError):
        TARGETS[path.name.partition(".")[0]]().read(emptied(tmp_path / "place"), path.read_bytes())
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024
