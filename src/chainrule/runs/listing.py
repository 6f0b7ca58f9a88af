"""Several runs as a table: a line each."""

from collections.abc import Sequence

from chainrule import notebook
from chainrule.runs.run import Run
from chainrule.text import number


def listing(runs: Sequence[Run]) -> tuple[list[str], list[list[object]]]:
    """Header and rows: directory, seed, epoch, the metrics of the model that was kept, seconds."""
    measured = [name for name in runs[0].metrics["model"] if name not in ("step", "epoch")]
    rows: list[list[object]] = [
        [run.directory or "in memory", run.config.training.seed, f"{run.metrics['model']['epoch']:.4g}",
         *(number(run.metrics["model"][name]) for name in measured), f"{run.metrics['seconds']:.1f}"]
        for run in runs
    ]  # fmt: skip
    return ["run", "seed", "epoch", *(name.replace("_", " ") for name in measured), "seconds"], rows


class Runs(list[Run]):
    """A list of runs that a notebook shows as a table.

    >>> from chainrule import mlp, read, train
    >>> runs = train(mlp([16]), read("digits"), seeds=2)
    >>> len(runs), runs._repr_html_().count("<tr>")
    (2, 3)
    """

    def _repr_html_(self) -> str:
        if not self:
            return "<p>no runs</p>"
        header, rows = listing(self)
        return notebook.table(repr(self[0].model.network), header, rows, right=range(1, len(header)))
