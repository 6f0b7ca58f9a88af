"""Findings about the data as the network gets them: scales of the columns, shares of the classes, constant targets."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from chainrule.arrays import Array
from chainrule.data import Affine
from chainrule.data.affine import counted
from chainrule.diagnosis.chance import effective_rows, explained, falling, share_error, shares
from chainrule.diagnosis.finding import Finding, several
from chainrule.diagnosis.probe import Probe, probe_rows
from chainrule.losses import Poisson
from chainrule.text import number
from chainrule.training.measure import Row
from chainrule.training.plan import Plan
from chainrule.training.step import Resident

SPREAD = 1e3
"""Largest over smallest deviation of the columns. The curvature of a linear layer's loss goes with the squares, so
beyond 1e3 the steepest direction is a million times as steep as the flattest, and one learning rate cannot suit
both (LeCun 1998, "Efficient BackProp", on normalising inputs)."""

SCALE = (0.02, 10.0)
"""Root mean square of the prepared inputs for which the variance-scaling initialisations still give sensible outputs:
they are derived for inputs of about 1 (Glorot 2010, He 2015); pixels in [0, 1] have 0.2 to 0.6, raw ones 50 to 130."""

IMBALANCE = 10.0
"""Largest over smallest class share from which accuracy hides a class: ignoring it then costs less than a tenth of
what the largest weighs."""

BARELY = 0.02
"""Part of the way from the chance loss to a perfect prediction that counts as nothing learnt, for classes."""

ONE_CLASS = 0.99
"""Share of the probe's rows given to one class from which the network is said to predict that class."""


def data_findings(plan: Plan, data: Resident, probe: Probe) -> list[Finding]:
    """All findings about the data alone."""
    return [
        *_scales(plan, data),
        *_size(probe),
        *_constant_targets(plan),
        *_target_scale(plan),
        *_classes(plan),
    ]


def _scales(plan: Plan, data: Resident) -> list[Finding]:
    # Pixels share one unit, and a dark border is no column on another scale; standardised columns have none to compare.
    kind = plan.config.data.preprocessing
    affine = isinstance(plan.preprocessing, Affine)  # of a start, where the kind has no say, it may be none
    if not affine or plan.data.row_shape or kind not in ("none", "mean", "unit") or plan.data.n_features < 2:
        return []
    deviations = _deviations(plan, data)
    varying = np.flatnonzero(np.isfinite(deviations) & (deviations > 0))
    order = varying[np.argsort(deviations[varying])]
    if len(order) < 2 or deviations[order[-1]] <= SPREAD * deviations[order[0]]:
        return []
    small, large = _column(plan, order[0]), _column(plan, order[-1])
    low, high = deviations[order[0]], deviations[order[-1]]
    dominant = [_column(plan, i) for i in order[::-1] if deviations[i] * SPREAD >= high]
    hidden = len(order) - len(dominant)
    return [
        Finding(
            "feature-scales",
            "",
            f"After preprocessing '{kind}' the deviations of the columns over the training rows reach from {low:.3g} "
            f"({small}) to {high:.3g} ({large}), a factor of {high / low:.1e}; {hidden} of {len(order)} columns vary "
            f"less than a thousandth as much as {large}.",
            f"The columns of large numbers ({several(dominant)}) decide every gradient; the others are hardly seen, "
            "and a learning rate that suits the former is far too small for the latter.",
            "Set data.preprocessing = 'standardise'.",
            "problem",
        )
    ]


def _deviations(plan: Plan, data: Resident) -> NDArray[np.float64]:
    """Of each column of the probe's rows after preprocessing, (n_features,), before they are narrowed."""
    backend, xp = plan.backend, plan.backend.xp
    x: Array = backend.gather(data.X, probe_rows(plan))
    x = (xp.astype(x, data.shift.dtype) - data.shift) * data.scale  # (n, n_features)
    x = x - x[:1, :]  # else the mean of a large constant is rounded, and gives it a deviation
    centred = x - xp.mean(x, axis=0, keepdims=True)
    return backend.numpy(xp.sqrt(xp.mean(centred * centred, axis=0))).astype(np.float64)


def _column(plan: Plan, i: np.int64) -> str:
    return plan.data.feature_names[i] if plan.data.feature_names else f"column {i}"


def _size(probe: Probe) -> list[Finding]:
    if not np.isfinite(probe.rms) or probe.rms == 0 or SCALE[0] <= probe.rms <= SCALE[1]:
        return []
    return [
        Finding(
            "input-scale",
            "",
            f"The prepared inputs have a root mean square of {probe.rms:.3g}; expected about 1.",
            "Initial weights and usual learning rates are meant for inputs of about 1; with these, the steps of the "
            "first layer are larger or smaller by the square of that factor.",
            "Set data.preprocessing = 'standardise', unless initial weights and learning rate were chosen for this "
            "scale.",
            "hint",
        )
    ]


def _target_scale(plan: Plan) -> list[Finding]:
    if plan.data.task != "regression" or isinstance(plan.loss, Poisson):
        return []
    y = np.asarray(plan.targets[plan.rows.train], dtype=np.float64)  # (n_train, n_out)
    size = float(np.sqrt(np.mean(y**2)))
    if size == 0 or SCALE[0] <= size <= SCALE[1]:
        return []
    return [
        Finding(
            "target-scale",
            "",
            f"The targets, as the loss gets them, have a root mean square of {size:.3g}; expected about 1.",
            "The outputs start at about 1 and have to travel there step by step, and every gradient is larger or "
            "smaller by that factor.",
            "Set data.standardise_target = true; predictions and metrics stay in the targets' own units.",
            "hint",
        )
    ]


def _constant_targets(plan: Plan) -> list[Finding]:
    if plan.data.task == "classification":
        return []
    y = plan.data.y[plan.rows.train].reshape(len(plan.rows.train), -1)  # (n_train, n_out)
    rounding = [0.0 if counted(values) else 1e-12 * np.abs(values).max() for values in y.T]
    constant = np.ptp(y, axis=0) <= rounding
    if not constant.any():
        return []
    names = [plan.data.target_names[i] for i in np.flatnonzero(constant)]
    values = ", ".join(number(float(value)) for value in y[0, constant][:5])
    return [
        Finding(
            "constant-target",
            "",
            f"The target is the same in all {len(y):,} training rows for {several(names)}: {values}.",
            "There is nothing to learn from it: the best prediction is that number, and every metric of it is perfect "
            "for no reason.",
            "Check data.target and how data.split parts the rows (data.split.order = 'shuffled'), or leave the output "
            "out.",
            "problem" if constant.all() else "hint",
        )
    ]


def _classes(plan: Plan) -> list[Finding]:
    if plan.data.task != "classification":
        return []
    share, names = shares(plan), plan.data.target_names
    absent = [names[i] for i in np.flatnonzero(share == 0)]
    found = []
    if absent:
        found.append(
            Finding(
                "absent-class",
                "",
                f"{len(absent)} of {len(names)} classes have no training row that counts: {several(absent)}.",
                "The network cannot learn a class that it never sees; it will never predict it.",
                "Set data.split.order = 'stratified', train on more rows (data.split.train), or give those rows a "
                "weight above 0.",
                "problem",
            )
        )
    least, most = int(np.argmin(np.where(share > 0, share, np.inf))), int(np.argmax(share))
    if share[most] > IMBALANCE * share[least]:
        found.append(
            Finding(
                "class-imbalance",
                "",
                f"Of the training rows {share[most]:.2%} are of class {names[most]} and {share[least]:.2%} of class "
                f"{names[least]}, a factor of {share[most] / share[least]:.0f}.",
                f"Accuracy says little about the small classes: always answering {names[most]} already reaches "
                f"{share[most]:.2%}.",
                "Add evaluation.metrics = ['balanced_accuracy', 'f1_macro'], compare epochs by evaluation.monitor = "
                "'validation_balanced_accuracy', and weigh the rows of small classes more (weight of the data set).",
                "hint",
            )
        )
    return found


def majority_findings(plan: Plan, probe: Probe, history: Sequence[Row], over: bool) -> list[Finding]:
    """One class predicted for nearly every row though it is not the class of nearly every row.

    over: whether training has ended.
    """
    if plan.data.task != "classification" or not np.isfinite(probe.logits).all() or not history:
        return []
    share = shares(plan)
    predicted = np.bincount(probe.logits.argmax(axis=1), minlength=len(share)) / len(probe.logits)
    top = int(np.argmax(predicted))
    if predicted[top] < ONE_CLASS or share[top] > ONE_CLASS:
        return []
    part = "validation" if "validation_accuracy" in history[-1] else "train"
    accuracy, n = history[-1].get(f"{part}_accuracy", np.nan), effective_rows(plan, part)
    if not accuracy <= share[top] + 2 * share_error(float(share[top]), n):
        return []
    # with a very large class, every network answers it alone for a while, though its loss already falls
    learning = explained(plan, part, history[-1].get(f"{part}_loss", np.nan)) > BARELY
    what = "the largest class" if share[top] == share.max() else "one class"
    return [
        Finding(
            "predicts-one-class",
            "",
            f"The network predicts {what}, {plan.data.target_names[top]}, for {predicted[top]:.1%} of "
            f"{len(probe.rows)} training rows; its share of the training rows is {share[top]:.1%}, and the {part} "
            f"accuracy {accuracy:.4f}.",
            "Such a network has learnt the shares of the classes and nothing of the rows.",
            "See the other findings first (learning rate, dead units, scales). With unequal classes, weigh the rows of "
            "small classes more (weight of the data set) and set evaluation.monitor = 'validation_balanced_accuracy' "
            "with evaluation.metrics = ['balanced_accuracy'].",
            "problem" if over or not (learning or falling(history)) else "hint",
        )
    ]
