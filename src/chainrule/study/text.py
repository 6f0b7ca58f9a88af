"""A study in words: a line as each trial ends, and what it came to."""

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from chainrule import notebook
from chainrule.intervals import mean_interval
from chainrule.study.config import Study, shown
from chainrule.study.ledger import ENDED, Trial
from chainrule.text import columns, number, printable, tell
from chainrule.training.metrics import bounds


class Progress:
    """One line on stderr for each trial that has ended: what came of it, the best so far, the time left."""

    def __init__(self, study: Study, workers: int) -> None:
        self.study, self.workers, self.begun = study, workers, monotonic()
        self.told: set[int] | None = None
        self.first = 0

    def __call__(self, trials: list[Trial], total: int | None) -> None:
        """Tell what is new."""
        ended = [one for one in trials if one.state in ENDED]
        if self.told is None:  # what an earlier session came to
            self.told, self.first = {one.number for one in ended}, len(ended)
        again = self.told - {one.number for one in ended}  # finalists that get more seeds
        self.told, self.first = self.told - again, self.first - len(again)
        for one in ended:
            if one.number not in self.told:
                self.told.add(one.number)
                self._write(one, [other for other in ended if other.number in self.told], trials, total)

    def _write(self, one: Trial, ended: Sequence[Trial], trials: Sequence[Trial], total: int | None) -> None:
        same = [other for other in ended if other.search == one.search]
        kind = [other for other in same if (other.finalist_of is None) == (one.finalist_of is None)]
        running = sum(other.state == "running" for other in trials)
        what = (
            f"trial {one.number}" if one.finalist_of is None else f"finalist {one.number} (of trial {one.finalist_of})"
        )
        came = f"{number(one.value)}" if one.value is not None else f"{one.state}: {one.reason}"
        done = len(kind)
        left = ""
        if total is not None and total > done:
            rate = (monotonic() - self.begun) / max(len(self.told or ()) - self.first, 1)
            left = f", about {_time(rate * (total - done))} left"
        best = self._best(kind)
        share = f"{done}/{total}" if total else f"{done}"
        self.line(f"{share} | {what}: {came} with {shown(one.params)} | {best}{running} at work{left}")

    def _best(self, trials: Sequence[Trial]) -> str:
        finished = [one for one in trials if one.value is not None]
        if not finished:
            return ""
        top = (max if self.study.maximise else min)(finished, key=lambda one: one.value or 0.0)
        return f"best {_value(top, self.study)} (trial {top.number}) | "

    def line(self, text: str) -> None:
        """A line on stderr."""
        tell(printable(text))


def _value(trial: Trial, study: Study) -> str:
    if len(trial.seed_values) < 2:
        return number(trial.value or 0.0)
    mean, low, high = mean_interval(trial.seed_values, bounds(study.metric, study.losses(trial.params)))
    return f"{number(mean)} [{number(low)}, {number(high)}]"


def _time(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def told(study: Study, summary: Mapping[str, Any]) -> str:
    """The outcome as tables."""
    counts = ", ".join(f"{n} {state}" for state, n in summary["trials"].items())
    lines = [f"{sum(summary['trials'].values())} trials: {counts}; {summary['epochs']:.4g} epochs"]
    if summary["searches_before"]:
        lines.append(f"{summary['searches_before']} earlier searches of other spaces are kept apart in the ledger")
    if summary["best"]:
        title = f"best by {study.metric}, chosen on these very rows, so flattered:"
        lines += ["", title, columns(*candidates(summary["best"], study), right=(0,))]
    if fruitless(summary) is None:  # the error says it else
        lines += [f"failed: {one}" for one in failures(summary["failures"])]
    if summary["finalists"]:
        lines += [
            "",
            "finalists, trained again with fresh seeds:",
            columns(*candidates(summary["finalists"], study), right=(0,)),
        ]
        again = len(summary["test_readings"])
        if again:
            times = "once" if again == 1 else f"{again} times, so the figures above are no longer those of unseen rows"
            lines.append(f"The test rows have been read {times} ({summary['test_readings'][-1]['at']}).")
    return "\n".join(lines)


def failures(failed: Sequence[Mapping[str, Any]], most: int = 5) -> list[str]:
    """Why trials failed, those of one reason together, the commonest reasons first. failed: as in a summary."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in failed:
        found.setdefault(one["reason"], []).append(one)
    ordered = sorted(found.items(), key=lambda item: -len(item[1]))
    lines = [f"{_which(trials)}: {reason}" for reason, trials in ordered[:most]]
    return lines + ([f"{len(ordered) - most} other reasons"] if len(ordered) > most else [])


def _which(trials: Sequence[Mapping[str, Any]]) -> str:
    numbers = ", ".join(str(one["trial"]) for one in trials[:5])
    if len(trials) == 1:
        return f"trial {numbers} ({shown(trials[0]['params'])})"
    return f"{len(trials)} trials ({numbers}{', ...' if len(trials) > 5 else ''})"


def fruitless(summary: Mapping[str, Any]) -> str | None:
    """Why the study came to nothing: of its trials, or of its finalists, there are only failed ones. Else None."""
    counts = summary["trials"]
    if counts["failed"] and counts["failed"] == sum(counts.values()):
        return "\n  ".join(["no trial finished:", *failures(summary["failures"])])
    finalists = summary["finalists"]
    if finalists and all(one["state"] == "failed" for one in finalists):
        return "\n  ".join(["no finalist finished:", *failures(finalists)])
    return None


def notebook_tables(study: Study, summary: Mapping[str, Any]) -> str:
    """The best candidates and the finalists as HTML."""
    shown = notebook.table(f"{study.name}: best by {study.metric}, chosen on these very rows, so flattered",
                           *candidates(summary["best"], study))  # fmt: skip
    if summary["finalists"]:
        shown += notebook.table("finalists, trained again with fresh seeds", *candidates(summary["finalists"], study))
    return shown


def candidates(found: Sequence[Mapping[str, Any]], study: Study) -> tuple[list[str], list[list[object]]]:
    """Header and rows of a table of candidates: values, metric with its interval, test figures where they were read."""
    paths = [parameter.path for parameter in study.space]
    tests = list(dict.fromkeys(name for one in found for name in (one.get("test") or {}) if name != "n"))
    header = ["trial", *paths, study.metric, "95 % over seeds", "seeds", *(f"test {name}" for name in tests)]
    rows: list[list[object]] = []
    for one in found:
        interval = one["interval_95"]
        between = f"{number(interval[0])} to {number(interval[1])}" if interval else ""
        value = number(one["value"]) if one["value"] is not None else f"{one['state']}: {one['reason']}"
        rows.append([one["trial"], *(_short(one["params"].get(path, "")) for path in paths), value, between,
                     len(one["seed_values"]), *(_test(one, name) for name in tests)])  # fmt: skip
    return header, rows


def _test(one: Mapping[str, Any], name: str) -> str:
    found = (one.get("test") or {}).get(name)
    if not found:
        return ""
    between = f" [{number(found['low_95'])}, {number(found['high_95'])}]" if found["low_95"] is not None else ""
    return f"{number(found['mean'])}{between}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def listed(trials: Sequence[Trial], study: Study) -> str:
    """All trials as a table."""
    paths = [parameter.path for parameter in study.space]
    rows = [
        [one.number, one.search, one.state, *(_short(one.params.get(path, "")) for path in paths),
         "" if one.value is None else number(one.value), f"{one.epochs:.4g}", one.attempt,
         f"finalist of {one.finalist_of}" if one.finalist_of is not None else (one.reason or "")[:60]]
        for one in trials
    ]  # fmt: skip
    return columns(["trial", "search", "state", *paths, study.metric, "epochs", "attempts", ""], rows, right=(0, 1))
