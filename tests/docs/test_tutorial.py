"""The tutorial does what it says."""

import pytest

from conftest import ROOT
from docs.told import assert_said, run


def test_every_command_and_every_line_of_python(tmp_path):
    assert run(ROOT / "docs" / "tutorial.md", tmp_path) == 12
    assert (tmp_path / "first.html").is_file()


def test_the_comparison_would_see_another_word():
    assert_said(["accuracy  0.5", "...", "done"], "accuracy 0.63\nmore\nmore\ndone\n", "here")
    assert_said(["..."], "anything\n", "here")
    for expected in (["accuracy  0.5"], ["acc  0.5", "...", "done"], []):
        with pytest.raises(AssertionError, match="here printed"):
            assert_said(expected, "accuracy 0.63\nmore\ndone\n", "here")
