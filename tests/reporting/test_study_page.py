"""The page of a study: finalists and their test figures, options, importance, pruned and failed trials."""

import shutil
from dataclasses import replace

import pytest

import chainrule as cr
from chainrule.reporting.about_study import ledgered
from chainrule.reporting.blocks import Curves, Dots, Headline, Matrix, Points, Sentences, Table, Words
from chainrule.reporting.compose import compose
from chainrule.reporting.options import Scale, against_each, parallel
from chainrule.study.ledger import Trial, open_ledger
from chainrule.study.space import Parameter


@pytest.fixture(scope="module")
def page(study):
    return compose([study])


def of(page, section, kind):
    [found] = [one for one in page.sections if one.name == section]
    return [block for block in found.blocks if isinstance(block, kind)]


def test_finalists_have_fresh_and_test_figures_with_intervals(page, study):
    found = ledgered(study, None)
    [table] = of(page, "finalists", Table)
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    assert sorted(row["trial"] for row in rows) == [12, 13]
    best = max(found.finalists, key=lambda one: one.value)
    assert (rows[0]["trial"], rows[0]["validation accuracy"]) == (best.number, best.value)
    assert rows[0]["95 % over seeds"].low < best.value < rows[0]["95 % over seeds"].high
    tested = [entry for entry in found.readings[0]["result"]["finalists"] if entry["trial"] == best.number]
    shares = [run["metrics"]["accuracy"] for run in tested[0]["runs"]]
    assert rows[0]["test accuracy"] == pytest.approx(sum(shares) / 2)
    [headline] = of(page, "summary", Headline)
    assert headline.items[1][0] == "test accuracy, best finalist"
    assert headline.items[1][2].endswith("359 rows")


def test_the_reading_of_the_test_rows_is_told(page, study):
    at = ledgered(study, None).readings[0]["at"]
    [told] = of(page, "summary", Sentences)
    assert f"The test rows have been read once: {at[:10]} {at[11:16]} UTC." in told.items
    [pairs] = of(page, "conclusions", Sentences)
    assert len(pairs.items) == 1
    assert "on 359 test rows (paired over 2 seeds)" in pairs.items[0]
    assert pairs.items[0].startswith("finalist 1")


def test_a_study_without_a_reading_is_compared_on_validation_rows(tmp_path):
    (tmp_path / "two.toml").write_text(
        '[train.data.split]\ntest = 0\n[train.training]\nepochs = 1\n[space]\n"network.hidden" = [[4], [8]]\n'
        '[search]\nsampler = "grid"\nmetric = "validation_accuracy"\n[finalists]\nn = 2\nseeds = 2\n'
    )
    cr.run_study(cr.load_study(tmp_path / "two.toml"), tmp_path / "two")
    page = compose([tmp_path / "two"])
    assert "The test rows have not been read." in of(page, "summary", Sentences)[0].items
    assert " validation rows (paired over 2 seeds)" in of(page, "conclusions", Sentences)[0].items[0]
    assert not [one for one in page.sections if one.name in ("importance", "parallel")]  # one option


def test_every_option_has_its_figure(page, study):
    found = ledgered(study, None)
    finished = [one for one in found.trials if one.state == "finished"]
    hidden, rate = of(page, "options", Points)
    assert (hidden.title, hidden.x_label) == ("Validation accuracy against network.hidden", "network.hidden")
    assert sum(not one.apart for one in hidden.points) == len(finished)
    assert sum(one.apart for one in hidden.points) == 2
    assert {one.x for one in hidden.points} <= {4.0, 8.0, 16.0}
    assert (hidden.log, rate.log) == (False, True)
    assert all(one.interval is not None for one in rate.points if one.apart)
    left_out = len(found.trials) - len(finished)
    assert f"{left_out} trials that were pruned" in hidden.note


def test_pruned_trials_keep_their_reasons(page, study):
    pruned = [one for one in ledgered(study, None).trials if one.state == "pruned"]
    assert pruned
    tables = {one.title: one for one in of(page, "trials", Table)}
    rows = tables["Pruned trials"].rows
    assert [(row[0], row[-1]) for row in rows] == [(one.number, one.reason) for one in pruned]
    [curves] = of(page, "trials", Curves)
    assert {line.name for line in curves.lines if line.dashed} == {
        f"trial {one.number}, pruned" for one in pruned if len(one.curve) > 1
    }


def test_more_trials_than_are_listed_are_listed_by_a_command(study, monkeypatch):
    monkeypatch.setattr("chainrule.reporting.about_study.LISTED", 1)
    [words] = of(compose([study]), "trials", Words)
    assert words.text.startswith("By their metric, which chose them, so the best are flattered. The best 1 of ")
    assert (words.text.endswith("; all of them:"), words.command) == (True, "chainrule trials STUDY")


def test_failed_trials_keep_their_reasons(tmp_path):
    (tmp_path / "fails.toml").write_text(
        '[train.training]\nepochs = 1\n[space]\n"optimizer.lr" = [1e-3, 1e30]\n[train.optimizer]\nkind = "sgd"\n'
        '[search]\nsampler = "grid"\n[finalists]\nn = 0\n'
    )
    cr.run_study(cr.load_study(tmp_path / "fails.toml"), tmp_path / "fails")
    page = compose([tmp_path / "fails"])
    [failed] = [one for one in of(page, "trials", Table) if one.title == "Failed trials"]
    assert failed.rows[0][0] == 1
    assert "DivergenceError" in failed.rows[0][-1]
    assert of(page, "best", Words)[0].text.startswith("Looked at closely: trial 0: optimizer.lr = 0.001")


def test_importance_needs_trials(page, study):
    finished = sum(one.state == "finished" for one in ledgered(study, None).trials)
    words = of(page, "importance", Words)
    bars = of(page, "importance", Dots)
    if finished < 10:
        assert words[0].text == f"{finished} finished trials; importances mean something from 10 on."
    else:
        assert sum(bars[0].values) == pytest.approx(1)


def test_importance_has_nothing_to_explain_where_all_trials_came_to_the_same(tmp_path):
    (tmp_path / "same.toml").write_text(
        '[train.training]\nepochs = 1\n[space]\n"optimizer.lr" = {low = 1e-12, high = 1e-11}\n'
        '"training.penalty" = {low = 0.0, high = 1e-12}\n[search]\nsampler = "random"\ntrials = 10\n'
        'metric = "validation_accuracy"\n[finalists]\nn = 0\n'
    )
    cr.run_study(cr.load_study(tmp_path / "same.toml"), tmp_path / "same")
    [words] = of(compose([tmp_path / "same"]), "importance", Words)
    assert words.text.startswith("10 finished trials that all came to validation_accuracy 0.")


def test_the_best_finalist_is_looked_at_closely(page):
    [matrix] = of(page, "predictions", Matrix)
    assert sum(map(sum, matrix.counts)) == 2 * 144
    assert next(one.title for one in page.sections if one.name == "learning") == "Learning of the best finalist"


def test_names_are_unique_with_runs_beside(study, runs):
    names = [one.name for one in compose([runs / "wide", study, study]).figures()]
    assert len(names) == len(set(names))


def trial(number, value, **params):
    return Trial(number, 0, params, state="finished", value=value)


def test_parallel_coordinates_by_hand(study):
    made = ledgered(study, None).study
    space = (Parameter("a", (), 1.0, 100.0, log=True), Parameter("b", ("x", "y")))
    made = replace(made, space=space)
    trials = [trial(0, 0.5, a=1.0, b="y"), trial(1, 0.9, a=10.0, b="x"), trial(2, 0.7, a=100.0)]
    [figure] = parallel(made, trials).blocks
    assert figure.lines == ((0.0, 1.0, 0.0), (1.0, None, pytest.approx(0.5)), (0.5, 0.0, 1.0))
    assert figure.shades == (0.0, 0.5, 1.0)
    assert [axis.name for axis in figure.axes] == ["a", "b", "validation accuracy"]
    assert figure.axes[0].ticks == ((0.0, "1"), (0.5, "10"), (1.0, "100"))
    assert parallel(made, trials[:1]) is None
    assert against_each(made, [], []) is None


def test_scales_of_options():
    widths = Scale(Parameter("w", ([50], [300])), [[50], [300]])
    assert (widths.x([300]), widths.place([300]), widths.log) == (300.0, 1.0, False)
    mixed = Scale(Parameter("w", ([50], [50, 20])), [[50, 20], [50]])
    assert (mixed.names, mixed.x([50, 20])) == (["[50]", "[50, 20]"], 1.0)
    flags = Scale(Parameter("f", (True, False)), [False])
    assert (flags.numeric, flags.place(False), flags.ticks()) == (False, 0.5, ((0.5, "False"),))
    wide = Scale(Parameter("r", (1e-4, 1e-1)), [1e-4, 1e-1])
    assert wide.log


def test_a_study_while_it_runs(study, tmp_path):
    asked = ledgered(study, None).study
    shutil.copy(study / "study.toml", tmp_path)
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.sqlite'}", asked.name)
    ledger.create(tmp_path, 1)
    ledger.add_search(asked.plain)
    assert "The study has no trials yet." in cr.report(tmp_path)
    params = {"network.hidden": [4], "optimizer.lr": 0.01}
    ledger.begin(Trial(0, 0, params, state="running", attempt=1, curve=[0.3, 0.5]))
    ledger.close()
    page = compose([tmp_path])
    [running] = of(page, "trials", Table)
    assert running.title == "Running trials"
    assert running.rows == ((0, "[4]", "0.01", 2, 0.5, ""),)
    assert of(page, "summary", Headline)[0].items[0] == ("trials", "1", "1 running")
