"""Findings about the units of a layer: dead, saturated, or no numbers at all."""

from math import isfinite

from chainrule.diagnosis.finding import Finding, option, several
from chainrule.diagnosis.probe import MOSTLY, Measured, Probe
from chainrule.training.plan import Plan
from chainrule.training.step import State

DEAD = (0.1, 0.5)
"""Shares of dead units from which a layer is a hint and a problem. Karpathy's CS231n notes put a badly set rate at
"as much as 40 %" dead; healthy layers here had a median of 0, one in ten over 0.1, up to 0.27 on raw pixels."""

SATURATED_UNITS = (0.25, 0.5)
"""Shares of saturated units from which a layer is a hint and a problem; Glorot & Bengio (2010, figures 2 and 3) call
layers saturated whose typical output sits at the ends."""


def unit_findings(plan: Plan, probe: Probe, faded: bool) -> list[Finding]:
    """Dead and saturated units, a layer each. faded: whether the initial weights are to blame, which others report."""
    found = [
        one for layer in probe.layers for one in (_dead(plan, probe, layer), _saturated(plan, probe, layer)) if one
    ]
    first = "Mend the initial weights first: see signal-fades."
    return [one._replace(change=first) for one in found] if faded else found


def not_finite(plan: Plan, state: State, probe: Probe) -> list[Finding]:
    """What is NaN or infinite among parameters, outputs of layers, the loss, and gradients; the first places first."""
    xp = plan.backend.xp
    broken = [name for name, value in state.parameters.items() if not bool(xp.all(xp.isfinite(value)))]
    outputs = [one.name for one in probe.layers if not one.finite]
    gradients = [one.name for one in probe.layers if not one.gradient_finite]
    parts = [
        f"{what} {several(names)}"
        for what, names in (("the parameters", broken), ("outputs of", outputs), ("gradients at", gradients))
        if names
    ]
    if not parts and not isfinite(probe.loss):
        parts = ["the loss"]
    if not parts:
        return []
    return [
        Finding(
            "not-finite",
            "" if not outputs else outputs[0],
            f"Not finite (NaN or infinite) on {len(probe.rows)} training rows: {'; '.join(parts)}.",
            "Every number computed from them is lost, and training cannot come back from it.",
            "Lower optimizer.lr tenfold, set data.preprocessing = 'standardise' and training.clip_norm = 1; with "
            "compute.precision = 'bfloat16', try 'float32'.",
            "problem",
        )
    ]


def _dead(plan: Plan, probe: Probe, one: Measured) -> Finding | None:
    if one.dead is None or one.dead < DEAD[0] * one.units:
        return None
    share = one.dead / one.units
    return Finding(
        "dead-units",
        one.name,
        f"{one.dead} of {one.units} units ({share:.0%}) are flat for each of {len(probe.rows)} training rows: the "
        "slope of the activation is 0 there (ReLU: the output is 0).",
        "A unit without slope passes no gradient back, so its weights no longer change: the layer works with "
        f"{one.units - one.dead} units.",
        "Lower optimizer.lr (a step too large is the usual cause), or "
        + option(
            plan,
            "set network.activation = 'leaky_relu' or 'gelu', or network.norm = 'batch'",
            "use a layer of kind 'leaky_relu' or 'gelu' in network.layers, or one of kind 'batch_norm' before it",
        )
        + "; with uncentred inputs, data.preprocessing = 'standardise'.",
        "problem" if share >= DEAD[1] else "hint",
    )


def _saturated(plan: Plan, probe: Probe, one: Measured) -> Finding | None:
    if one.saturated is None or one.saturated < SATURATED_UNITS[0] * one.units:
        return None
    share = one.saturated / one.units
    return Finding(
        "saturated-units",
        one.name,
        f"{one.saturated} of {one.units} units ({share:.0%}) are near an end of the activation for at least "
        f"{MOSTLY:.0%} of {len(probe.rows)} training rows.",
        "There the slope is under a twentieth of its largest, so hardly any gradient reaches the weights before it.",
        "Start smaller ("
        + option(plan, "network.init = 'glorot'", "init = 'glorot' in the linear layers of network.layers")
        + "), set data.preprocessing = 'standardise', lower optimizer.lr, or "
        + option(plan, "set network.norm = 'batch'", "put a layer of kind 'batch_norm' before it")
        + ".",
        "problem" if share >= SATURATED_UNITS[1] else "hint",
    )
