"""The model card: a README.md beside a model, front matter as model hubs read it, and what figures do not say."""

import json
import re
from typing import TYPE_CHECKING, Any

from chainrule.data import Preparation
from chainrule.runs.model import Model
from chainrule.text import number

if TYPE_CHECKING:
    from chainrule.runs.run import Run


def card(run: "Run", which: str) -> str:
    """The text for the run's "model", or for its "best" row's: front matter, use, data, metrics, conditions, limits."""
    model = run.best if which == "best" and run.best is not None else run.model
    row = run.metrics[which]
    name = run.directory.name if run.directory else run.environment["data_name"]
    parts = [
        _front_matter(run, model, row, name),
        f"# {_text(name)}\n",
        f"A fully-connected network for {model.task} of {_count(model)}, trained with chainrule "
        f"{run.environment['versions']['chainrule']}. License: yours to choose; say it in the lines above.\n",
        f"```text\n{model.network!r}\n```\n",
        _use(model),
        _data(run, model),
        _metrics(run, which, row),
        _conditions(run),
        _limits(run, model, which),
    ]
    return "\n".join(parts)


def measured_on(run: "Run") -> str:
    """The part of the data that the figures are of: training rows, where none were held out."""
    return "validation" if run.metrics["rows"]["validation"] else "train"


def _values(run: "Run", row: dict[str, Any]) -> dict[str, float]:
    part = measured_on(run) + "_"
    return {name.removeprefix(part): value for name, value in row.items() if name.startswith(part)}


def _kind(model: Model) -> str:
    form = "image" if len(model.row_shape) == 3 else "tabular"
    return "tabular-regression" if model.task == "regression" else f"{form}-classification"


def _front_matter(run: "Run", model: Model, row: dict[str, Any], name: str) -> str:
    data, kind, values = run.environment["data_name"], _kind(model), _values(run, row)
    slug = re.sub(r"[^A-Za-z0-9._]+", "-", data).strip("-.") or "data"
    lines = ["---", "# license: mit  (yours to choose)", "library_name: chainrule", f"pipeline_tag: {kind}", "tags:",
             "- chainrule", "- multilayer-perceptron", f"- {kind}", "datasets:", f"- {_quoted(slug)}", "metrics:",
             *(f"- {metric}" for metric in values), "model-index:", f"- name: {_quoted(name)}", "  results:",
             "  - task:", f"      type: {kind}", "    dataset:", f"      name: {_quoted(data)}",
             f"      type: {_quoted(slug)}", f"      split: {measured_on(run)}", "    metrics:"]  # fmt: skip
    for metric, value in values.items():
        lines += [f"    - type: {metric}", f"      value: {value!r}"]
    return "\n".join([*lines, "---", ""])


def _use(model: Model) -> str:
    shape = "x".join(map(str, model.row_shape)) if model.row_shape else f"{model.preprocessing.n_in} numbers"
    if isinstance(model.preprocessing, Preparation):
        shape = f"{model.preprocessing.n_in} columns, found by their names in a data frame"
    return (
        '## Use\n\n```python\nimport chainrule as cr\n\nmodel = cr.load_model("path/to/this/folder")\n'
        f"model.predict(rows)  # raw rows of {shape}: the preprocessing is part of the model\n```\n\n"
        "`chainrule export` writes it as ONNX, for PyTorch or for NumPy alone. Nothing in this folder is pickled.\n"
    )


def _data(run: "Run", model: Model) -> str:
    about, rows = run.environment, run.metrics["rows"]
    fitted = f"{run.config.data.preprocessing}, fitted on training rows alone"
    kept = "that of the model that training started from" if run.config.start else fitted
    facts = {
        "name": _text(about["data_name"]),
        "note": _text(about["data_note"]),
        "sha256": f"`{about['data_sha256']}`",
        "training rows": f"{rows['train']:,}",
        "validation rows": f"{rows['validation']:,}",
        "test rows": f"{rows['test']:,}, not read by the training",
        "columns": f"{model.preprocessing.n_in:,}{_in_brackets(model.feature_names)}",
        **_of_table(model),
        "outputs": f"{len(model.target_names):,}{_in_brackets(model.target_names)}",
        "preprocessing": kept,
    }
    return _table("Data", ["fact", "value"], [[name, fact] for name, fact in facts.items() if fact])


def _of_table(model: Model) -> dict[str, str]:
    """Which columns hold words, how many the training rows had, and which had gaps."""
    table, names = model.preprocessing, model.feature_names
    if not isinstance(table, Preparation):
        return {}
    held = tuple(f"{names[i]}: {len(words):,}" for i, words in enumerate(table.categories) if words is not None)
    gaps = tuple(names[i] for i in table.gaps)
    return {
        "columns of categories": f"{len(held)}{_in_brackets(held)}" if held else "",
        "columns with gaps": f"{len(gaps)}{_in_brackets(gaps)}" if gaps else "",
    }


def _metrics(run: "Run", which: str, row: dict[str, Any]) -> str:
    part, intervals = measured_on(run), run.metrics["intervals"][which]
    rows = []
    for name, value in _values(run, row).items():
        found = intervals.get(f"{part}_{name}")
        interval = f"{number(found[0])} to {number(found[1])}" if found else "not known"
        rows.append([name.replace("_", " "), number(value), interval])
    n = run.metrics["rows"]["validation"]
    where = f"Of all {n:,} validation rows" if n else "Of training rows: none were held out"
    best = "best" in (which, run.metrics["kept"])
    chosen = f"the best row of the history by {run.metrics['monitor']}, step" if best else "the last step,"
    head = f"{where}, in evaluation mode. The parameters are those of {chosen} {row['step']:,}."
    return _table("Metrics", ["metric", "value", "95 % interval over rows"], rows, head)


def _conditions(run: "Run") -> str:
    about, config = run.environment, run.config
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items() if version)
    facts = {
        "seed": config.training.seed,
        "steps": f"{run.metrics['steps']:,} ({run.history[-1]['epoch']:.4g} epochs), batches of "
                 f"{config.training.batch_size:,} rows",
        "optimizer": f"`{config.optimizer!r}`",
        "schedule": f"`{config.schedule!r}`",
        "loss": f"`{run.model.loss!r}`",
        "started from": f"a trained model, sha256 `{config.start.sha256}`" if config.start else "random weights",
        "computed on": ", ".join(about[name] for name in ("backend", "device", "precision")),
        "threads": about["threads"],
        "hardware": f"{_text(about['cpu'])}, {about['cores']} cores",
        "system": _text(about["system"]),
        "versions": versions,
    }  # fmt: skip
    return _table("Conditions", ["fact", "value"], [[name, str(fact)] for name, fact in facts.items()])


def _limits(run: "Run", model: Model, which: str) -> str:
    chose = "best" in (which, run.metrics["kept"]) or run.config.evaluation.patience is not None
    held_out = run.metrics["rows"]["validation"] > 0
    flatter = ", which also chose when to stop, so they flatter" if chose else ""
    says = [
        f"The figures are of validation rows{flatter}. To choose between models by them flatters as well: "
        "`chainrule evaluate` reads the test rows."
        if held_out
        else "No rows were held out, so the figures say nothing about new rows.",
        "The intervals are over rows, for this one network; another seed would give another network."
        if run.metrics["intervals"]["model"]
        else "There are no intervals: no rows were held out, or they are weighted.",
        "Rows from elsewhere, in other units or of a later time were not measured, nor was any group of rows apart.",
        "A row unlike all training rows gets a prediction as sure as any other.",
    ]
    if model.task != "regression":
        says.append("Probabilities are the network's own; whether they are calibrated was not measured.")
    return "## Limits\n\n" + "\n".join(f"- {sentence}" for sentence in says) + "\n"


def _count(model: Model) -> str:
    n = len(model.target_names)
    noun = {"classification": "class", "multilabel": "label", "regression": "number"}[model.task]
    return f"{n:,} {noun}{'' if n == 1 else 'es' if noun == 'class' else 's'}"


def _in_brackets(names: tuple[str, ...]) -> str:
    shown = _text(", ".join(names[:20])) + (", ..." if len(names) > 20 else "")
    return f" ({shown})" if names else ""


def _table(title: str, header: list[str], rows: list[list[str]], above: str = "") -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join([f"## {title}\n", *([f"{above}\n"] if above else []), *lines, ""])


def _text(value: str) -> str:
    """Text in which Markdown and HTML mean nothing, on one line."""
    shown = "".join(c if c.isprintable() else " " for c in value)
    return re.sub(r"([\\`*_{}\[\]<>|#~&])", r"\\\1", shown)


def _quoted(value: str) -> str:
    """A text in YAML: JSON, with what does not print escaped."""
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in json.dumps(value, ensure_ascii=False))
