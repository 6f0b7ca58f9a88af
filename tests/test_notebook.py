"""What a notebook shows of networks, runs and studies: whole tables, nothing of a name taken for markup."""

from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

import chainrule as cr
from chainrule import notebook
from chainrule.study.text import notebook_tables

HOSTILE = "<script>alert(1)</script>\"'&\x1b[2J\u202e"
DIGITS = cr.read("digits")


class Table(HTMLParser):
    """Tags and the text of the cells; every tag is closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.rows, self.text = [], [], [], ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def runs():
    return cr.train(cr.mlp([8]), DIGITS, training=cr.Training(epochs=2), seeds=2)


def test_a_network_has_a_row_a_layer_and_its_totals():
    found = Table(cr.mlp([32]).sized(64, 10)._repr_html_())
    assert found.rows[0] == ["layer", "what", "width", "arrays", "parameters", "flops/row"]
    assert found.rows[1] == ["0", "linear 32", "64 -> 32", "W 64x32, b 32", "2,080", "4,128"]
    assert found.rows[-1][1:] == ["total", "64 -> 10", "", "2,410", "4,810"]
    assert Table(cr.mlp([32])._repr_html_()).text == repr(cr.mlp([32]))


def test_a_run_has_what_was_kept_the_best_and_the_last_row(runs):
    run = runs[0]
    found = Table(run._repr_html_())
    assert [row[0] for row in found.rows] == ["", "kept (last)", "best", "last"]
    assert found.rows[0][1:3] == ["step", "epoch"]
    accuracy = found.rows[0].index("validation accuracy")
    assert found.rows[3][accuracy] == f"{run.history[-1]['validation_accuracy']:.4f}"
    assert "seed 0; 22 steps in" in found.text
    assert repr(run).startswith("Run(Network(64 | linear 8")


def test_a_run_without_validation_rows_has_no_best():
    run = cr.train(cr.mlp([4]), DIGITS, training=cr.Training(epochs=1), split=cr.Split(validation=0))
    assert [row[0] for row in Table(run._repr_html_()).rows] == ["", "kept (last)", "last"]


def test_runs_are_a_list_and_a_table(runs):
    assert isinstance(runs, list)
    assert repr(runs) == f"[{runs[0]!r}, {runs[1]!r}]"
    found = Table(runs._repr_html_())
    assert [row[1] for row in found.rows] == ["seed", "0", "1"]
    assert cr.Runs()._repr_html_() == "<p>no runs</p>"


def test_a_study_has_its_best_trials_and_its_finalists(tmp_path):
    (tmp_path / "s.toml").write_text(
        '[train.training]\nepochs = 1\n[space]\n"network.hidden" = [[4], [8]]\n[search]\nsampler = "grid"\n'
        'metric = "validation_accuracy"\n[finalists]\nn = 1\nseeds = 2\n'
    )
    outcome = cr.run_study(cr.load_study(tmp_path / "s.toml"), tmp_path / "out")
    found = Table(outcome._repr_html_())
    assert found.rows[0][:3] == ["trial", "network.hidden", "validation_accuracy"]
    assert len(found.rows) == 5
    assert "test accuracy" in found.rows[3]
    assert "finalists, trained again with fresh seeds" in found.text


def test_names_are_text_wherever_they_come_from(runs):
    class Odd(cr.Layer):
        kind = HOSTILE

        def forward(self, parameters, x, context):
            return x, lambda dy: (dy, {})

    network = cr.Network((cr.Linear(4), Odd(), cr.Linear(2)), n_in=3)
    run = replace(runs[0], environment=runs[0].environment | {"data_name": HOSTILE}, directory=HOSTILE)
    asked = SimpleNamespace(name=HOSTILE, metric=HOSTILE, space=[SimpleNamespace(path=HOSTILE)])
    one = {"trial": 0, "params": {HOSTILE: HOSTILE}, "interval_95": None, "value": None, "state": "failed",
           "reason": HOSTILE, "seed_values": []}  # fmt: skip
    for html in (network._repr_html_(), run._repr_html_(), cr.Runs([run])._repr_html_(),
                 notebook_tables(asked, {"best": [one], "finalists": []})):  # fmt: skip
        found = Table(html)
        assert set(found.tags) <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}
        assert "<script>alert(1)</script>\"'&\\x1b[2J\\u202e" in found.text
        assert "\x1b" not in html


def test_colours_are_the_notebooks_own():
    html = notebook.table("a", ["n"], [[1]], below="b")
    assert "currentColor" in html
    assert "inherit" in html
    assert not any(word in html for word in ("#", "rgb", "background", "white", "black"))
