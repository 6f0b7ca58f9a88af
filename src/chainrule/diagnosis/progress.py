"""Findings about what history shows: chance level, training against validation, and an end that came too soon."""

from collections.abc import Sequence
from math import inf, isfinite, nan, sqrt
from typing import NamedTuple

import numpy as np

from chainrule.diagnosis.chance import chance, effective_rows, explained, falling, loss_error, share_error
from chainrule.diagnosis.data import BARELY as CLASSES_BARELY
from chainrule.diagnosis.finding import Finding, option
from chainrule.text import number
from chainrule.training.measure import Row
from chainrule.training.patience import last_improvement, monitored, stalled
from chainrule.training.plan import Plan

CERTAIN, CERTAIN_EARLY = 3.0, 4.0
"""Standard errors by which training and validation must differ at the end, and in a row before it: a run looks at every
row, and at 3 some healthy ones on 144 validation rows showed a gap that was gone in the next row."""

GAP = (0.1, 0.2)
"""Gaps, in accuracy or in the explained part of the loss, from which one beyond noise is a hint and a problem.
The examples end at 0.03 (digits), 0.06 (Fashion-MNIST) and 0.16 (the report's tuned network)."""

WORSE = 1.5
"""Validation loss now over its best, from which going on has done harm."""

EXPLAINED = 0.5
"""Part of the way from chance to perfect, on training rows, below which a run without a gap counts as underfitting."""

BARELY = 0.05
"""R², or part of the way from the chance loss to a perfect prediction, that counts as nothing learnt, for numbers."""

LATE, GAIN = 0.2, 0.03
"""Training still improves when the last fifth of the rows brought this part of all that was gained before."""


class Gap(NamedTuple):
    """A score on both parts, larger being better, and the standard error of its difference."""

    what: str
    train: float
    validation: float
    error: float

    @property
    def size(self) -> float:
        """How much better it is on the rows trained on."""
        return self.train - self.validation

    @property
    def errors(self) -> float:
        """Its size in standard errors."""
        return self.size / max(self.error, 1e-12)


def progress_findings(plan: Plan, history: Sequence[Row], step: int) -> list[Finding]:
    """All findings of this file, for a training that has gone on long enough to be judged."""
    if not history:
        return []
    row, done = history[-1], is_over(plan, history, step)
    at_chance = _chance(plan, row, waiting=not done and falling(history))
    gap = _gap(plan, row)
    found = [*at_chance]
    if gap is not None:
        found += _overfits(plan, history, gap, CERTAIN if done else CERTAIN_EARLY)
        if done and not at_chance and not found:
            found += _underfits(plan, row, gap)
    if done and not found:
        found += _improving(plan, history)
    return found


def is_over(plan: Plan, history: Sequence[Row], step: int) -> bool:
    """Whether no step follows: all are done, or `patience` rows have passed since the last improvement."""
    evaluation = plan.config.evaluation
    if step >= plan.n_steps or evaluation.patience is None:
        return step >= plan.n_steps
    return stalled(evaluation, len(history), last_improvement(evaluation, history))


def _monitored(plan: Plan, history: Sequence[Row]) -> list[float]:
    """The monitored column, turned so that larger is better; -inf where it is missing or not finite."""
    return [monitored(plan.config.evaluation, row) for row in history]


def _part(row: Row) -> str:
    return "validation" if "validation_loss" in row else "train"


def _chance(plan: Plan, row: Row, waiting: bool) -> list[Finding]:
    part = _part(row)
    n = effective_rows(plan, part)
    shown = {"classification": "accuracy", "multilabel": "label_accuracy"}.get(plan.data.task, "loss")
    monitor = plan.config.evaluation.monitor.removeprefix(f"{part}_")
    names = tuple(name for name in plan.metrics if name in (shown, monitor))
    best = chance(plan, part, names)
    if not _at_chance(plan, row, shown, best.get(shown, nan)):
        return []
    columns = dict.fromkeys([shown, "loss", monitor])
    pairs = [
        f"{part} {name} {number(row[f'{part}_{name}'])} (constant: {number(best[name])})"
        for name in columns
        if name in best and isfinite(row.get(f"{part}_{name}", nan))
    ]
    return [
        Finding(
            "chance-level",
            "",
            f"Against the best constant prediction, on {n:,.0f} rows: {', '.join(pairs)}.",
            "On these rows the network cannot be told from a constant that ignores the inputs.",
            "See the other findings; without any, try optimizer.lr a tenth and ten times as large, train longer "
            "(training.epochs), and check that targets and rows belong together.",
            "hint" if waiting else "problem",
        )
    ]


def _at_chance(plan: Plan, row: Row, shown: str, best: float) -> bool:
    parts = [part for part in ("train", "validation") if f"{part}_loss" in row]
    if not parts:  # evaluation.train_metrics is off, and there are no validation rows
        return False
    shares = [explained(plan, part, row.get(f"{part}_loss", nan)) for part in parts]
    if shown == "loss":
        # on few rows a good network may look no better than a constant: its training rows must not be explained either
        return all(
            share < min(BARELY, loss_error(effective_rows(plan, p))) for p, share in zip(parts, shares, strict=True)
        )
    # a rare class leaves accuracy at the majority's share while the loss shows that something was learnt
    part = parts[-1]
    score = row.get(f"{part}_{shown}", nan)
    return bool(score <= best + 2 * share_error(best, effective_rows(plan, part)) and shares[-1] < CLASSES_BARELY)


def _gap(plan: Plan, row: Row) -> Gap | None:
    n_train, n_val = effective_rows(plan, "train"), effective_rows(plan, "validation")
    if n_val < 1:
        return None
    for name in ("accuracy", "label_accuracy"):
        train, validation = row.get(f"train_{name}", nan), row.get(f"validation_{name}", nan)
        if isfinite(train) and isfinite(validation):
            error = sqrt(share_error(train, n_train) ** 2 + share_error(validation, n_val) ** 2)
            return Gap(name, train, validation, error)
    parts = [explained(plan, part, row.get(f"{part}_loss", nan)) for part in ("train", "validation")]
    if not all(isfinite(value) for value in parts):
        return None
    errors = [(1 - e) * loss_error(n) for e, n in zip(parts, (n_train, n_val), strict=True)]
    return Gap("explained part of the loss", parts[0], parts[1], sqrt(errors[0] ** 2 + errors[1] ** 2))


def _overfits(plan: Plan, history: Sequence[Row], gap: Gap, certain: float) -> list[Finding]:
    if gap.errors < certain or gap.size < GAP[0]:
        return []
    losses = [row.get("validation_loss", nan) for row in history]
    best = int(np.argmin([value if isfinite(value) else inf for value in losses]))
    worse = len(losses) > 1 and losses[-1] > WORSE * losses[best]
    since = (
        f" The validation loss was best, {number(losses[best])}, at step {history[best]['step']:,} and is now "
        f"{number(losses[-1])}."
        if losses[-1] > 1.05 * losses[best]
        else ""
    )
    evaluation = plan.config.evaluation
    stop = [] if evaluation.patience else ["stop early (evaluation.patience = 5 and evaluation.keep = 'best')"]
    shrink = "network.hidden narrower" if plan.config.network.layers is None else "narrower layers"
    dropout = option(plan, "network.dropout = 0.3", "a layer of kind 'dropout' after each activation")
    tries = [*stop, dropout, f"training.penalty = {max(10 * plan.config.training.penalty, 1e-4):g}",
             shrink, "more training rows (a smaller data.split.validation or test)"]  # fmt: skip
    return [
        Finding(
            "overfitting",
            "",
            f"The {gap.what} is {gap.train:.4f} on training and {gap.validation:.4f} on validation rows: a gap of "
            f"{gap.size:.3f}, {gap.errors:.0f} standard errors of "
            f"{effective_rows(plan, 'validation'):,.0f} validation rows.{since}",
            "The network knows its training rows better than the rule behind them; what it gains on them no longer "
            "helps on others.",
            f"Try, one at a time: {'; '.join(tries)}.",
            "problem" if gap.size >= GAP[1] and (worse or gap.size >= 2 * GAP[1]) else "hint",
        )
    ]


def _underfits(plan: Plan, row: Row, gap: Gap) -> list[Finding]:
    share = explained(plan, "train", row.get("train_loss", nan))
    if gap.errors > CERTAIN or not 0 < share < EXPLAINED:
        return []
    wider = option(plan, "a larger network.hidden, such as [512, 256]", "wider or more layers in network.layers")
    less = []
    if plan.config.training.penalty:
        less.append(f"a smaller training.penalty (now {plan.config.training.penalty:g})")
    if plan.config.network.dropout:
        less.append("less network.dropout")
    return [
        Finding(
            "underfitting",
            "",
            f"Training rows are predicted hardly better than validation rows ({gap.what} {gap.train:.4f} and "
            f"{gap.validation:.4f}, standard error {gap.error:.3f}), and {share:.0%} of the way from the chance loss "
            "to a perfect prediction is done.",
            "Without a gap, more capacity or longer training costs nothing yet; it may also be that the columns hold "
            "no more about the target.",
            f"Try {'; '.join([wider, 'more training.epochs', 'a larger optimizer.lr', *less])}.",
            "hint",
        )
    ]


def _improving(plan: Plan, history: Sequence[Row]) -> list[Finding]:
    values = [value for value in _monitored(plan, history) if isfinite(value)]
    if len(values) < 5:
        return []
    late = max(2, round(LATE * len(values)))
    changes = np.diff(values)
    gained, before = values[-1] - values[-1 - late], values[-1 - late] - values[0]
    # noise σ in each row gives changes of changes √6 σ, and a gain √2 σ; the median forgives the steep start
    noise = float(np.median(np.abs(np.diff(changes)))) / 0.6745 / sqrt(3)
    if values[-1] < max(values) or gained <= GAIN * max(before, 0.0) or gained < 2 * noise:
        return []
    rate = plan.lr(plan.n_steps - 1) / plan.config.optimizer.lr
    slow = " The schedule has brought the rate down, so train anew, for longer." if rate < 0.1 else ""
    length = f"training.iterations = {2 * plan.n_steps}" if plan.config.training.iterations else (
        f"training.epochs = {2 * (plan.config.training.epochs or 20)}")  # fmt: skip
    return [
        Finding(
            "still-improving",
            "",
            f"{plan.config.evaluation.monitor} improved by {number(gained)} over the last {late} rows of history, "
            f"{gained / max(before, 1e-300):.0%} of what the rows before had gained, and is best in the last row.",
            f"A longer training would reach a better value.{slow}",
            f"Set {length}.",
            "hint",
        )
    ]
