"""A study from beginning to end: the search, its finalists, and the test rows read once."""

import json
import tomllib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w

from chainrule.backends.choice import available_threads
from chainrule.data import split
from chainrule.errors import ConfigError, DamagedError, Interrupted
from chainrule.intervals import mean_interval
from chainrule.losses import Loss
from chainrule.runs.assess import assess_run
from chainrule.runs.directory import check_place, made_or_gone
from chainrule.runs.files import format_json, write
from chainrule.runs.interrupts import Interrupts
from chainrule.runs.lock import LOCK, locked
from chainrule.runs.run import load_run, read_data
from chainrule.spec import expect
from chainrule.study.config import Study, study
from chainrule.study.coordinator import Coordinator, View
from chainrule.study.executors import Executor, InProcess
from chainrule.study.ledger import Ledger, Trial, open_ledger
from chainrule.study.processes import Processes
from chainrule.study.text import notebook_tables
from chainrule.text import cause
from chainrule.training.metrics import bounds

LEDGER, STUDY, SUMMARY = "ledger.sqlite", "study.toml", "summary.json"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a study came to. summary: plain, what summary.json holds. trials: all of the ledger, by number.

    search: the number of the search among those of the ledger.
    """

    study: Study
    search: int
    trials: list[Trial]
    summary: dict[str, Any]

    def _repr_html_(self) -> str:
        return notebook_tables(self.study, self.summary)


def unseen(trials: list[Trial], total: int | None) -> None:
    """The view of no one."""


def run_study(
    asked: Study,
    directory: Path | str,
    *,
    workers: int = 1,
    resume: bool = False,
    again: bool = False,
    database: str | None = None,
    ray: str | None = None,
    executor: Executor | None = None,
    view: View = unseen,
) -> Outcome:
    """Conduct `asked` in `directory`, or go on with it there.

    workers: processes on this machine; 1 trains in this one. ray: "local", "auto" or the address of a Ray cluster,
    whose CPUs then decide how many trials run at a time. executor: one of your own.
    A resumed study may have larger budgets: it is the same search, and proposes on. With another space, training or
    sampler a new search begins in the same study, whose candidates are kept apart from those before. again: the test
    rows may be read although they have been. database: of the ledger, in the place of a file in `directory`.
    Raises a ConfigError for a directory that is not free, a BusyError where another process has it, an OutputError,
    and Interrupted after a signal; a trial that fails is told in the ledger.

    >>> from tempfile import mkdtemp
    >>> from chainrule import load_study
    >>> folder = Path(mkdtemp())
    >>> _ = (folder / "s.toml").write_text('''
    ... [space]
    ... "network.hidden" = [[4], [8]]
    ... [train.training]
    ... epochs = 1
    ... [search]
    ... sampler = "grid"
    ... metric = "validation_accuracy"
    ... ''')
    >>> run_study(load_study(folder / "s.toml"), folder / "out").summary["trials"]["finished"]
    2
    """
    expect("asked", asked, isinstance(asked, Study), "a Study: what `load_study` gives")
    directory = Path(directory).absolute()
    _check_free(directory, resume, asked.name, database)
    ledger, interrupts = _ledger(directory, asked.name, database), Interrupts()
    with made_or_gone(directory), interrupts.caught(), locked(directory), closing(ledger):
        threads = asked.train.get("compute", {}).get("threads") or max(available_threads() // workers, 1)
        ledger.create(directory, threads, lambda before: database is None or _came(directory, before))
        search = _search(ledger, asked)
        write(directory / STUDY, tomli_w.dumps({"name": asked.name} | asked.plain).encode())
        made = executor or _executor(workers, ray, ledger.threads())
        with closing(made):
            coordinator = Coordinator(asked, ledger, search, directory, made, interrupts, view)
            coordinator.run_search()
            chosen = best(asked, coordinator.own, asked.options.finalists.n)
            if not again:
                _check_unread(ledger, chosen, asked.options.finalists.seeds)
            finalists = coordinator.run_finalists(chosen) if chosen else []
        readings = _read_test(ledger, search, directory, finalists)
        summary = summarised(asked, search, ledger, finalists, readings)
        write(directory / SUMMARY, format_json(summary))
        if interrupts.received:
            raise Interrupted(f"interrupted as the study in {directory} ended; nothing is lost", interrupts.received)
        return Outcome(asked, search, ledger.trials(), summary)


def opened(directory: Path, database: str | None = None) -> tuple[Study, Ledger]:
    """The study in `directory` as it was last asked for, and its ledger, to be read."""
    path = directory / STUDY
    if not path.is_file():
        raise ConfigError(f"{directory} holds no study: it has no {STUDY}. Name what `chainrule study --output` wrote")
    plain = _written(path)
    made = study({key: value for key, value in plain.items() if key != "name"}, plain["name"])
    _check_ledger(directory, database)
    return made, _ledger(directory.absolute(), made.name, database)


def _written(path: Path) -> dict[str, Any]:
    """The tables of a STUDY that `run_study` wrote, and the study's name."""
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {cause(error)}") from None
    if not isinstance(plain.get("name"), str):
        raise ConfigError(f"{path} is no study's record: it has no name. Name what `chainrule study --output` wrote")
    return plain


def _check_ledger(directory: Path, database: str | None) -> None:
    if database is None and not (directory / LEDGER).is_file():
        raise ConfigError(
            f"{directory} holds no ledger: it has no {LEDGER}. If it is in another database, name that with --database"
        )


def _ledger(directory: Path, name: str, database: str | None) -> Ledger:
    """The ledger of the study in `directory`. Raises a ConfigError where one that has begun is not in it."""
    ledger = open_ledger(database or f"sqlite:///{directory / LEDGER}", name)
    if (directory / STUDY).is_file() and not ledger.exists():
        ledger.close()
        raise ConfigError(
            f"the study's database {ledger.engine.url.render_as_string()} holds no study {name!r}; bring the ledger "
            "back from a copy, or name its database with --database"
        )
    return ledger


def _check_free(directory: Path, resume: bool, name: str, database: str | None) -> None:
    check_place(directory)
    there = {path.name for path in directory.iterdir()} - {LOCK} if directory.is_dir() else set()
    if there and not resume:
        raise ConfigError(
            f"output {directory} is not empty; name another directory, or give --resume to go on with its study"
        )
    if STUDY in there:
        held = _written(directory / STUDY)["name"]
        if held != name:
            raise ConfigError(
                f"output {directory} holds the study {held!r}, not {name!r} (the name of the file); name another "
                "directory"
            )
        _check_ledger(directory, database)
    elif there and LEDGER not in there:
        raise ConfigError(f"output {directory} is not empty and holds no study to go on with; name another directory")


def _came(directory: Path, before: Path) -> bool:
    """Whether the study that was in `before` has been moved to `directory`. Its own ledger always comes with it."""
    return (directory / STUDY).is_file() and not before.exists()


def _executor(workers: int, ray: str | None, threads: int) -> Executor:
    if ray is not None:
        from chainrule.study.ray_executor import Cluster

        return Cluster(ray, threads)
    return InProcess() if workers == 1 else Processes(workers, threads)


def _search(ledger: Ledger, asked: Study) -> int:
    """The number of the search that `asked` is: the last one, if only budgets have changed."""
    before = ledger.searches()
    if before and _identity(study(before[-1], asked.name)) == _identity(asked):
        ledger.replace_search(len(before) - 1, asked.plain)
        return len(before) - 1
    return ledger.add_search(asked.plain)


def _identity(one: Study) -> Any:
    """What makes candidates comparable; budgets, pruning and finalists may change."""
    search = one.options.search
    return one.train, one.space, search.sampler, search.seeds, search.seed, one.metric


def ranked(asked: Study, trials: Sequence[Trial]) -> list[Trial]:
    """The finished trials, the best first, the earlier of equals first."""
    finished = [one for one in trials if one.state == "finished" and one.value is not None]
    sign = -1.0 if asked.maximise else 1.0
    return sorted(finished, key=lambda one: (sign * (one.value or 0.0), one.number))


def best(asked: Study, trials: Sequence[Trial], n: int) -> list[Trial]:
    """The n best of the finished trials; candidates of the same values are one."""
    distinct: dict[str, Trial] = {}
    for one in ranked(asked, trials):
        distinct.setdefault(json.dumps(one.params, sort_keys=True), one)
    return [*distinct.values()][:n]


def run_folders(directory: Path, trial: Trial) -> list[Path]:
    """The runs of a finished trial, a seed each. Raises a DamagedError where any has gone."""
    folder = directory / "trials" / f"{trial.number:05d}" / str(trial.attempt)
    found = sorted(folder.glob("seed-*"), key=lambda path: int(path.name.removeprefix("seed-")))
    if len(found) != len(trial.seed_values):
        raise DamagedError(
            f"{folder} holds {len(found)} of the {len(trial.seed_values)} runs of trial {trial.number}; bring the "
            "others back from a copy"
        )
    return found


def _judged(readings: Sequence[dict[str, Any]]) -> dict[int, int]:
    """Runs of each finalist, by its number, that the last reading of its test rows judged."""
    return {entry["trial"]: len(entry["runs"]) for one in readings for entry in one["result"]["finalists"]}


def _check_unread(ledger: Ledger, chosen: Sequence[Trial], seeds: int) -> None:
    """Raise a ConfigError where the finalists to be trained ask for another reading of the test rows."""
    readings = ledger.readings()
    if not readings:
        return
    at, judged = readings[-1]["at"], _judged(readings)
    there = {one.finalist_of: one for one in ledger.trials()}
    known = [there[one.number] for one in chosen if one.number in there]
    if len(known) < len(chosen) or any(one.state != "failed" and one.number not in judged for one in known):
        raise ConfigError(
            f"the test rows were read at {at}, and there are other finalists now; to choose by test "
            "rows would be to fool oneself. Give --again to read them again, which every later summary will say"
        )
    before = min((judged[one.number] for one in known if one.state != "failed"), default=seeds)
    if before < seeds:
        raise ConfigError(
            f"the test rows were read at {at}, with {before} seed{'' if before == 1 else 's'} of a finalist, and "
            f"finalists.seeds is {seeds} now; to add seeds until the test rows please would be to fool oneself. Set "
            f"finalists.seeds = {before}, or give --again to train the others and to read the test rows again, which "
            "every later summary will say"
        )


def _read_test(ledger: Ledger, search: int, directory: Path, finalists: Sequence[Trial]) -> list[dict[str, Any]]:
    """Every reading of the test rows; one more if there are finalists, or seeds of theirs, that none has judged."""
    readings = ledger.readings()
    judged = _judged(readings)
    new = [one for one in finalists if one.state == "finished" and len(one.seed_values) > judged.get(one.number, 0)]
    if not new:
        return readings
    loaded = {one.number: [load_run(path) for path in run_folders(directory, one)] for one in new}
    first = loaded[new[0].number][0].config.data
    data = read_data(first)
    if not len(split(data, first.split)["test"]):
        return readings
    result = {
        "finalists": [
            {"trial": number, "of": one.finalist_of, "runs": [asdict(assess_run(run, "test", data)) for run in runs]}
            for one, (number, runs) in zip(new, loaded.items(), strict=True)
        ]
    }
    ledger.read_test(search, result)
    return ledger.readings()


def summarised(
    asked: Study, search: int, ledger: Ledger, finalists: Sequence[Trial], readings: list[dict[str, Any]]
) -> dict[str, Any]:
    """What the study came to, as plain values."""
    trials = ledger.trials()
    own = [one for one in trials if one.search == search and one.finalist_of is None]
    failed = [one for one in own if one.state == "failed"]
    states = {state: sum(one.state == state for one in own) for state in ("finished", "pruned", "failed")}
    tests = {entry["trial"]: entry["runs"] for one in readings for entry in one["result"]["finalists"]}
    return {
        "study": asked.name,
        "metric": asked.metric,
        "search": search,
        "searches_before": search,
        "trials": states,
        "epochs": sum(one.epochs for one in own),
        "seconds": sum(one.seconds for one in own),
        "best": [_candidate(one, asked) for one in best(asked, own, 10)],
        "failures": [{"trial": one.number, "params": one.params, "reason": one.reason} for one in failed],
        "finalists": [
            _candidate(one, asked)
            | {"of": one.finalist_of, "test": _tested(tests.get(one.number, []), asked.losses(one.params))}
            for one in finalists
        ],
        "test_readings": [{"at": one["at"], "search": one["search"]} for one in readings],
    }


def _candidate(one: Trial, asked: Study) -> dict[str, Any]:
    within = bounds(asked.metric, asked.losses(one.params))
    interval = mean_interval(one.seed_values, within)[1:] if len(one.seed_values) > 1 else None
    return {"trial": one.number, "params": one.params, "value": one.value, "seed_values": one.seed_values,
            "interval_95": interval, "state": one.state, "reason": one.reason}  # fmt: skip


def _tested(runs: Sequence[dict[str, Any]], losses: Sequence[Loss | None]) -> dict[str, Any] | None:
    if not runs:
        return None
    found: dict[str, Any] = {"n": runs[0]["n"]}
    for name in runs[0]["metrics"]:
        values = [run["metrics"][name] for run in runs]
        mean, low, high = mean_interval(values, bounds(name, losses)) if len(values) > 1 else (values[0], None, None)
        found[name] = {"mean": mean, "low_95": low, "high_95": high, "runs": len(values)}
    return found
