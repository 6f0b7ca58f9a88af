"""What a study varies: options of the training configuration by their paths, each with choices or a range."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import exp, floor, log
from typing import Any, NamedTuple

from chainrule.errors import ConfigError

Params = dict[str, Any]
"""What one trial was given: values by path, as written in TOML, without those whose condition does not hold."""


class Parameter(NamedTuple):
    """One option that varies.

    choices: its values, or empty for a range from `low` to `high`, both included. log: uniform in the logarithm.
    step: multiples of it above `low`; a range of integers has 1. when: values of parameters before this one, by path,
    without which it does not exist.
    """

    path: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    integer: bool = False
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    @property
    def n_values(self) -> int | None:
        """How many values there are; None for a continuous range."""
        if self.choices:
            return len(self.choices)
        return None if self.step is None else floor((self.high - self.low) / self.step + 1e-9) + 1

    def at(self, u: float) -> Any:
        """The value at u in [0, 1): uniform over choices, the range, or its logarithm."""
        n = self.n_values
        if self.choices:
            return self.choices[int(u * len(self.choices))]
        if n is not None and not self.log:
            return self._whole(self.low + self.step * int(u * n))  # type: ignore[operator]
        if self.log:  # half a step more on both sides, so that the ends are as likely as what is between
            half = 0.5 * (self.step or 0.0)
            low, high = log(max(self.low - half, 0.5 * self.low)), log(self.high + half)
            x = exp(low + u * (high - low))
            x = self.low + self.step * round((x - self.low) / self.step) if self.step else x
            return self._whole(min(max(x, self.low), self.high))
        return self.low + u * (self.high - self.low)

    def _whole(self, x: float) -> float | int:
        return round(x) if self.integer else x

    def values(self) -> tuple[Any, ...]:
        """All values, for a grid. Raises a ConfigError for a continuous range."""
        n = self.n_values
        if n is None:
            raise ConfigError(
                f"space.{self.path!r} is a range without steps, which a grid cannot list; give 'step', or a list"
            )
        return self.choices or tuple(self._whole(self.low + self.step * i) for i in range(n))  # type: ignore[operator]

    def exists(self, chosen: Mapping[str, Any]) -> bool:
        """Whether its condition holds for what was chosen before it."""
        return all(path in chosen and chosen[path] in allowed for path, allowed in self.when)


def parse(plain: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """Parameters of the [space] table: a list of values, or a table with low and high, or choices, and perhaps when.

    Raises a ConfigError that names every problem.
    """
    found: list[Parameter] = []
    problems: list[str] = []
    for path, value in _flat(plain):
        try:
            found.append(_parameter(path, value, found))
        except ConfigError as error:
            problems.append(str(error))
    if not plain:
        problems.append('space is empty; name at least one option that varies, such as "optimizer.lr" = [1e-3, 1e-2]')
    if problems:
        raise ConfigError(_counted(problems))
    return tuple(found)


def _counted(problems: Sequence[str]) -> str:
    count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
    return f"The study has {count}:\n  " + "\n  ".join(problems)


_WORDS = {"low", "high", "log", "step", "choices", "when"}


def _flat(plain: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """A path may be written as one quoted key, "optimizer.lr", or as a table in a table."""
    for name, value in plain.items():
        if isinstance(value, Mapping) and not _WORDS & set(value):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _parameter(path: str, value: Any, before: Sequence[Parameter]) -> Parameter:
    name = f"space.{path!r}"
    if isinstance(value, list):
        value = {"choices": value}
    if not isinstance(value, Mapping):
        raise ConfigError(f"{name} is {value!r}; expected a list of values, or a table with low and high")
    if unknown := set(value) - _WORDS:
        raise ConfigError(f"{name} has {sorted(unknown)[0]!r}; a range has low, high, log, step, when")
    when = value.get("when", {})
    if not isinstance(when, Mapping) or not set(when) <= {one.path for one in before}:
        raise ConfigError(
            f"{name}: 'when' names {', '.join(map(str, when))}; expected paths of the space that stand before it"
        )
    condition = tuple((key, tuple(one) if isinstance(one, list) else (one,)) for key, one in when.items())
    for key, allowed in condition:
        _check_condition(name, next(one for one in before if one.path == key), allowed)
    if "choices" in value:
        if not isinstance(value["choices"], list) or not value["choices"]:
            raise ConfigError(f"{name} has no choices; give a list of at least one value")
        return Parameter(path, tuple(value["choices"]), when=condition)
    low, high, step = value.get("low"), value.get("high"), value.get("step")
    numbers = [one for one in (low, high, step) if one is not None]
    if (
        low is None
        or high is None
        or any(isinstance(one, bool) or not isinstance(one, (int, float)) for one in numbers)
    ):
        raise ConfigError(f"{name}: low {low!r} and high {high!r}: expected two numbers")
    if not low < high:
        raise ConfigError(f"{name}: the range from {low} to {high} is empty; low must be less than high")
    if step is not None and not 0 < step <= high - low:
        raise ConfigError(f"{name}: step {step} does not fit into the range from {low} to {high}")
    if value.get("log") and low <= 0:
        raise ConfigError(f"{name}: log with low {low}: a logarithmic range begins above 0")
    integer = all(isinstance(one, int) for one in numbers)
    step = 1 if integer and step is None else step
    return Parameter(path, (), low, high, bool(value.get("log")), step, integer, condition)


def _check_condition(name: str, on: Parameter, allowed: Sequence[Any]) -> None:
    """Refuse values that the parameter before it never has: the option would not vary, or less than was meant."""
    for value in allowed:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value not in on.choices if on.choices else not (number and on.low <= value <= on.high):
            has = ", ".join(map(repr, on.choices)) if on.choices else f"{on.low} to {on.high}"
            lists = "; a list means any of its values, so a value that is a list stands in a list"
            hint = lists if any(isinstance(one, list) for one in on.choices) else ""
            raise ConfigError(f"{name}: 'when' asks for {on.path} = {value!r}, which it never is; expected {has}{hint}")


def from_unit(space: Sequence[Parameter], u: Sequence[float]) -> Params:
    """The values at a point of the unit cube, one coordinate a parameter."""
    chosen: Params = {}
    for parameter, x in zip(space, u, strict=True):
        if parameter.exists(chosen):
            chosen[parameter.path] = parameter.at(x)
    return chosen


def grid(space: Sequence[Parameter]) -> list[Params]:
    """Every combination once, the last parameter changing fastest."""
    found: list[Params] = []
    for combination in product(*(parameter.values() for parameter in space)):
        chosen: Params = {}
        for parameter, value in zip(space, combination, strict=True):
            if parameter.exists(chosen):
                chosen[parameter.path] = value
        if chosen not in found[-1:] and chosen not in found:
            found.append(chosen)
    return found


def applied(plain: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The plain configuration with the values of `params` at their paths; `plain` stays as it is."""
    made = {key: applied(value, {}) if isinstance(value, Mapping) else value for key, value in plain.items()}
    for path, value in params.items():
        table = made
        *above, last = path.split(".")
        for name in above:
            inner = table.get(name)
            table[name] = table = inner if isinstance(inner, dict) else {}
        table[last] = value
    return made
