"""Figures as files."""

import sys
from io import BytesIO
from xml.etree import ElementTree

import pytest

import chainrule as cr
from chainrule.errors import ConfigError
from chainrule.reporting.blocks import Page
from chainrule.reporting.compose import compose
from reported import hostile_runs

matplotlib = pytest.importorskip("matplotlib", reason="no matplotlib: pip install matplotlib")

from chainrule.reporting.figures import save  # noqa: E402


def test_every_figure_is_a_file_and_the_same_again(runs, study, tmp_path):
    page = compose([runs / "wide", study])
    found = save(page, tmp_path / "a")
    assert set(found) == {one.name for one in page.figures()}
    assert {path.name for path in (tmp_path / "a").iterdir()} == {f"{name}.svg" for name in found}
    for path in found.values():
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert "mathdefault" not in path.read_text()  # each text stands in a comment before its outlines
    few = Page("", "", tuple(one for one in page.sections if one.name in ("learning", "network")))
    again = save(few, tmp_path / "b")
    assert len(again) >= 6
    assert all(found[name].read_bytes() == path.read_bytes() for name, path in again.items())


def test_png(runs, tmp_path):
    image = pytest.importorskip("PIL.Image", reason="no Pillow to read the PNG files with: pip install pillow")
    page = compose([runs / "wide"])
    found = save(Page("", "", tuple(one for one in page.sections if one.name == "learning")), tmp_path, "png")
    width, height = image.open(BytesIO(found["loss"].read_bytes())).size
    assert (width, height) == (920, 600)  # 4.6 by 3 inches at 200 dots


def test_hostile_names_are_text_not_mathematics(tmp_path):
    runs, data = hostile_runs(tmp_path)
    page = compose(runs, data)
    few = Page("", "", tuple(one for one in page.sections if one.name in ("summary", "predictions")))
    found = save(few, tmp_path / "figures")
    assert {"groups", "1-classes", "2-confusion"} <= set(found)
    assert "<script" not in found["1-classes"].read_text()


def test_without_matplotlib_it_says_what_to_install(runs, tmp_path, monkeypatch):
    page = compose([runs / "wide"])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError) as refused:
        save(page, tmp_path)
    assert str(refused.value) == (
        "--figures draws with matplotlib, which is not installed: pip install 'chainrule[figures]'"
    )
    assert cr.report(runs / "wide").startswith("<!doctype html>")
