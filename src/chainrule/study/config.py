"""STUDY.toml: which training, what varies, how candidates are proposed, when one is stopped, who is trained again."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from chainrule.data.dataset import Task
from chainrule.errors import ConfigError
from chainrule.losses import Loss, default_loss
from chainrule.spec import from_plain, spec, to_plain
from chainrule.study.space import Parameter, Params, applied, grid, parse
from chainrule.text import cause
from chainrule.training.config import Config, set_option
from chainrule.training.metrics import greater_is_better

Positive = Annotated[int, Field(gt=0)]


@spec
class Search:
    """How candidates are proposed, and when the search ends: whichever of trials, seconds and epochs comes first.

    sampler: "grid" takes every combination in turn; "random"; "quasi-random", a scrambled Sobol sequence; "tpe", which
    learns from the trials that have ended. seconds: since the study was begun or resumed. epochs: of all trials and
    seeds together. seeds: runs of each candidate, whose mean
    counts. seed: of the proposals. metric: a column of the history, evaluation.monitor where it is left out.
    """

    sampler: Literal["grid", "random", "quasi-random", "tpe"] = "tpe"
    trials: Positive | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None
    epochs: Positive | None = None
    seeds: Positive = 1
    seed: int = 0
    metric: str | None = None


@spec
class Pruning:
    """When a candidate is stopped early, judged by the metric at its rows of history.

    kind: "median", below the median of the others at the same row; "asha", not among the best 1/factor of those that
    reached a rung, with rungs at `first`, first·factor, first·factor² rows; "hyperband", as asha with a `first` of its
    own for every third, ninth ... of the candidates. first: rows before anyone is stopped. warm_up: candidates that are
    never stopped, for median.
    """

    kind: Literal["none", "median", "asha", "hyperband"] = "none"
    first: Positive = 1
    factor: Annotated[int, Field(ge=2)] = 3
    warm_up: Annotated[int, Field(ge=0)] = 5


@spec
class Finalists:
    """The best `n` candidates, trained again with `seeds` fresh seeds each and then judged on the test rows, once.

    Choosing the best of many flatters it; what a finalist scores with seeds that had no part in the choice does not.
    n 0: no one is trained again, and the test rows are not read.
    """

    n: Annotated[int, Field(ge=0)] = 3
    seeds: Positive = 5


@spec
class Options:
    """The tables of STUDY.toml beside [train] and [space]."""

    search: Search = field(default_factory=Search)
    pruning: Pruning = field(default_factory=Pruning)
    finalists: Finalists = field(default_factory=Finalists)


@spec
class Tables(Options):
    """All of STUDY.toml but [space]: so the problems of [train], too, are told by their paths in the file."""

    train: Config = Config()


@dataclass(frozen=True, eq=False)
class Study:
    """A study as decided. train: the plain configuration of a trial before its values. plain: all, as TOML holds it."""

    name: str
    train: dict[str, Any]
    space: tuple[Parameter, ...]
    options: Options
    metric: str
    plain: dict[str, Any]

    @property
    def maximise(self) -> bool:
        """Whether the greater metric is the better one."""
        return greater_is_better(self.metric)

    def config(self, params: Params) -> Config:
        """The configuration of a trial. Raises a ConfigError where the values do not go together."""
        return from_plain(Config, complete(applied(self.train, params)))

    def losses(self, params: Params) -> list[Loss | None]:
        """What the loss of a trial may be, for the bounds of its metrics; None for that of a start, which is not read.

        Where neither the configuration nor a start says it, it is the one that suits the targets.
        """
        config = self.config(params)
        if config.loss is None and config.start is None:
            return [default_loss(task) for task in get_args(Task)]
        return [config.loss]


def load_study(path: Path | str, changes: Iterable[str] = ()) -> Study:
    r"""The study in the TOML file at `path`, with `changes` such as "search.trials=50". Raises a ConfigError.

    It has the name of the file, but for the record in a study's directory, which holds its `name`.

    >>> from tempfile import mkdtemp
    >>> path = Path(mkdtemp()) / "width.toml"
    >>> _ = path.write_text('[space]\n"network.hidden" = [[4], [8]]\n[search]\nsampler = "grid"')
    >>> load_study(path, ["search.metric=validation_loss"]).metric
    'validation_loss'
    """
    path = Path(path)
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The study {path} cannot be read: {cause(error)}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"The study {path} is not TOML: {error}") from None
    for change in changes:
        set_option(plain, change)
    name = plain.pop("name", path.stem)
    if not isinstance(name, str) or not name or name == ".." or Path(name).name != name:
        raise ConfigError(
            f"name is {name!r}; expected one that a folder can have, in quotes, or none: that of the file"
        )
    base = plain.pop("base", None)
    if base is not None:
        _check_table(plain, "train")
        if not isinstance(base, str):
            raise ConfigError(f"base is {base!r}; expected the path of a configuration, in quotes")
        above = path.parent / base
        try:
            plain["train"] = _merged(tomllib.loads(above.read_text(encoding="utf-8-sig")), plain.get("train", {}))
        except (OSError, ValueError) as error:
            raise ConfigError(f"base {base!r}: {above} cannot be read as TOML: {cause(error)}") from None
    return study(plain, name)


def study(plain: Mapping[str, Any], name: str) -> Study:
    """The study written as plain tables. Every candidate that can be told beforehand is held against the schema."""
    known = {one.name for one in fields(Options)}
    if unknown := set(plain) - known - {"train", "space"}:
        raise ConfigError(
            f"{sorted(unknown)[0]!r} is no table of a study; expected base, train, space, {', '.join(sorted(known))}"
        )
    for table in ("train", "space"):
        _check_table(plain, table)
    train = dict(plain.get("train", {}))
    tables = from_plain(Tables, {key: plain[key] for key in known & set(plain)} | {"train": complete(train)})
    options = Options(tables.search, tables.pruning, tables.finalists)
    space = parse(plain.get("space", {}))
    resolved = {"train": train, "space": dict(plain["space"])} | to_plain(options)
    made = Study(name, train, space, options, options.search.metric or tables.train.evaluation.monitor, resolved)
    _check(made)
    return made


def _check_table(plain: Mapping[str, Any], name: str) -> None:
    if not isinstance(plain.get(name, {}), Mapping):
        raise ConfigError(f"{name} is {plain[name]!r}; expected a table, [{name}]")


def _check(made: Study) -> None:
    search = made.options.search
    for path in (one.path for one in made.space):
        if path.startswith(_ROWS):
            raise ConfigError(f"space.{path!r}: candidates would be judged on different rows; set train.{path} for all")
    if not made.metric.startswith(("validation_", "train_")):
        key = "train.evaluation.monitor" if search.metric is None else "search.metric"
        raise ConfigError(f"{key} {made.metric!r}: expected a column of the history, such as validation_accuracy")
    if search.sampler == "grid":
        candidates = grid(made.space)
        if len({str(one) for one in candidates}) > _MOST:
            raise ConfigError(f"the grid has {len(candidates):,} candidates; at most {_MOST:,} are allowed")
    else:
        if search.trials is search.seconds is search.epochs is None:
            raise ConfigError(
                f"sampler {search.sampler!r} never ends by itself: give search.trials, .seconds or .epochs"
            )
        candidates = [params for parameter in made.space for params in _ends(parameter, made.space)]
    problems: dict[str, None] = {}
    for params in candidates:
        try:
            made.config(params)
        except ConfigError as error:
            lines = str(error).splitlines()
            for line in [one.strip() for one in lines[1:]] or lines:
                problems.setdefault(f"{line} (with {shown(params)})")
    if problems:
        few = [*problems][:10]
        more = f"\n  and {len(problems) - len(few)} more" if len(problems) > len(few) else ""
        raise ConfigError("The space holds values that a training cannot have:\n  " + "\n  ".join(few) + more)


_MOST = 100_000
_ROWS = ("data.source", "data.path", "data.target", "data.task", "data.split")


def _ends(parameter: Parameter, space: Sequence[Parameter]) -> list[Params]:
    """Every choice of one parameter, or both ends of its range, with what its condition asks for, and theirs."""
    values = parameter.choices or (parameter.low, parameter.high)
    asked: Params = {}
    waiting = [*parameter.when]
    while waiting:
        path, allowed = waiting.pop(0)
        asked = {path: allowed[0]} | asked
        waiting += next(one.when for one in space if one.path == path)
    return [asked | {parameter.path: value} for value in values]


def complete(plain: Mapping[str, Any]) -> dict[str, Any]:
    """An `optimizer` table without a kind is Adam's, as in a training."""
    optimizer = plain.get("optimizer")
    return dict(plain) | ({"optimizer": {"kind": "adam"} | optimizer} if isinstance(optimizer, dict) else {})


def shown(params: Params) -> str:
    """Values in one line."""
    return ", ".join(f"{path} = {short(value)}" for path, value in params.items())


def short(value: Any) -> str:
    """A value of an option in a few characters; layers by kind, size and initial weights.

    >>> short([{"kind": "linear", "width": 8, "init": {"kind": "normal", "std": 0.001}}, {"kind": "relu"}])
    'linear 8 (normal 0.001) | relu'
    """
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, dict) and "kind" in one for one in value):
        return " | ".join(_layer(one) for one in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _layer(table: Mapping[str, Any]) -> str:
    init = table.get("init")
    parts = [table["kind"], *(f"{table[key]:g}" for key in ("width", "rate") if table.get(key) is not None)]
    if isinstance(init, dict) and init["kind"] != "he":
        parts.append(f"({init['kind']} {init['std']:g})" if init.get("std") else f"({init['kind']})")
    return " ".join([*parts, *(f"[{short(table[key])}]" for key in ("body",) if key in table)])


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(below)
    for key, value in above.items():
        inner = both.get(key)
        both[key] = _merged(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return both
