"""Drawings as SVG: well-formed, in place, text as text."""

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from chainrule.reporting import drawings
from chainrule.reporting.blocks import Axis, Diagram, Dots, Interval, Parallel, Point, Points, Stage, Table
from chainrule.reporting.svg import element, label, log_ticks, text_of, ticks
from reported import HOSTILE

NONE = Table((), ())


def parsed(markup):
    return ElementTree.fromstring(str(markup))


def numbers(markup, name, attribute):
    return [float(one.get(attribute)) for one in parsed(markup).iter(name)]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_round_and_inside(low, width):
    found = ticks(low, low + width)
    assert 1 <= len(found) <= 11
    assert all(low - 1e-6 * width <= tick <= low + width * (1 + 1e-6) for tick in found)


@given(st.floats(1e-8, 1e6), st.floats(1.5, 1e8))
def test_logarithmic_ticks_are_inside(low, ratio):
    assert all(low * 0.99 <= tick <= low * ratio * 1.01 for tick in log_ticks(low, low * ratio))


def test_text_is_text():
    drawn = drawings.dots(Dots("d", HOSTILE, "", NONE, (HOSTILE, "b"), (0.5, 0.7), (None, Interval(0.6, 0.8)), HOSTILE))
    assert "<img" not in str(drawn)
    assert [one.tag for one in parsed(drawn).iter() if one.tag in ("img", "script")] == []
    assert str(text_of("a\x1b<b>")) == "a\\x1b&lt;b&gt;"
    assert str(element("p", "<", class_='"x')) == '<p class="&#34;x">&lt;</p>'
    cut = str(label("abcdefgh", 1.0, 2.0, most=4))
    assert ">abc…<title>abcdefgh</title></text>" in cut


def test_dots_lie_where_their_values_are():
    figure = Dots("d", "D", "", NONE, ("a", "b", "c"), (0.0, 0.5, 1.0), (None, Interval(0.25, 0.75), None), "x")
    drawn = drawings.dots(figure)
    a, b, c = numbers(drawn, "circle", "cx")
    assert abs((b - a) - (c - b)) < 0.02
    [whisker] = [one for one in parsed(drawn).iter("line") if one.get("class") == "whisker"]
    assert abs(float(whisker.get("x1")) - (a + b) / 2) < 0.02
    bars = drawings.dots(Dots("d", "D", "", NONE, ("a", "b"), (0.2, 0.4), (None, None), "x", bars=True))
    first, second = (float(one.get("width")) for one in parsed(bars).iter("rect"))
    assert abs(second - 2 * first) < 0.02


def test_points_on_logarithmic_and_named_axes():
    points = tuple(Point(x, 0.5) for x in (1.0, 10.0, 100.0))
    a, b, c = numbers(drawings.points(Points("p", "P", "", NONE, points, "x", "y", log=True)), "circle", "cx")
    assert abs((b - a) - (c - b)) < 0.02
    named = drawings.points(
        Points("p", "P", "", NONE, (Point(0.0, 1.0), Point(1.0, 2.0, apart=True)), "x", "y", ("u", "v"))
    )
    assert {"u", "v"} <= {one.text for one in parsed(named).iter("text")}
    one = drawings.points(Points("p", "P", "", NONE, (Point(3.0, 1.0),), "x", "y"))
    assert len(numbers(one, "circle", "cx")) == 1


def test_the_diagonal_of_a_calibration_is_where_confidence_is_right():
    points = (Point(0.2, 0.2), Point(0.9, 0.9, Interval(0.8, 0.95)))
    drawn = drawings.points(
        Points("c", "C", "", NONE, points, "x", "y", diagonal=True, counts=(0, 5) + (0,) * 7 + (10,))
    )
    [line] = [one for one in parsed(drawn).iter("line") if one.get("class") == "mark"]
    x1, y1, x2, y2 = (float(line.get(name)) for name in ("x1", "y1", "x2", "y2"))
    for x, y in zip(numbers(drawn, "circle", "cx"), numbers(drawn, "circle", "cy"), strict=True):
        assert abs((y - y1) * (x2 - x1) - (y2 - y1) * (x - x1)) < 5
    heights = numbers(drawn, "rect", "height")
    assert (len(heights), max(heights)) == (10, 40.0)
    assert heights[1] == 20.0


def test_parallel_lines_skip_what_a_trial_has_not():
    axes = (Axis("a", ((0.0, "0"), (1.0, "1"))), Axis("b", ()), Axis("m", ()))
    drawn = drawings.parallel(
        Parallel("p", "P", "", NONE, axes, ((0.0, None, 1.0), (1.0, 0.5, 0.0)), (0.0, 1.0), ("t", "u"))
    )
    paths = [one.get("d") for one in parsed(drawn).iter("path")]
    assert [len(re.findall(r"[ML]", path)) for path in paths] == [2, 3]
    assert [one.get("class") for one in parsed(drawn).iter("path")] == ["trial s0", "trial s4"]


def test_a_network_of_many_layers():
    stages = tuple(Stage(f"linear {n}", 2 * n, n, f"W {2 * n}×{n}, b {n}", mixes=True) for n in (1024, 512, 256))
    drawn = drawings.diagram(Diagram("n", "N", "", NONE, stages))
    heights = numbers(drawn, "rect", "height")
    assert heights == sorted(heights, reverse=True)
    assert "W 2048×1024" in {one.text for one in parsed(drawn).iter("text")}
