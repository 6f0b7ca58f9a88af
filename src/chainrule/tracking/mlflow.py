"""MLflow: a run in a SQLite file or a folder."""

import logging
import os
import re
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from chainrule.errors import ConfigError, OutputError
from chainrule.runs.directory import make
from chainrule.runs.hooks import Begun
from chainrule.runs.train import to_stderr
from chainrule.tracking.facts import Plain, conditions, options, points
from chainrule.tracking.tracker import Tracker, Warn, first_line, needed, run_name
from chainrule.training.measure import Row

if TYPE_CHECKING:
    from chainrule.runs.run import Run

SQLITE = "sqlite:///"
AT_ONCE = 100
"""Parameters or tags that MLflow takes in one call."""
IDENTITY = "chainrule.run"


class MLflow(Tracker):
    """A run in the MLflow store `uri`: "sqlite:///FILE", or a folder as a path or "file:" address.

    Parameters: options by path. Metrics: every column of every row of history, by layer too, and the final ones under
    `final/`. Tags: conditions, the digest of the data among them, and notes. A run that goes on as it was goes on in
    its MLflow run, with the points that are lacking there; one that was changed gets another MLflow run with its whole
    history, as MLflow takes back no parameter and no point. Until it ends an MLflow run says RUNNING.
    experiment: MLflow's name for a set of runs. name: of the run; by default that of the run directory. warn: called
    with a sentence where the store fails. MLflow's telemetry is switched off unless `MLFLOW_DISABLE_TELEMETRY` is set.
    Raises ConfigError without the library or for another `uri`, OutputError where the store cannot be opened.
    Source: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.client.html.

    >>> from tempfile import mkdtemp
    >>> from chainrule import mlp, read, train
    >>> run = train(mlp([16]), read("digits"), hooks=[MLflow(mkdtemp(), experiment="digits")])
    """

    def __init__(self, uri: Path | str, experiment: str = "chainrule", name: str | None = None, *,
                 warn: Warn = to_stderr) -> None:  # fmt: skip
        self.uri = address(str(uri))
        needed("mlflow", "mlflow")
        super().__init__(warn)
        self.experiment, self.name = experiment, name
        _reach(self.uri)
        try:
            with quiet(self.uri):
                self.client = _client(self.uri)
                self.experiment_id = self._experiment()
        except Exception as error:
            raise OutputError(f"{self!r} cannot be opened: {first_line(error)}") from error

    def __repr__(self) -> str:
        return f"MLflow({self.uri!r})"

    def started(self, begun: Begun) -> None:
        """Find or make the MLflow run. Raises an OutputError."""
        self.run_id: str | None = None
        with quiet(self.uri):
            super().started(begun)

    def open(self) -> None:
        """The MLflow run that this one goes on in, or a new one with its options, conditions and notes."""
        if self.run_id is not None:
            return
        found = self._earlier()
        if found is None:
            made = self.client.create_run(self.experiment_id, run_name=self.name or run_name(self.begun))
            found = made.info.run_id
            self._describe(found)
        self.client.update_run(found, status="RUNNING")
        self.run_id, held = found, self.client.get_run(found).data.metrics
        self.held = {(name, one.step) for name in held for one in self.client.get_metric_history(found, name)}

    def row(self, row: Row) -> None:
        """A metric for each column."""
        self._metrics(row["step"], row["seconds"], points(row))

    def note(self, step: int, text: str) -> None:
        """One more line of the tag `chainrule.notes`."""
        earlier = self.client.get_run(self.run_id).data.tags.get("chainrule.notes", "")
        self.client.set_tag(self.run_id, "chainrule.notes", f"{earlier}\nstep {step:,}: {text}".strip())

    def end(self, run: "Run") -> None:
        """The metrics of the model that was kept; the MLflow run is FINISHED."""
        final = points(run.metrics["model"]) | {"seconds": run.metrics["seconds"]}
        self._metrics(run.metrics["steps"], run.metrics["seconds"], {f"final/{name}": final[name] for name in final})
        self.client.set_terminated(self.run_id)

    def _enter(self, entry: Any) -> None:
        with quiet(self.uri):
            super()._enter(entry)

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.experiment)
        return str(found.experiment_id if found else self.client.create_experiment(self.experiment))

    def _earlier(self) -> str | None:
        """The newest MLflow run of this run, where it goes on without a change."""
        sessions = self.begun.environment.get("sessions", ())
        if len(sessions) < 2 or sessions[-1]["changes"]:
            return None
        found = self.client.search_runs([self.experiment_id], f"tags.`{IDENTITY}` = '{self._identity()}'",
                                        order_by=["attributes.start_time DESC"], max_results=1)  # fmt: skip
        return found[0].info.run_id if found else None

    def _identity(self) -> str:
        """The first process of the run, which every checkpoint remembers."""
        first, *_ = self.begun.environment.get("sessions") or [{"started": time(), "pid": os.getpid()}]
        return f"{first['started']} {first['pid']}"

    def _describe(self, run_id: str) -> None:
        from mlflow.entities import Param, RunTag

        plan = self.begun.plan
        tags: dict[str, Plain] = {f"chainrule.{k}": v for k, v in conditions(self.begun.environment).items()}
        tags |= {IDENTITY: self._identity(), "chainrule.network": repr(plan.network)}
        tags |= {"chainrule.notes": "\n".join(plan.notes)} if plan.notes else {}
        for some in chunks(options(plan)):
            self.client.log_batch(run_id, params=[Param(clean(name), str(value)) for name, value in some.items()])
        for some in chunks(tags):
            self.client.log_batch(run_id, tags=[RunTag(clean(name), str(value)) for name, value in some.items()])

    def _metrics(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        at = int(1000 * (self.origin + seconds))
        lacking = {clean(name): value for name, value in values.items() if (clean(name), step) not in self.held}
        self.client.log_batch(self.run_id, metrics=[Metric(name, lacking[name], at, step) for name in lacking])
        self.held |= {(name, step) for name in lacking}


def address(uri: str) -> str:
    """`uri` as MLflow takes it; relative files are made absolute. Raises a ConfigError for what is not local.

    >>> address("sqlite:////tmp/runs.db"), address("/tmp/runs"), address("file:/tmp/runs")
    ('sqlite:////tmp/runs.db', 'file:///tmp/runs', 'file:///tmp/runs')
    """
    scheme = re.match(r"([\w+]+):", uri)
    if uri.startswith(SQLITE) and uri != SQLITE:
        return f"{SQLITE}{Path(uri.removeprefix(SQLITE)).resolve()}"
    if scheme and scheme[1] != "file":
        raise ConfigError(f"the MLflow store {uri!r} is not local; expected sqlite:///FILE or a folder")
    return Path(re.sub(r"^file:(//)?", "", uri)).resolve().as_uri()


def _reach(uri: str) -> None:
    """Make the folders above a store, and open a database: where it cannot be, MLflow tries again for 100 seconds."""
    if not uri.startswith(SQLITE):
        return make(Path(unquote(uri.removeprefix("file://"))), "the MLflow store")
    file = Path(uri.removeprefix(SQLITE))
    if file.is_dir():
        raise ConfigError(f"the MLflow store {file} is a folder; name it without {SQLITE}, or a file")
    make(file.parent, "the MLflow store")
    try:
        with closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA schema_version")
    except sqlite3.Error as error:
        raise OutputError(f"the MLflow store {file} cannot be opened: {error}; name another file") from error


@contextmanager
def quiet(uri: str) -> Iterator[None]:
    """MLflow without its telemetry, its log of tables made, and warnings meant for its own authors.

    It writes in folders only where MLFLOW_ALLOW_FILE_STORE says so; whoever names a folder has said so.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    if uri.startswith("file:"):
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def clean(name: str) -> str:
    """A name of which MLflow takes every character.

    >>> clean("gradient_norms/0.W"), clean("Größe [m]")
    ('gradient_norms/0.W', 'Größe _m_')
    """
    return re.sub(r"[^\w./ :-]", "_", name)


def chunks(values: Mapping[str, Plain]) -> Iterator[dict[str, Plain]]:
    """As many at a time as MLflow takes."""
    items = list(values.items())
    for at in range(0, len(items), AT_ONCE):
        yield dict(items[at : at + AT_ONCE])


def _client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)
