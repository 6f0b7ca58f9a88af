"""The ledger: what a study decided and what came of it, in SQLite or PostgreSQL, written by one process alone.

A trial is given away under an attempt number, one more each time; what comes back under an older number is refused.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from chainrule.errors import ChainruleError, ConfigError, DamagedError
from chainrule.study.space import Params

State = Literal["waiting", "running", "finished", "pruned", "failed"]
ENDED: tuple[State, ...] = ("finished", "pruned", "failed")
FORMAT = 1

_metadata = sa.MetaData()
_studies = sa.Table(
    "chainrule_studies", _metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("format", sa.Integer, nullable=False),
    sa.Column("directory", sa.Text, nullable=False),
    sa.Column("threads", sa.Integer, nullable=False),
    sa.Column("created", sa.String(40), nullable=False),
)  # fmt: skip
_searches = sa.Table(
    "chainrule_searches", _metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("plain", sa.Text, nullable=False),
    sa.Column("created", sa.String(40), nullable=False),
)  # fmt: skip
_trials = sa.Table(
    "chainrule_trials", _metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("search", sa.Integer, nullable=False),
    sa.Column("finalist_of", sa.Integer),
    sa.Column("params", sa.Text, nullable=False),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("value", sa.Double),
    sa.Column("seed_values", sa.Text),
    sa.Column("curve", sa.Text, nullable=False),
    sa.Column("epochs", sa.Double, nullable=False),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("environment", sa.Text),
    sa.Column("ended", sa.String(40)),
)  # fmt: skip
_attempts = sa.Table(
    "chainrule_attempts", _metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("begun", sa.String(40), nullable=False),
    sa.Column("ended", sa.String(40)),
    sa.Column("outcome", sa.Text),
)  # fmt: skip
_readings = sa.Table(
    "chainrule_readings", _metadata,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("at", sa.String(40), nullable=False),
    sa.Column("search", sa.Integer, nullable=False),
    sa.Column("result", sa.Text, nullable=False),
)  # fmt: skip


@dataclass
class Trial:
    """A row of the ledger. value: the mean metric over seeds; curve: the first seed's metric at each row of history.

    search: which search proposed it, one more each time that the space or the training changed. finalist_of: the trial
    whose values it is trained with again.
    """

    number: int
    search: int
    params: Params
    finalist_of: int | None = None
    state: State = "waiting"
    attempt: int = 0
    reason: str | None = None
    value: float | None = None
    seed_values: tuple[float, ...] = ()
    curve: list[float] = field(default_factory=list)
    epochs: float = 0.0
    seconds: float = 0.0


def stayed(before: Path) -> bool:  # noqa: ARG001
    """A study is where it was."""
    return False


def now() -> str:
    """The time, as written in the ledger."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Ledger:
    """One study in a database. Every method is one transaction."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self.engine, self.name = engine, name

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self, entered: bool = True) -> Iterator[sa.Connection]:
        with reported(self.engine.url, entered), self.engine.begin() as connection:
            yield connection

    def create(self, directory: Path, threads: int, moved: Callable[[Path], bool] = stayed) -> None:
        """Enter the study. Raises a ConfigError where the database has one of that name in another directory.

        moved: whether the study that was in that other directory has come to this one.
        """
        with reported(self.engine.url, entered=False):
            _metadata.create_all(self.engine)
        with self._transaction(entered=False) as connection:
            held = connection.execute(sa.select(_studies).where(_studies.c.name == self.name)).first()
            if held is None:
                connection.execute(_studies.insert().values(name=self.name, format=FORMAT, directory=str(directory),
                                                            threads=threads, created=now()))  # fmt: skip
            elif Path(held.directory) != directory:
                if not moved(Path(held.directory)):
                    raise ConfigError(
                        f"the database holds a study {self.name!r} in {held.directory}, not in {directory}; name "
                        "another study (the name of the file), or another database"
                    )
                this = _studies.c.name == self.name
                connection.execute(_studies.update().where(this).values(directory=str(directory)))

    def exists(self) -> bool:
        """Whether the study has been entered."""
        with reported(self.engine.url):
            if not sa.inspect(self.engine).has_table(_studies.name):
                return False
        with self._transaction() as connection:
            return (
                connection.execute(sa.select(_studies.c.name).where(_studies.c.name == self.name)).first() is not None
            )

    def threads(self) -> int:
        """Threads of every trial of the study, on whichever machine."""
        with self._transaction() as connection:
            return int(
                connection.execute(sa.select(_studies.c.threads).where(_studies.c.name == self.name)).scalar_one()
            )

    def searches(self) -> list[dict[str, Any]]:
        """The studies as written, one for each time that the space or the training changed."""
        query = sa.select(_searches.c.plain).where(_searches.c.study == self.name).order_by(_searches.c.number)
        with self._transaction() as connection:
            return [json.loads(one) for one in connection.execute(query).scalars()]

    def add_search(self, plain: Mapping[str, Any]) -> int:
        """Enter a search; its number."""
        number = len(self.searches())
        with self._transaction() as connection:
            connection.execute(
                _searches.insert().values(study=self.name, number=number, plain=json.dumps(plain), created=now())
            )
        return number

    def replace_search(self, number: int, plain: Mapping[str, Any]) -> None:
        """The same search with other budgets."""
        where = (_searches.c.study == self.name) & (_searches.c.number == number)
        with self._transaction() as connection:
            connection.execute(_searches.update().where(where).values(plain=json.dumps(plain)))

    def trials(self) -> list[Trial]:
        """Every trial, by number."""
        held = ("params", "seed_values", "curve")
        names = [one.name for one in fields(Trial) if one.name not in held]
        query = sa.select(*(_trials.c[one] for one in (*names, *held)))
        with self._transaction() as connection:
            rows = connection.execute(query.where(_trials.c.study == self.name).order_by(_trials.c.number)).all()
        # one text for the reader of JSON: a call for each value of ten thousand rows costs more than the values
        try:
            values = json.loads(f"[{','.join(text or '[]' for row in rows for text in row[-len(held) :])}]")
        except ValueError as error:
            raise DamagedError(
                f"{self.engine.url.render_as_string()}: {', '.join(held)} of a trial are no JSON ({error}); bring the "
                "ledger back from a copy"
            ) from None
        return [
            Trial(**dict(zip(names, row, strict=False)), params=params, seed_values=tuple(seeds), curve=curve)
            for row, params, seeds, curve in zip(rows, values[::3], values[1::3], values[2::3], strict=True)
        ]

    def begin(self, trial: Trial) -> None:
        """The trial is given away, under its attempt number; a new one is entered."""
        values = {"search": trial.search, "finalist_of": trial.finalist_of, "params": json.dumps(trial.params),
                  "state": "running", "attempt": trial.attempt, "value": trial.value,
                  "seed_values": json.dumps(trial.seed_values), "curve": json.dumps(trial.curve),
                  "epochs": trial.epochs, "seconds": trial.seconds}  # fmt: skip
        with self._transaction() as connection:
            if trial.attempt == 1:
                connection.execute(_trials.insert().values(study=self.name, number=trial.number, **values))
            else:
                connection.execute(_trials.update().where(self._of(trial)).values(**values))
            connection.execute(
                _attempts.insert().values(study=self.name, number=trial.number, attempt=trial.attempt, begun=now())
            )

    def note(self, trials: Sequence[Trial]) -> None:
        """How far trials have come."""
        with self._transaction() as connection:
            for trial in trials:
                connection.execute(
                    _trials.update().where(self._of(trial)).values(curve=json.dumps(trial.curve), epochs=trial.epochs)
                )

    def end(self, trial: Trial, environment: Mapping[str, Any] | None = None) -> None:
        """The trial has ended, or its attempt has and it waits for another."""
        values = {"state": trial.state, "reason": trial.reason, "value": trial.value, "curve": json.dumps(trial.curve),
                  "seed_values": json.dumps(trial.seed_values), "epochs": trial.epochs, "seconds": trial.seconds,
                  "environment": json.dumps(environment) if environment else None, "ended": now()}  # fmt: skip
        which = (
            (_attempts.c.study == self.name)
            & (_attempts.c.number == trial.number)
            & (_attempts.c.attempt == trial.attempt)
        )
        outcome = trial.reason or trial.state
        with self._transaction() as connection:
            connection.execute(_trials.update().where(self._of(trial)).values(**values))
            connection.execute(_attempts.update().where(which).values(ended=now(), outcome=outcome))

    def attempts(self) -> list[dict[str, Any]]:
        """Every time that a trial was given away, and what came of it."""
        query = (
            sa.select(_attempts).where(_attempts.c.study == self.name).order_by(_attempts.c.number, _attempts.c.attempt)
        )
        with self._transaction() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def read_test(self, search: int, result: Mapping[str, Any]) -> None:
        """The test rows have been read."""
        number = len(self.readings())
        with self._transaction() as connection:
            connection.execute(_readings.insert().values(study=self.name, number=number, at=now(), search=search,
                                                         result=json.dumps(result)))  # fmt: skip

    def readings(self) -> list[dict[str, Any]]:
        """Every reading of the test rows: when, of which search, with what result."""
        query = sa.select(_readings).where(_readings.c.study == self.name).order_by(_readings.c.number)
        with self._transaction() as connection:
            return [
                {"at": row.at, "search": row.search, "result": json.loads(row.result)}
                for row in connection.execute(query)
            ]

    def environment(self, trial: Trial) -> dict[str, Any] | None:
        """Where the trial was trained."""
        with self._transaction() as connection:
            text = connection.execute(sa.select(_trials.c.environment).where(self._of(trial))).scalar()
        return json.loads(text) if text else None

    def _of(self, trial: Trial) -> Any:
        return (_trials.c.study == self.name) & (_trials.c.number == trial.number)


def open_ledger(url: str, name: str) -> Ledger:
    """The ledger of study `name` at a database URL, "sqlite:///..." or "postgresql+psycopg://..."."""
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        engine = sa.create_engine(url, pool_pre_ping=True)
    except (sa.exc.ArgumentError, ImportError) as error:
        raise ConfigError(
            f"database {url!r}: {error}; expected sqlite:///FILE, or postgresql://USER@HOST/NAME with "
            "pip install 'chainrule[postgres]'"
        ) from None
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _use_wal)
    return Ledger(engine, name)


def _use_wal(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA busy_timeout=60000")


def _damage(error: sa.exc.SQLAlchemyError) -> str | None:
    """What is wrong with the file of an SQLite database itself; None for what leaves its entries as they are."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_NOTADB:
        return "is no SQLite database, but another file"
    return "is a damaged SQLite database" if code is not None and code & 0xFF == sqlite3.SQLITE_CORRUPT else None


@contextmanager
def reported(url: sa.URL, entered: bool = True) -> Iterator[None]:
    """Turns an error of the database into one that names it, without its password.

    entered: whether the study is known to have been entered.
    """
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        if (damage := _damage(error)) is not None:
            raise DamagedError(
                f"the study's database {url.database} {damage} ({cause}); bring the ledger back from a copy, name "
                "another database, or begin the study anew in another directory"
            ) from error
        then = "Mend it, or name another with --database"
        if entered:
            then = "What was entered before is kept; mend it and go on with --resume"
        raise ChainruleError(
            f"the study's database {url.render_as_string()} cannot be used: {cause}. {then}"
        ) from error
