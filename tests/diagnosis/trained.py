"""A short training by hand, for diagnoses of its state: no loop, no files."""

from typing import Any, NamedTuple

import numpy as np

import chainrule as cr
from chainrule.diagnosis.diagnose import diagnose
from chainrule.diagnosis.finding import Finding
from chainrule.training import load
from chainrule.training.evaluate import logits
from chainrule.training.metrics import score
from chainrule.training.plan import Plan, plan
from chainrule.training.step import State, resident, start, train_step

NUMPY = ("compute.backend='numpy'", "compute.threads=1")


class Trained(NamedTuple):
    """A finished training: `early` are the findings at its rows of history, `final` those at its end."""

    plan: Plan
    state: State
    history: list[dict[str, Any]]
    early: tuple[Finding, ...]
    final: tuple[Finding, ...]

    def names(self, severity: str | None = None) -> set[str]:
        """Names of the final findings."""
        return {found.name for found in self.final if severity in (None, found.severity)}

    def problems(self) -> list[Finding]:
        """Every finding of severity "problem", early or final."""
        return [found for found in (*self.early, *self.final) if found.severity == "problem"]

    def the(self, name: str) -> Finding:
        """The first final finding of this name."""
        return next(found for found in self.final if found.name == name)


def trained(
    data: cr.Dataset, *changes: str, network: cr.Network | None = None, watch: bool = False, initial: bool = True
) -> Trained:
    """Train what `changes` configure on `data`, and diagnose its end; with `watch`, at the start and every row too."""
    return trained_config(load(None, [*NUMPY, *changes]), data, network, watch, initial)


def trained_config(config, data, network=None, watch=False, initial=True) -> Trained:
    decided = plan(config, data, network or config.network.build())
    history, early = [], []
    with decided.backend.scope():
        device, state = resident(decided), start(decided)
        first, losses, before = state, 0.0, 0
        if watch:
            early += diagnose(decided, device, state, 0, [])
        for step in range(decided.n_steps):
            state, loss, _, norm = train_step(decided, device, state, step)
            losses = losses + loss
            if decided.due(step):
                history.append(row(decided, device.X, state, norm, step, float(losses) / (step + 1 - before)))
                losses, before = 0.0, step + 1
                if watch:
                    early += diagnose(decided, device, state, step + 1, history)
        final = diagnose(decided, device, state, decided.n_steps, history, first if initial else None)
    return Trained(decided, state, history, tuple(early), final)


def row(decided, X, state, norm, step, batch_loss) -> dict[str, Any]:
    found: dict[str, Any] = {"step": step + 1, "epoch": (step + 1) / decided.batches.per_epoch, "lr": decided.lr(step)}
    for part, rows in (("train", decided.train_sample), ("validation", decided.rows.validation)):
        if len(rows):
            z = logits(decided.network, decided.loss, state.parameters, decided.preprocessing, decided.backend, X, rows)
            weight = None if decided.data.weight is None else decided.data.weight[rows]
            values = score(z, decided.data.y[rows], decided.loss, decided.target, decided.metrics, weight)
            found |= {f"{part}_{name}": value for name, value in values.items()}
    return found | {"batch_loss": batch_loss, "gradient_norm": norm.plain().gradient}


def classes(X, y, **options) -> cr.Dataset:
    names = tuple("abcdefgh"[: int(np.max(y)) + 1])
    return cr.Dataset("made", X, np.asarray(y).astype(np.int64), "classification", names, **options)


def numbers(X, y, **options) -> cr.Dataset:
    names = ("price",) if np.ndim(y) == 1 else tuple(f"y{i}" for i in range(y.shape[1]))
    return cr.Dataset("made", X, np.asarray(y, dtype=float), "regression", names, **options)
