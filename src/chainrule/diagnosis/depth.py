"""Findings about initial weights: a signal that fades or grows from layer to layer, and a start worse than guessing.

The forward signal is the deviation over rows of what enters each layer with weights, the backward one the size of
∂J/∂ of the same. Behind a norm layer both are right however small the weights are; between a linear layer and its
norm they would not be. The input itself is left out (its scale is another finding), and so is what the last layer
makes of the signal, for small or zero weights there are a usual way to start.
"""

from math import log
from typing import NamedTuple

import numpy as np

from chainrule.backprop import Layer
from chainrule.diagnosis.chance import chance, floor
from chainrule.diagnosis.finding import Finding, Severity, option
from chainrule.diagnosis.probe import Probe
from chainrule.layers import SELU, Linear, Residual, Sigmoid, Tanh
from chainrule.training.plan import Plan

TOTAL = (1e2, 1e3)
"""Factors over all hidden layers from which the signal is a hint and a problem. He (2015) and Glorot (2010) keep it
near 1; in 60 healthy trainings, of up to six hidden layers, it stayed below 5. A sigmoid layer loses a factor of 4."""

EACH = 20.0
"""Factor a layer, in the geometric mean, from which it is a problem whatever the depth. With weights of deviation 1e-3
and 100 to 1,000 units a layer loses a factor of 45 to 140."""

START, FAR = 5.0, 30.0
"""Initial loss, in multiples of what guessing costs, from which the start is far off, and from which that is a problem.
With standardised inputs it was 1.0 to 1.6 times for classes and 2 to 5 times for numbers; with raw pixels 80 times. To
verify the loss at the start is the first step of Karpathy's "recipe for training neural networks"."""


class Signal(NamedTuple):
    """What enters the hidden layers with weights, the second one first: deviations forward, ∂J/∂x backward."""

    names: tuple[str, ...]
    forward: tuple[float, ...]
    backward: tuple[float, ...]


def signal(plan: Plan, probe: Probe) -> Signal:
    """The signal of a probe; empty for a network with one layer of weights."""
    weighted = {int(name.partition(".")[0]) for name in plan.network.weights}
    inputs = [(probe.top[i - 1], probe.top[i]) for i in sorted(weighted)[1:]]
    return Signal(
        tuple(here.name for _, here in inputs),
        tuple(before.deviation for before, _ in inputs),
        tuple(before.gradient for before, _ in inputs),
    )


def depth_findings(plan: Plan, now: Probe, initial: Probe | None, learnt: bool) -> list[Finding]:
    """The signal at the start, where that is known and unhealthy, and otherwise now.

    learnt: whether the loss shows that training has overcome it.
    """
    if initial is not None:
        found = [*_start(plan, initial, learnt), *_signal(plan, initial, learnt, "At the start of training")]
        if found:
            return found
    if 0 in signal(plan, now).forward:
        return []  # a layer died since; that is a finding about its units
    return _signal(plan, now, learnt, "Now", started_well=initial is not None)


def _signal(plan: Plan, probe: Probe, learnt: bool, when: str, started_well: bool = False) -> list[Finding]:
    measured = signal(plan, probe)
    found = []
    for way, values in (("forward", measured.forward), ("backward", measured.backward[::-1])):
        severity = _severity(values, way)
        if severity is None:
            continue
        faded = values[-1] < values[0] or values[0] == 0
        names = measured.names if way == "forward" else measured.names[::-1]
        shown = ", ".join(f"{value:.1e}" for value in values)
        what = (
            "the deviation over rows of what enters" if way == "forward" else "∂J/∂x (root mean square) at the input of"
        )
        found.append(
            Finding(
                "signal-fades" if faded else "signal-grows",
                "",
                f"{when}, {what} {names[0]}{f' to {names[-1]}' if len(names) > 1 else ''} is {shown}.",
                ("What tells the rows apart is lost on the way through the layers, or the gradient on the way back: "
                 "the layers hardly learn, however long they train.") if faded else
                ("Signal and gradient grow from layer to layer: no learning rate suits all of them, and the loss "
                 "starts or jumps far from any useful value."),
                _change(plan, started_well),
                "hint" if learnt else severity,
            )
        )  # fmt: skip
    # Backward repeats forward's story where the same small weights tell both.
    return found[:1]


def _severity(values: tuple[float, ...], way: str) -> Severity | None:
    if not values or not np.isfinite(values).all():
        return None
    if way == "backward" and values[0] == 0:
        return None  # zero weights in the last layer: nothing flows back before its first step
    if min(values) == 0:
        return "problem"
    if len(values) < 2:
        return None
    total = max(values[-1] / values[0], values[0] / values[-1])
    if total > TOTAL[1] or total ** (1 / (len(values) - 1)) > EACH:
        return "problem"
    return "hint" if total > TOTAL[0] else None


def _start(plan: Plan, initial: Probe, learnt: bool) -> list[Finding]:
    task = plan.data.task
    options, least = plan.config.data, floor(plan, "train") if task == "regression" else 0.0
    guess = log(max(plan.data.n_outputs, 2)) if task == "classification" else log(2)
    if task == "regression":
        guess = chance(plan, "train")["loss"]
    if not (np.isfinite(initial.loss) and guess > least):
        return []
    worse = (initial.loss - least) / (guess - least)
    if worse <= START:
        return []
    logits = float(initial.logits.std())
    return [
        Finding(
            "start-far-off",
            "",
            f"The untrained network has a loss of {initial.loss:.4g} on {len(initial.rows)} training rows; guessing "
            f"costs {guess:.4g}. Its outputs have a deviation of {logits:.3g}.",
            "The first steps only undo the initial weights, with gradients far larger than later ones.",
            ("" if options.preprocessing == "standardise" else "Set data.preprocessing = 'standardise'. ")
            + ("" if task != "regression" or options.standardise_target else "Set data.standardise_target = true. ")
            + _change(plan),
            "hint" if learnt or worse < FAR else "problem",
        )
    ]  # fmt: skip


def _change(plan: Plan, started_well: bool = False) -> str:
    """What to change: the initial weights, unless they are scaled by width already, and otherwise the rate."""
    leaves = [inner for layer in plan.network.layers for inner in _leaves(layer)]
    kinds = {type(leaf) for leaf in leaves}
    inits = {getattr(leaf.init, "kind", leaf.init) for leaf in leaves if isinstance(leaf, Linear)}
    suited = "glorot" if kinds & {Tanh, Sigmoid} else "lecun" if SELU in kinds else "he"
    if started_well or not inits & {"normal", "zeros"}:
        first = "Lower optimizer.lr, set training.clip_norm = 1"
    else:
        first = option(plan, f"Set network.init = '{suited}'", f"Set init = '{suited}' in the linear layers")
    norms = option(plan, "network.norm = 'batch' or 'layer'", "kind 'batch_norm' or 'layer_norm' in network.layers")
    deep = " In a deep network, activations other than 'sigmoid' keep more of the gradient." if Sigmoid in kinds else ""
    return f"{first}, or let norm layers hold the scale ({norms}).{deep}"


def _leaves(layer: Layer) -> list[Layer]:
    return [leaf for inner in layer.body for leaf in _leaves(inner)] if isinstance(layer, Residual) else [layer]
