"""How the metric of a study depends on its options: one figure for each, and all of them at once."""

from collections.abc import Sequence
from math import isfinite, log
from typing import Any

from chainrule.reporting.blocks import Axis, Cell, Interval, Parallel, Point, Points, Section, Table
from chainrule.reporting.groups import interval
from chainrule.study.config import Study, short, shown
from chainrule.study.ledger import Trial
from chainrule.study.space import Parameter

LINES = 150
"""Trials drawn across the axes, the best ones where there are more."""
WIDE = 30
"""From this ratio of the greatest to the least positive number on, an axis is logarithmic."""


def _number(value: Any) -> float | None:
    """Numbers, and lists of one number such as hidden = [50]."""
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


class Scale:
    """Where the values of an option lie on an axis: by their number, or by their place among the choices."""

    def __init__(self, parameter: Parameter, values: Sequence[Any]) -> None:
        numbers = [_number(value) for value in values]
        self.numeric = all(number is not None for number in numbers)
        known = [number for number in numbers if number is not None]
        positive = bool(known) and min(known) > 0
        self.log = self.numeric and positive and (parameter.log or max(known) >= WIDE * min(known))
        self.names: list[str] = []
        if not self.numeric:
            seen = {short(value) for value in values}
            ordered = [short(value) for value in parameter.choices if short(value) in seen]
            self.names = ordered + sorted(seen - set(ordered))
        self.low = min(known) if self.numeric and known else 0.0
        self.high = max(known) if self.numeric and known else float(max(len(self.names) - 1, 1))

    def x(self, value: Any) -> float:
        """The number, or the place of the choice."""
        number = _number(value)
        return number if self.numeric and number is not None else float(self.names.index(short(value)))

    def place(self, value: Any) -> float:
        """From 0 to 1."""
        x, low, high = self.x(value), self.low, self.high
        if len(self.names) == 1:
            return 0.5
        if self.log:
            x, low, high = log(x), log(low), log(high)
        return (x - low) / (high - low) if high > low else 0.5

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Places and labels: of every choice, or of both ends and the middle."""
        if not self.numeric:
            n = max(len(self.names) - 1, 1)
            return tuple((i / n if len(self.names) > 1 else 0.5, name) for i, name in enumerate(self.names))
        if self.high <= self.low:
            return ((0.5, f"{self.low:.3g}"),)
        middle = (self.low * self.high) ** 0.5 if self.log else (self.low + self.high) / 2
        return ((0.0, f"{self.low:.3g}"), (0.5, f"{middle:.3g}"), (1.0, f"{self.high:.3g}"))


def seeds_interval(study: Study, trial: Trial) -> Interval | None:
    """Student's interval of a trial's metric over its seeds; None for one seed."""
    return interval(trial.seed_values, study.metric, study.losses(trial.params)) if trial.seed_values[1:] else None


def against_each(study: Study, trials: Sequence[Trial], finalists: Sequence[Trial]) -> Section | None:
    """The metric against every option: each trial a point with its interval over seeds; finalists told apart."""
    judged = [one for one in (*trials, *finalists) if one.value is not None and one.state == "finished"]
    figures = []
    for parameter in study.space:
        having = [one for one in judged if parameter.path in one.params]
        if having:
            figures.append(_against(study, parameter, having, trials))
    return Section("options", "Options", tuple(figures)) if figures else None


def _against(study: Study, parameter: Parameter, having: Sequence[Trial], trials: Sequence[Trial]) -> Points:
    metric, path = study.metric.replace("_", " "), parameter.path
    scale = Scale(parameter, [one.params[path] for one in having])
    ordered = sorted(having, key=lambda one: (scale.x(one.params[path]), one.number))
    points = tuple(
        Point(scale.x(one.params[path]), one.value or 0.0, seeds_interval(study, one),
              one.finalist_of is not None,
              f"{'finalist' if one.finalist_of is not None else 'trial'} {one.number}: {shown(one.params)}")
        for one in ordered
    )  # fmt: skip
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (short(one.params[path]), one.value, seeds_interval(study, one), len(one.seed_values), one.number,
         "finalist" if one.finalist_of is not None else "search")
        for one in ordered[:200]
    )  # fmt: skip
    table = Table((path, metric, "95 % over seeds", "seeds", "trial", ""), rows, (1, 2, 3, 4))
    several = any(len(one.seed_values) > 1 for one in having)
    note = "Each finished trial a point" + (", with Student's 95 % interval over its seeds" if several else "") + "."
    kinds = ("trials of the search", "finalists, fresh seeds") if any(point.apart for point in points) else ()
    if len(study.space) > 1:
        note += " The other options differ too, so neighbours differ in more than this one."
    if left_out := sum(one.value is None or one.state != "finished" for one in trials if path in one.params):
        note += f" {left_out} trials that were pruned, failed or have not ended are not drawn."
    distinct = tuple(sorted({point.x for point in points}))
    marks = distinct if scale.numeric and len(distinct) <= 7 and not scale.log else ()
    name = f"option-{path.replace('.', '-')}"
    return Points(name, f"{metric.capitalize()} against {path}", note, table, points, path,
                  metric, tuple(scale.names), marks, scale.log, kinds=kinds)  # fmt: skip


def parallel(study: Study, trials: Sequence[Trial]) -> Section | None:
    """Every trial a line across one axis an option and one of the metric; None for fewer than two of either."""
    judged = [one for one in trials if one.state == "finished" and one.value is not None and isfinite(one.value)]
    if len(judged) < 2 or len(study.space) < 2:
        return None
    sign = -1.0 if study.maximise else 1.0
    ordered = sorted(judged, key=lambda one: (sign * (one.value or 0.0), one.number))
    drawn = ordered[:LINES]
    scales = {
        one.path: Scale(one, [trial.params[one.path] for trial in drawn if one.path in trial.params])
        for one in study.space
    }
    values = [one.value or 0.0 for one in drawn]
    low, high = min(values), max(values)
    axes = [Axis(path, scale.ticks()) for path, scale in scales.items()]
    metric = study.metric.replace("_", " ")
    axes.append(Axis(metric, ((0.0, f"{low:.4g}"), (1.0, f"{high:.4g}"))))
    lines = [
        (*(scale.place(one.params[path]) if path in one.params else None for path, scale in scales.items()),
         (value - low) / (high - low) if high > low else 0.5)
        for one, value in zip(drawn, values, strict=True)
    ]  # fmt: skip
    n = max(len(drawn) - 1, 1)
    rows = tuple((one.number, *(short(one.params.get(path, "")) for path in scales), one.value) for one in drawn[:50])
    note = (
        "Every finished trial a line from option to option to its metric; the stronger the line, the better the trial."
    )
    if len(ordered) > len(drawn):
        note += f" The best {len(drawn)} of {len(ordered)}."
    figure = Parallel(
        "parallel", "All options at once", note, Table(("trial", *scales, metric), rows, (0, len(scales) + 1)),
        tuple(axes), tuple(reversed(lines)), tuple(reversed([1 - i / n for i in range(len(drawn))])),
        tuple(reversed([f"trial {one.number}: {value:.4g} with {shown(one.params)}"
                        for one, value in zip(drawn, values, strict=True)])),
    )  # fmt: skip
    return Section("parallel", "All options", (figure,))
