"""The model card: what a hub reads, figures with intervals, what they do not say; sealed, and its owner's to edit."""

import json
import shutil

import numpy as np
import pytest
import yaml

import chainrule as cr
from chainrule.runs.integrity import verify
from chainrule.runs.sealed import read_sealed

DIGITS = cr.read("digits")
NUMPY = cr.Compute(backend="numpy", threads=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> cr.Run:
    return cr.train(cr.mlp([12]), DIGITS, training=cr.Training(epochs=3, seed=7), compute=NUMPY,
                    output=tmp_path_factory.mktemp("card") / "digits-1")  # fmt: skip


def text(run: cr.Run, part: str = "model") -> str:
    return (run.directory / part / "README.md").read_text()


def front(card: str) -> dict:
    _, matter, _ = card.split("---\n", 2)
    return yaml.safe_load(matter)


def rows_of(card: str) -> dict[str, list[str]]:
    lines = [[cell.strip("| ") for cell in line.split(" | ")] for line in card.splitlines()]
    return {first: rest for first, *rest in lines if rest}


def test_the_front_matter_is_what_hubs_read(run):
    found, metrics = front(text(run)), run.metrics["model"]
    assert found["library_name"] == "chainrule"
    assert found["pipeline_tag"] == "image-classification"
    assert found["tags"] == ["chainrule", "multilayer-perceptron", "image-classification"]
    assert found["datasets"] == ["digits"]
    assert found["metrics"] == ["loss", "accuracy"]
    assert "license" not in found
    (one,) = found["model-index"]
    assert one["name"] == "digits-1"
    (result,) = one["results"]
    assert result["dataset"] == {"name": "digits", "type": "digits", "split": "validation"}
    assert result["metrics"] == [
        {"type": name, "value": metrics[f"validation_{name}"]} for name in ("loss", "accuracy")
    ]  # fmt: skip


def test_the_text_names_data_figures_and_conditions(run):
    facts = rows_of(text(run))
    assert facts["sha256"] == [f"`{DIGITS.digest}`"]
    assert facts["training rows"] == ["1,294"]
    assert facts["test rows"] == ["359, not read by the training"]
    low, high = run.metrics["intervals"]["model"]["validation_accuracy"]
    value = run.metrics["model"]["validation_accuracy"]
    assert low < value < high
    assert facts["accuracy"] == [f"{value:.4f}", f"{low:.4f} to {high:.4f}"]
    assert facts["seed"] == ["7"]
    assert facts["started from"] == ["random weights"]
    assert f"numpy {np.__version__}" in facts["versions"][0]
    assert "Of all 144 validation rows, in evaluation mode. The parameters are those of the last step, 33." in text(run)
    assert "which also chose when to stop" not in text(run)
    assert "which also chose when to stop, so they flatter" in text(run, "best")
    assert "The parameters are those of the best row of the history by validation_loss, step" in text(run, "best")


def test_it_is_sealed_and_verify_tells_of_a_change_but_the_model_loads(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run.directory, folder)
    assert "README.md" in json.loads((folder / "model" / "manifest.json").read_text())["files"]
    assert set(verify(folder).values()) == {None}
    card = folder / "model" / "README.md"
    card.write_text(card.read_text().replace("# license: mit  (yours to choose)", "license: mit"))
    assert front(card.read_text())["license"] == "mit"
    assert "README.md is damaged: it has" in verify(folder)["model"]
    assert "README.md is damaged: it has" in verify(folder / "model")[str(folder / "model")]
    np.testing.assert_array_equal(cr.load_run(folder).model.scores(DIGITS.X), run.model.scores(DIGITS.X))
    card.unlink()
    assert "README.md is damaged: it cannot be read" in verify(folder)["model"]
    cr.load_model(folder / "model")


def test_folders_without_a_card_are_read_and_the_weights_are_the_same(run, tmp_path):
    run.model.save(tmp_path / "bare")
    assert sorted(read_sealed(tmp_path / "bare")) == ["model.json", "weights.safetensors"]
    bare, carded = (folder / "weights.safetensors" for folder in (tmp_path / "bare", run.directory / "model"))
    assert bare.read_bytes() == carded.read_bytes()
    np.testing.assert_array_equal(cr.load_model(tmp_path / "bare").scores(DIGITS.X), run.model.scores(DIGITS.X))
    cr.load_model(run.directory / "model").save(run.directory / "best", "# mine\n")
    assert (run.directory / "best" / "README.md").read_text() == "# mine\n"


def test_a_readme_that_is_no_models_is_not_replaced(run, tmp_path):
    (tmp_path / "README.md").write_text("my project")
    with pytest.raises(cr.ConfigError, match=r"holds other files, such as README\.md"):
        run.model.save(tmp_path, "# card\n")
    assert (tmp_path / "README.md").read_text() == "my project"


def regression(weight=None, validation=0.3):
    draw = np.random.default_rng(0)
    X = draw.normal(size=(200, 3))
    y = np.stack([X[:, 0] * 100, X[:, 1]], axis=1) + draw.normal(size=(200, 2))
    data = cr.Dataset("houses", X, y, "regression", ("price", "size"), weight=weight)
    return data, cr.train(cr.mlp([8]), data, training=cr.Training(epochs=3), compute=NUMPY,
                          evaluation=cr.Evaluation(metrics=("r2",)), split=cr.Split(validation=validation))  # fmt: skip


def test_intervals_of_numbers_are_those_of_row_means():
    data, run = regression()
    rows = cr.split(data, cr.Split(validation=0.3))["validation"]
    errors = run.model.predict(data.X[rows], NUMPY) - data.y[rows]
    for name, values, back in (("mae", np.abs(errors), lambda x: x), ("rmse", errors**2, np.sqrt)):
        per_row = values.mean(axis=1)
        ends = per_row.mean() + np.array([-1.96, 1.96]) * per_row.std(ddof=1) / np.sqrt(len(rows))
        np.testing.assert_allclose(run.metrics["intervals"]["model"][f"validation_{name}"], back(ends), rtol=1e-4)
    low, high = run.metrics["intervals"]["model"]["validation_loss"]
    assert low < run.metrics["model"]["validation_loss"] < high
    assert "validation_r2" not in run.metrics["intervals"]["model"]


def test_labels_have_an_interval_too():
    y = np.stack([DIGITS.y % 2, DIGITS.y > 4], axis=1).astype(int)
    data = cr.Dataset("labels", DIGITS.X, y, "multilabel", ("odd", "large"))
    run = cr.train(cr.mlp([8]), data, training=cr.Training(epochs=1), compute=NUMPY)
    low, high = run.metrics["intervals"]["model"]["validation_label_accuracy"]
    assert low < run.metrics["model"]["validation_label_accuracy"] < high


def test_weighted_rows_and_none_held_out_have_no_intervals(tmp_path):
    from chainrule.runs.card import card

    _, weighted = regression(np.linspace(0.5, 1, 200))
    assert weighted.metrics["intervals"] == {"model": {}, "best": {}}
    assert "There are no intervals: no rows were held out, or they are weighted." in card(weighted, "model")
    assert rows_of(card(weighted, "model"))["mae"][1] == "not known"
    _, alone = regression(validation=0)
    assert alone.metrics["intervals"] == {"model": {}, "best": None}
    text = card(alone, "model")
    assert "No rows were held out, so the figures say nothing about new rows." in text
    assert "Of training rows: none were held out, in evaluation mode." in text
    assert front(text)["model-index"][0]["results"][0]["dataset"]["split"] == "train"
    assert front(text)["pipeline_tag"] == "tabular-regression"


def test_names_cannot_write_the_card(tmp_path):
    """Names come from files: they must neither end the front matter nor open a tag, a link or a column."""
    from chainrule.runs.card import card

    evil = 'x"\n---\n# <script>alert(1)</script> | [a](b) \x1b \u202e \U0001f600 `'
    X = np.random.default_rng(0).normal(size=(60, 2))
    data = cr.Dataset(evil, X, np.arange(60) % 2, "classification", (evil, "b"), feature_names=("|", "<b>"), note=evil)
    text = card(cr.train(cr.mlp([4]), data, training=cr.Training(epochs=1), compute=NUMPY), "model")
    found = front(text)
    assert found["model-index"][0]["results"][0]["dataset"]["name"] == evil
    assert found["datasets"] == ["x-script-alert-1-script-a-b"]
    body = text.split("---\n", 2)[2]
    assert "<script>" not in body
    assert "\x1b" not in text
    assert not any(line.startswith("# <") for line in body.splitlines())
    names = next(line for line in body.splitlines() if line.startswith("| name |"))
    assert names.replace(r"\|", "").count("|") == 3


def test_the_interval_of_a_negative_loss_holds_it_and_that_of_a_share_stays_below_1():
    draw = np.random.default_rng(0)
    X = draw.normal(size=(200, 3))
    counts = cr.Dataset("counts", X, draw.poisson(np.exp(3 + X[:, 0] / 4)).astype(float), "regression", ("n",))
    how = {"training": cr.Training(epochs=30, batch_size=20), "optimizer": cr.Adam(3e-2), "compute": NUMPY}
    run = cr.train(cr.mlp([8]), counts, loss=cr.Poisson(), **how)
    low, high = run.metrics["intervals"]["model"]["validation_loss"]
    assert low < run.metrics["model"]["validation_loss"] < high < 0
    labels = cr.Dataset("labels", X, (X > 0).astype(int), "multilabel", ("a", "b", "c"))
    run = cr.train(cr.mlp([8]), labels, **how)
    low, high = run.metrics["intervals"]["model"]["validation_label_accuracy"]
    assert low <= run.metrics["model"]["validation_label_accuracy"] <= high <= 1
