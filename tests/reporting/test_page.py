"""The page as text: escaping, policy, size, the same bytes again, and what it says in every state of a run."""

import json
import re
import shutil
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import ConfigError, DamagedError, DataError
from chainrule.reporting.blocks import Diagnosed, Matrix, Points, Table, Tiles, Words
from chainrule.reporting.compose import compose
from chainrule.reporting.groups import Group, over_seeds
from chainrule.reporting.page import html
from chainrule.runs.integrity import seal_run
from reported import DIGITS, HOSTILE, edited, hostile_runs, unfinish


class Elements(HTMLParser):
    """Every start tag with its attributes, and all text outside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.inside = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag if tag in ("script", "style") else None

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside is None:
            self.text.append(data)


def blocks(page, section, kind):
    [found] = [one for one in page.sections if one.name == section]
    return [block for block in found.blocks if isinstance(block, kind)]


def test_the_policy_allows_what_is_inlined_and_nothing_else(runs):
    text = cr.report(runs / "wide")
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "connect-src" not in rules

    def digest(content):
        return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"

    assert [digest(one) for one in re.findall(r"<style>(.*?)</style>", text, re.S)] == rules["style-src"].split()
    assert [digest(one) for one in re.findall(r"<script>(.*?)</script>", text, re.S)] == rules["script-src"].split()
    elements = Elements(text)
    assert not any("style" in attributes for _, attributes in elements.tags)
    sources = [
        value for _, attributes in elements.tags for name, value in attributes.items() if name in ("src", "href")
    ]
    assert all(value.startswith(("data:", "#")) for value in sources)


def test_hostile_names_stay_text(tmp_path):
    paths, data = hostile_runs(tmp_path)
    text = cr.report(paths, data)
    elements = Elements(text)
    assert not any("onerror" in attributes for _, attributes in elements.tags)
    assert {tag for tag, _ in elements.tags} <= {
        "html", "head", "meta", "title", "link", "style", "body", "a", "header", "p", "h1", "h2", "h3", "h4", "nav", "ul",
        "li", "main", "noscript", "section", "div", "dl", "dt", "dd", "table", "caption", "thead", "tbody", "tr", "th",
        "td", "figure", "figcaption", "details", "summary", "svg", "g", "circle", "rect", "line", "path", "text", "img",
        "span", "pre", "article", "footer", "script",
    }  # fmt: skip
    assert HOSTILE.split("\x1b")[0] in "".join(elements.text)
    for character in "\x1b\u202e\x07\u2066":
        assert character not in text
    [data_block] = re.findall(r'<script type="application/json" id="curves">(.*?)</script>', text, re.S)
    assert "onerror" in data_block
    assert not set("<>&\u2028\u2029") & set(data_block)
    json.loads(data_block)
    written = re.sub("````toml.*?````", "", cr.report(paths, data, format="md"), flags=re.S)
    assert written.count("<img") == written.count("\\<img") > 5


def test_the_same_page_again(runs, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    first = cr.report([runs / "wide", runs / "narrow"])
    assert cr.report([runs / "wide", runs / "narrow"]) == first
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    dated = cr.report([runs / "wide", runs / "narrow"])
    assert "2026-01-01 00:00 UTC" in dated
    assert dated.replace(" · 2026-01-01 00:00 UTC", "") == first
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "soon")
    with pytest.raises(ConfigError, match="SOURCE_DATE_EPOCH is 'soon'; expected seconds since 1970"):
        cr.report(runs / "wide")


def test_a_moved_run_has_the_same_page(runs, tmp_path):
    shutil.copytree(runs / "wide", tmp_path / "elsewhere" / "wide")
    assert cr.report(tmp_path / "elsewhere" / "wide") == cr.report(runs / "wide")


def test_fifty_runs_stay_below_a_megabyte(tmp_path):
    """The worst case: images of noise, long histories, every run of a configuration of its own."""
    rng = np.random.default_rng(0)
    data = cr.Dataset("noise", rng.integers(0, 256, (240, 3072), dtype=np.uint8), np.arange(240) % 10,
                      "classification", tuple("abcdefghij"), row_shape=(3, 32, 32))  # fmt: skip
    cr.train(cr.mlp([70]), data, training=cr.Training(epochs=1, batch_size=64), output=tmp_path / "run")
    paths = []
    for i in range(50):
        path = tmp_path / f"a-run-with-a-rather-long-name-{i:02d}"
        shutil.copytree(tmp_path / "run", path)
        config = (path / "config.toml").read_text()
        (path / "config.toml").write_text(config.replace("lr = 0.001", f"lr = {0.001 * (i + 1):.3f}", 1))

        def long(rows, i=i):
            noise = np.random.default_rng(i).lognormal(size=(600, 9))
            names = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "lr", "gradient_norm")
            return [rows[0] | dict(zip(names, map(float, row[:6]), strict=False)) | {"step": (i + 3) * (k + 1), "epoch": k / 2}
                    | {"gradient_norms": {"0.W": float(row[6]), "2.W": float(row[7])}, "update_ratios": {"0.W": float(row[8])}}
                    for k, row in enumerate(noise)]  # fmt: skip

        edited(path, long)
        seal_run(path)
        paths.append(path)
    page = compose(paths, data)
    assert len(blocks(page, "predictions", Matrix)) == 3
    size = len(html(page).encode())
    assert 400_000 < size <= 1_000_000


def test_facts_of_a_group(runs):
    page = compose([runs / "wide"])
    [table] = blocks(page, "summary", Table)
    values = [cr.load_run(runs / "wide" / f"seed-{i}").metrics["model"]["validation_accuracy"] for i in range(3)]
    row = dict(zip(table.header, table.rows[0], strict=True))
    assert row["n"] == 3
    assert row["validation accuracy"] == pytest.approx(sum(values) / 3)
    assert row["parameters"] == 64 * 24 + 24 + 24 * 10 + 10
    assert row["95 % over seeds"].low < sum(values) / 3 < row["95 % over seeds"].high
    [matrix] = blocks(page, "predictions", Matrix)
    assert sum(map(sum, matrix.counts)) == 3 * 144
    assert sum(matrix.counts[i][i] for i in range(10)) / (3 * 144) == pytest.approx(sum(values) / 3)
    [calibration] = blocks(page, "predictions", Points)
    assert sum(calibration.counts) == 3 * 144
    [mistakes] = blocks(page, "predictions", Tiles)
    assert all((one.width, one.height, one.channels) == (8, 8, 1) for one in mistakes.tiles)
    [weights] = blocks(page, "network", Tiles)
    assert len(weights.tiles) == 24
    conditions = {row[0]: row[1] for row in blocks(page, "conditions", Table)[0].rows}
    assert conditions["data sha256"] == DIGITS.digest
    assert conditions["rows"] == "1,294 train, 144 validation, 359 test"
    assert {"numpy", "python", "cpu", "precision", "threads", "seeds"} <= conditions.keys()


def test_two_groups_are_compared_and_their_differences_listed(runs):
    text = cr.report([runs / "wide", runs / "narrow"])
    assert "wide is better." in text
    page = compose([runs / "wide", runs / "narrow"])
    [table] = blocks(page, "summary", Table)
    assert table.header[:3] == ("runs", "network", "n")
    assert [row[:3] for row in table.rows] == [
        ("wide", "linear 24 | relu | linear 10", 3), ("narrow", "linear 4 | relu | linear 10", 2),
    ]  # fmt: skip


def test_groups_on_other_data_are_not_mixed(runs, table, tmp_path):
    other = cr.Dataset("other", DIGITS.X[:300], DIGITS.y[:300], "classification", DIGITS.target_names)
    cr.train(cr.mlp([4]), other, training=cr.Training(epochs=1), output=tmp_path / "other")
    page = compose([runs / "wide", tmp_path / "other"])
    [words] = blocks(page, "conclusions", Words)
    assert words.text.startswith("Not compared: ")
    assert words.text.endswith("were trained on different data; they cannot be compared")
    [note] = blocks(page, "closely", Words)
    assert note.text == "1 of 2 groups had other data than the first, and have no part in what follows."
    assert len(blocks(page, "predictions", Matrix)) == 1
    cr.train(cr.mlp([4]), table, training=cr.Training(epochs=1), output=tmp_path / "numbers")
    assert "Rmse" in cr.report([runs / "wide", tmp_path / "numbers"])  # its curves are shown beside the others


def test_setbacks_are_told(runs, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs / "wide" / "seed-0", run)
    metrics = json.loads((run / "metrics.json").read_text())
    metrics["setbacks"] = [{"step": 9, "back_to": 3, "where": "the loss"}]
    (run / "metrics.json").write_text(json.dumps(metrics))
    seal_run(run)
    assert "run, seed 0, diverged 1 time and went back with half the learning rate." in cr.report(run)


def test_a_run_counts_once(runs):
    with pytest.raises(ConfigError, match="wide: two runs have the same seed and configuration; a run counts once"):
        compose([runs / "wide", runs / "wide" / "seed-1"])


def test_mistakes_of_use(runs):
    with pytest.raises(ConfigError, match="nothing to report on"):
        cr.report([])
    with pytest.raises(ConfigError, match="format 'pdf': expected html or md"):
        cr.report(runs / "wide", format="pdf")


def test_rows_by_layer_are_drawn_where_history_has_them(runs, tmp_path):
    shutil.copytree(runs / "wide" / "seed-0", tmp_path / "run")

    def layered(rows):
        return [row | {"gradient_norms": {"0.W": 0.5, "2.W": 0.25}, "update_ratios": {"0.W": 1e-3}} for row in rows]

    def whole(rows):
        return [{name: row[name] for name in row if name not in ("gradient_norms", "update_ratios")} for row in rows]

    edited(tmp_path / "run", whole)
    seal_run(tmp_path / "run")
    assert "layer-gradients" not in cr.report(tmp_path / "run")
    edited(tmp_path / "run", layered)
    seal_run(tmp_path / "run")
    figures = {one.name: one for one in compose([tmp_path / "run"]).figures()}
    assert [line.name for line in figures["layer-gradients"].lines] == ["0.W", "2.W"]
    assert figures["update-ratios"].lines[0].y == (1e-3,) * 4


def test_an_unfinished_run_is_shown_as_far_as_it_has_come(runs, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs / "wide" / "seed-0", run)
    edited(run, lambda rows: rows[:2])
    unfinish(run)
    with (run / "history.jsonl").open("a") as file:
        file.write('{"step": 63, "epo')  # a row in writing
    page = compose([run])
    text = cr.report(run)
    assert "wide, seed 0, has not finished: at step" not in text
    assert "run, seed 0, has not finished: at step 42, epoch 2." in text
    assert "The run has not finished; what needs its model will be here when it has." in text
    assert len(next(page.figures()).lines[0].x) == 2
    assert blocks(page, "diagnosis", Diagnosed)
    (run / "history.jsonl").write_text("")
    assert "No row of history has been written yet." in cr.report(run)


def test_a_damaged_run_is_refused(runs, tmp_path):
    shutil.copytree(runs / "wide" / "seed-0", tmp_path / "run")
    (tmp_path / "run" / "history.jsonl").write_text("")
    with pytest.raises(DamagedError, match=r"history\.jsonl is damaged"):
        cr.report(tmp_path / "run")
    with pytest.raises(ConfigError, match="holds no run"):
        cr.report(tmp_path)


def test_without_the_data_the_page_says_so(table, tmp_path):
    cr.train(cr.mlp([8]), table, training=cr.Training(epochs=2), output=tmp_path / "run")
    page = compose([tmp_path / "run"])
    [words] = blocks(page, "predictions", Words)
    assert words.text.startswith("The data could not be read again: made: the run was trained on data given in Python")
    assert "What needs them is left out." in cr.report(tmp_path / "run")
    page = compose([tmp_path / "run"], table)
    [scatter] = blocks(page, "predictions", Points)
    assert len(scatter.points) == 24
    [worst] = blocks(page, "predictions", Table)
    assert worst.header == ("row", "true", "predicted", "a", "b", "c")
    errors = [abs(row[1] - row[2]) for row in worst.rows]
    assert errors == sorted(errors, reverse=True)
    with pytest.raises(DataError, match="these are not the data that run was trained on"):
        compose([tmp_path / "run"], DIGITS)


def test_labels(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    data = cr.Dataset(
        "labels", X, (X[:, :2] + 0.5 * rng.normal(size=(300, 2)) > 0).astype(int), "multilabel", ("l", "m")
    )
    run = cr.train(cr.mlp([8]), data, training=cr.Training(epochs=5), output=tmp_path / "run")
    page = compose([run], data)
    figures = {one.name: one for one in page.figures()}
    assert figures["classes"].labels == ("l", "m")
    share = sum(figures["classes"].values) / 2
    assert share == pytest.approx(run.metrics["model"]["validation_label_accuracy"])
    assert sum(figures["calibration"].counts) == 2 * 24


def test_a_run_in_memory(runs):
    run = cr.train(cr.mlp([4]), DIGITS, training=cr.Training(epochs=1))
    text = cr.report(run)
    assert "<h1>run</h1>" in text
    assert "Not diagnosed: a run in memory keeps no checkpoint." in text


def test_many_classes_are_an_image(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(1200) % 40
    data = cr.Dataset(
        "many", rng.normal(size=(1200, 5)) + y[:, None], y, "classification", tuple(f"class {i}" for i in range(40))
    )
    run = cr.train(cr.mlp([8]), data, training=cr.Training(epochs=1), output=tmp_path / "run")
    text = cr.report(run, data)
    assert "confusion matrix: 40 classes, a pixel a cell" in text.lower()
    assert "Of 40, the 30 lowest are drawn." in text


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("history.jsonl", '{"step": "x"}\n', "row 1 has no step; the run is damaged"),
        ("history.jsonl", "[1]\n", "row 1 has no step; the run is damaged"),
        ("environment.json", "[]", "holds no table; the run is damaged"),
    ],
)
def test_a_damaged_unfinished_run_is_refused(runs, tmp_path, file, content, message):
    shutil.copytree(runs / "wide" / "seed-0", tmp_path / "run")
    unfinish(tmp_path / "run")
    (tmp_path / "run" / file).write_text(content)
    with pytest.raises(cr.DamagedError, match=message):
        cr.report(tmp_path / "run")


def test_a_run_in_memory_with_a_layer_of_ones_own():
    @dataclass(frozen=True)
    class Square(cr.Layer):
        def forward(self, parameters, x, context):
            return x * x, lambda dy: (2 * x * dy, {})

    run = cr.train(cr.Network((cr.Linear(4), Square(), cr.Linear())), DIGITS, training=cr.Training(epochs=1))
    assert "Square" in cr.report(run)


def test_the_interval_over_seeds_of_a_loss_that_cannot_be_negative_ends_at_0():
    def lowest(loss):
        config = SimpleNamespace(loss=loss)
        runs = [SimpleNamespace(run=None, config=config, history=[{"validation_loss": value}]) for value in (0.7, 1.3)]
        return over_seeds(Group("a", tuple(runs), 0), "validation_loss")[1].low

    assert lowest(cr.Huber()) == 0
    assert lowest(cr.Poisson()) < -2
