"""A user's own rule and schedule, tried once before a run: what they give wrong would train nonsense in silence."""

from collections.abc import Mapping, Sequence
from math import isfinite
from numbers import Real
from reprlib import repr as short
from typing import Any

from chainrule.arrays import Array, equal
from chainrule.errors import ConfigError
from chainrule.optim.apply import per_network
from chainrule.optim.optimizers import Optimizer
from chainrule.optim.schedules import Schedule
from chainrule.spec import is_own

_MISSING: Any = object()


def audit_rule(optimizer: Optimizer) -> None:
    """Raise a ConfigError for a rule of the user's own without a rate, or whose decay or slots are no such thing."""
    if not is_own(optimizer):
        return
    what = f"optimizer {type(optimizer).__name__}"
    lr, decay, slots = (getattr(optimizer, name, _MISSING) for name in ("lr", "decay", "slots"))
    if not (_is_number(lr) and lr > 0):
        raise ConfigError(f"{what}: lr is {_shown(lr)}; expected a number above 0, such as lr = 0.01 in the class")
    if not (_is_number(decay) and decay >= 0):
        raise ConfigError(f"{what}: decay is {_shown(decay)}; expected a number of at least 0")
    if isinstance(slots, str) or not (isinstance(slots, Sequence) and all(isinstance(name, str) for name in slots)):
        raise ConfigError(f"{what}: slots is {_shown(slots)}; expected a tuple of names, such as ('m', 'v'), or ()")


def audit_step(optimizer: Optimizer, parameters: Mapping[str, Array], xp: Any) -> None:
    """Take one step with each of the `parameters`; raise a ConfigError for a rule of the user's own that gives other
    than (p, slots), all of the shape and dtype of p, or that writes in what it is given.
    """
    if not is_own(optimizer):
        return
    what = f"optimizer {type(optimizer).__name__}: step"
    for name, p in parameters.items():
        names = ("p", "g", *(f"slot {slot!r}" for slot in optimizer.slots))
        given = (p, xp.ones_like(p), *(xp.zeros_like(p) for _ in optimizer.slots))
        passed = tuple(xp.asarray(value, copy=True) for value in given)
        answer: Any = optimizer.step(passed[0], passed[1], passed[2:], per_network(optimizer.lr, p), 0, xp)
        for key, value, after in zip(names, given, passed, strict=True):
            if not equal(after, value, xp):
                raise ConfigError(
                    f"{what} changes {key} in place, which the history and the way back from a divergence still need; "
                    "return a new array, such as p - lr * g for p -= lr * g"
                )
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise ConfigError(f"{what} returns {_shown(answer)}; expected (p, slots), such as p - lr * g, ()")
        _check_renewed(what, name, p, answer, tuple(optimizer.slots))


def _check_renewed(what: str, name: str, p: Array, answer: tuple[Any, Any], slots: tuple[str, ...]) -> None:
    renewed, kept = answer
    if not (isinstance(kept, (tuple, list)) and len(kept) == len(slots)):
        found = f"{len(kept)} slots" if isinstance(kept, (tuple, list)) else f"slots of {_shown(kept)}"
        raise ConfigError(f"{what} gives {found}; expected a tuple of {len(slots)}, for its slots are {slots}")
    for key, array in (("p", renewed), *((f"slot {one!r}", a) for one, a in zip(slots, kept, strict=True))):
        if getattr(array, "shape", None) != p.shape:
            raise ConfigError(f"{what} gives {key} of {_form(array)} for {name}; expected that of p, {tuple(p.shape)}")
        if array.dtype != p.dtype:
            raise ConfigError(
                f"{what} gives {key} of dtype {array.dtype} for {name}; expected that of p, {p.dtype}. Use Python's "
                "numbers, float(np.sqrt(2.0)) for np.sqrt(2.0), or cast: xp.astype(p, g.dtype)"
            )


def audit_schedule(schedule: Schedule, n_steps: int, per_epoch: int) -> None:
    """Ask for the first, the middle and the last factor of a run; raise a ConfigError for a schedule of the user's own
    where one, or the warm-up, is no finite number of at least 0.
    """
    if not is_own(schedule):
        return
    what = f"schedule {type(schedule).__name__}"
    if not (_is_number(schedule.warm_up) and schedule.warm_up >= 0):
        raise ConfigError(f"{what}: warm_up is {_shown(schedule.warm_up)}; expected epochs, a number of at least 0")
    name = "factor"
    if type(schedule).factor is Schedule.factor:
        name, n_steps = "after", max(n_steps - schedule.rising(per_epoch), 1)
    for step in sorted({0, n_steps // 2, n_steps - 1}):
        found: Any = getattr(schedule, name)(step, n_steps, per_epoch)
        if not (_is_number(found) and found >= 0):
            raise ConfigError(
                f"{what}: {name}({step}, {n_steps}, {per_epoch}) gives {_shown(found)}; expected what multiplies lr, "
                "a finite number of at least 0"
            )


def _is_number(value: Any) -> bool:
    plain = value.item() if getattr(value, "shape", None) == () else value
    return isinstance(plain, Real) and isfinite(plain)


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "missing"
    if callable(value):
        return "a method (put @property above it)"
    return f"an array of {_form(value)}" if getattr(value, "shape", ()) else short(value)


def _form(value: Any) -> str:
    return f"shape {tuple(value.shape)}" if hasattr(value, "shape") else short(value)
