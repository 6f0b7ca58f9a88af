"""TensorBoard: event files."""

from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from chainrule.runs.directory import make
from chainrule.runs.files import writing
from chainrule.runs.train import to_stderr
from chainrule.tracking.facts import Plain, conditions, options, points
from chainrule.tracking.tracker import Tracker, Warn, needed, run_name
from chainrule.training.measure import Row

if TYPE_CHECKING:
    from chainrule.runs.run import Run


class TensorBoard(Tracker):
    """Event files in `folder`/NAME, by default the run directory's name (`GROUP/seed-N` for one of several seeds).

    Scalars: every column of every row of history, by layer too, and the final metrics under `final/`. Texts: options,
    conditions, notes; the options also as hyperparameters. A run that goes on writes its whole history into a new file
    that begins with the mark of a restart at step 1, so that readers drop the points of the files before it.
    warn: called with a sentence where the disk fails. Raises ConfigError without the library or where
    `folder` is a file, OutputError where it cannot be written.
    Source: https://github.com/tensorflow/tensorboard, `tensorboard/compat/proto/event.proto`.

    >>> from tempfile import mkdtemp
    >>> from chainrule import mlp, read, train
    >>> events = TensorBoard(mkdtemp())
    >>> run = train(mlp([16]), read("digits"), hooks=[events])
    >>> events.place.name
    'digits-seed-0'
    """

    def __init__(self, folder: Path | str, name: str | None = None, *, warn: Warn = to_stderr) -> None:
        needed("tensorboard", "tensorboard")
        super().__init__(warn)
        self.folder, self.name = Path(folder), name
        make(self.folder, "the TensorBoard folder")
        with writing(self.folder):
            TemporaryFile(dir=self.folder).close()

    def __repr__(self) -> str:
        return f"TensorBoard({str(self.folder)!r})"

    @property
    def place(self) -> Path:
        """Where the event files of the run lie."""
        return self.folder / (self.name or run_name(self.begun))

    def open(self) -> None:
        """A new file, with all that is known before the next step."""
        from tensorboard.compat.proto import event_pb2
        from tensorboard.plugins.hparams import summary_v2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self.writer, self.sent = EventFileWriter(str(self.place)), 0
        restart = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self.writer.add_event(event_pb2.Event(wall_time=self.origin, step=1, session_log=restart))
        asked, plan = options(self.begun.plan), self.begun.plan
        self._event(0, 0.0, summary_v2.hparams_pb(asked, start_time_secs=self.origin))
        self._text("options", _listed(asked))
        self._text("conditions", _listed(conditions(self.begun.environment)))
        for text in (repr(plan.network), *plan.notes):
            self._text("notes", text)
        self.writer.flush()

    def row(self, row: Row) -> None:
        """A scalar for each column."""
        self._scalars(row["step"], row["seconds"], points(row))

    def note(self, step: int, text: str) -> None:
        """At step 0, where no restart drops it."""
        self._text("notes", f"step {step:,}: {text}")
        self.writer.flush()

    def end(self, run: "Run") -> None:
        """The metrics of the model that was kept."""
        final = points(run.metrics["model"])
        final["seconds"] = run.metrics["seconds"]
        self._scalars(run.metrics["steps"], run.metrics["seconds"], {f"final/{name}": final[name] for name in final})
        self.writer.close()

    def _scalars(self, step: int, seconds: float, values: dict[str, float]) -> None:
        from tensorboard.compat.proto import summary_pb2

        made = [summary_pb2.Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._event(step, seconds, summary_pb2.Summary(value=made))
        self.writer.flush()

    def _text(self, tag: str, text: str) -> None:
        from tensorboard.plugins.text.summary_v2 import text_pb

        self._event(0, 0.0, text_pb(tag, text))

    def _event(self, step: int, seconds: float, summary: Any) -> None:
        from tensorboard.compat.proto import event_pb2

        self.writer.add_event(event_pb2.Event(wall_time=self.origin + seconds, step=step, summary=summary))


def _listed(values: dict[str, Plain]) -> str:
    """A table in Markdown, which TensorBoard renders."""
    cells = [(name, str(value).replace("|", "\\|").replace("\n", " ")) for name, value in values.items()]
    return "\n".join(["| name | value |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in cells)])
