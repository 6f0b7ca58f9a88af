"""How a specification is written: a frozen, strict dataclass without arrays, checked when it is made."""

import difflib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import field, fields
from functools import wraps
from numbers import Integral
from reprlib import repr as short
from typing import Annotated, Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Discriminator, Field, GetCoreSchemaHandler, Tag, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass, rebuild_dataclass
from pydantic_core import core_schema

from chainrule.errors import ConfigError

T = TypeVar("T")

List = Annotated[tuple[T, ...], Field(strict=False)]
"""A tuple that may be written as a list."""


@dataclass_transform(frozen_default=True, field_specifiers=(field, Field))
def spec(cls: type[T]) -> type[T]:
    """Make `cls` a frozen dataclass that refuses unknown options and values of the wrong type with a ConfigError."""
    checked: Any = dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))(cls)
    return _with_our_errors(checked)  # type: ignore[no-any-return]


def is_own(part: object) -> bool:
    """Whether a layer, loss, rule or schedule is of a class of the user's own, a subclass of one of ours too."""
    return not type(part).__module__.startswith("chainrule.")


class OwnOr:
    """Beside instances of `kinds`, which a file tells apart by `kind`, Python can bring any of the annotated class."""

    def __init__(self, kinds: Any) -> None:
        self.kinds = kinds

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def taken(value: Any, validate: Callable[[Any], Any]) -> Any:
            refuse_class("", value, source)
            return value if isinstance(value, source) else validate(value)

        in_file = handler.generate_schema(Annotated[self.kinds, Field(discriminator="kind")])
        return core_schema.no_info_wrap_validator_function(taken, in_file)


def complete(cls: type[T], **names: Any) -> None:
    """Finish a specification whose fields name types that did not exist yet, such as a layer made of layers."""
    rebuild_dataclass(cls, force=True, _types_namespace=names)  # type: ignore[arg-type]
    _with_our_errors(cls)


def expect(name: str, value: object, fits: bool, expected: str) -> None:
    """Refuse the `value` of the argument `name` with a ConfigError unless it `fits`.

    >>> expect("how", 0.2, False, "a Split, such as Split(test=0.2)")
    Traceback (most recent call last):
        ...
    chainrule.errors.ConfigError: how is 0.2; expected a Split, such as Split(test=0.2)
    """
    if not fits:
        line = " ".join(short(value).split())  # an array has several
        raise ConfigError(f"{name} is {line}; expected {expected}")


def refuse_class(name: str, value: object, base: type) -> None:
    """Refuse a subclass of `base` in the place of an instance. name: of the argument, or "" where its path is said.

    >>> refuse_class("solver", dict, object)
    Traceback (most recent call last):
        ...
    chainrule.errors.ConfigError: solver is the class dict; expected an instance, such as dict()
    """
    if isinstance(value, type) and issubclass(value, base):
        wanted, given = f"an instance, such as {value.__name__}()", f"the class {value.__name__}"
        raise ConfigError(f"{name} is {given}; expected {wanted}" if name else f"should be {wanted}, got {given}")


def expect_count(name: str, value: object) -> None:
    """Refuse the `value` of the argument `name` unless it is a whole number of at least 1.

    >>> expect_count("seeds", 0)
    Traceback (most recent call last):
        ...
    chainrule.errors.ConfigError: seeds is 0; expected a whole number of at least 1
    """
    fits = not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 1
    expect(name, value, fits, "a whole number of at least 1")


def _with_our_errors(cls: Any) -> Any:
    validate: Callable[..., None] = cls.__init__

    @wraps(validate)
    def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807
        try:
            validate(self, *args, **options)
        except ValidationError as error:
            raise ConfigError(f"{cls.__name__}: " + "; ".join(dict.fromkeys(problems(error, cls)))) from None

    cls.__init__ = __init__
    return cls


def _form(value: object) -> str:
    if isinstance(value, str):
        return "[text]"
    if isinstance(value, (list, tuple)):
        return "[list]"
    return "[number]" if isinstance(value, (int, float)) else "[table]"


class Form:
    """Tags of a union by how a value is written, `0.4` or `[0.4, 0]`; in brackets, so that no path shows them."""

    TEXT, LIST, NUMBER, TABLE = Tag("[text]"), Tag("[list]"), Tag("[number]"), Tag("[table]")
    BY = Discriminator(_form)


def from_plain(cls: type[T], plain: dict[str, Any]) -> T:
    """The specification `cls` written as plain tables, lists, numbers and texts (what TOML and JSON hold).

    Raises a ConfigError that lists every problem with the path of its key.
    """
    try:
        # JSON mode is where pydantic reads tables as dataclasses and lists as tuples and is still strict on numbers.
        return _adapter(cls).validate_json(json.dumps(plain, allow_nan=True, default=str))  # type: ignore[no-any-return]
    except ValidationError as error:
        found = list(problems(error, cls))
        count = f"{len(found)} problem{'s' if len(found) > 1 else ''}"
        raise ConfigError(f"The configuration has {count}:\n  " + "\n  ".join(found)) from None


def to_plain(value: Any) -> dict[str, Any]:
    """The specification as plain tables; options that are None are left out, for TOML has no null."""
    return _without_none(_adapter(type(value)).dump_python(value, mode="json"))  # type: ignore[no-any-return]


def json_schema(cls: type) -> dict[str, Any]:
    """The JSON Schema of specification `cls`."""
    return _adapter(cls).json_schema()


def paths(cls: type) -> dict[str, set[str]]:
    """The options of `cls` that a value can be given to, by dotted path; what may stand in those that are lists alone.

    Of a table of several kinds `kind` and the options of each; the shallower first.

    >>> from chainrule.training import Config
    >>> found = paths(Config)
    >>> found["optimizer.lr"], found["network.hidden"], found["evaluation.metrics"]
    (set(), {'integer'}, {'string'})
    """
    schema = json_schema(cls)
    found: dict[str, set[str]] = {}
    for path, nodes in _paths([schema], schema):
        items = [node.get("prefixItems") or [node["items"]] for node in nodes if node.get("type") == "array"]
        in_list = {one.get("type", "table") for some in items for one in some}
        found.setdefault(path, in_list if len(items) == len(nodes) else set())
    return dict(sorted(found.items(), key=lambda one: one[0].count(".")))


def _paths(nodes: list[dict[str, Any]], schema: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every path from the tables among `nodes`, with the nodes at its end that are no tables."""
    for node in _opened(nodes, schema):
        kinds = [{"$ref": where} for where in node.get("discriminator", {}).get("mapping", {}).values()]
        yield from _paths(kinds, schema)
        for name, below in node.get("properties", {}).items():
            ends = [one for one in _opened([below], schema) if not {"properties", "discriminator"} & one.keys()]
            ends = [one for one in ends if one.get("type") not in ("null", "object")]
            if ends:
                yield name, ends
            yield from ((f"{name}.{path}", end) for path, end in _paths([below], schema))


_adapters: dict[type, TypeAdapter[Any]] = {}


def _adapter(cls: type) -> TypeAdapter[Any]:
    if cls not in _adapters:
        _adapters[cls] = TypeAdapter(cls)
    return _adapters[cls]


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value


_BASES = {"loss": "a Loss", "optimizer": "an Optimizer", "schedule": "a Schedule"}
"""Options for which Python takes subclasses of the user's own."""


def problems(error: ValidationError, cls: type) -> Iterator[str]:
    """One line a problem: the key's path, what is wrong, the value, and the nearest known name for an unknown one."""
    schema = json_schema(cls)
    for item in error.errors(include_url=False):
        location = item["loc"]
        if item["type"] == "unexpected_positional_argument":
            names = [one.name for one in fields(cls) if one.init and one.name != "kind"]
            yield f"got more than {len(names)} values; it takes {', '.join(names) or 'none'}"
            continue
        if location and isinstance(location[0], int):  # a positional argument
            location = (fields(cls)[location[0]].name, *location[1:])
        path = ".".join(_written(schema, location))
        yield f"{path}: {_problem(dict(item), schema, location)}" if path else _problem(dict(item), schema, location)


def _problem(item: dict[str, Any], schema: dict[str, Any], location: tuple[int | str, ...]) -> str:
    match item["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"unknown option{_suggestion(str(location[-1]), schema, location[:-1])}"
        case "missing" if isinstance(location[-1], int):
            return "missing; the list is too short"
        case "missing" | "missing_argument":
            return "missing; it has no default"
        case "too_long":
            return f"should have at most {item['ctx']['max_length']} values, got {_shown(item['input'])}"
        case "union_tag_invalid" if item["ctx"]["expected_tags"].startswith("'["):
            forms = (
                item["ctx"]["expected_tags"].replace("'", "").replace("[", "a ").replace("]", "").replace(", ", " or ")
            )
            return f"should be {forms}, got {_shown(item['input'])}"
        case "union_tag_invalid":
            known = item["ctx"]["expected_tags"]
            near = _nearest(str(item["ctx"]["tag"]), known.replace("'", "").split(", "))
            return f"unknown kind {item['ctx']['tag']!r}{near}; the kinds are {known}"
        case "union_tag_not_found":
            known = ", ".join(map(repr, _kinds(schema, location)))
            return f"no 'kind' is given, got {_shown(item['input'])}; the kinds are {known}"
        case "value_error":
            return str(item["ctx"]["error"])
        case "tuple_type":
            return f"should be a list{_example(item['input'], schema, location)}, got {_shown(item['input'])}"
        case _ if item["msg"] == "Input should be an object":
            return f"should be a table{_table(item['input'], schema, location)}, got {_shown(item['input'])}"
        case "model_attributes_type":
            classes = (where.split("/")[-1] for where in _kinds(schema, location).values())
            base = _BASES.get(str(location[-1]))
            own = f", or {base} of your own" if base else ""
            return f"should be one of {', '.join(classes)}{own}, got {_shown(item['input'])}"
        case kind if kind in _WANTED:
            return f"should be {_WANTED[kind]}, got {_shown(item['input'])}"
        case _:
            return f"{item['msg'].replace('Input should', 'should', 1)}, got {_shown(item['input'])}"


_WANTED = {
    "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "bool_type": "true or false", "string_type": "a text",
}  # fmt: skip
"""In the words of TOML, for pydantic's are those of JSON and of Python."""


def _example(value: object, schema: dict[str, Any], location: tuple[int | str, ...]) -> str:
    """A single value as the list that is wanted, if it may stand in it; a text meant as one as TOML has it."""
    kinds = {node.get("items", {}).get("type") for node in _opened(_at(schema, location), schema)}
    meant = value.strip("[]() ") if isinstance(value, str) else ""
    if isinstance(value, str) and "string" not in kinds:
        listed = re.fullmatch(r"[\d., ]+", meant) and meant  # --set network.hidden=200,100
    elif isinstance(value, str) and value.startswith("["):  # --set data.categorical=[zip]
        parts = [word.strip(" '\"") for word in meant.split(",")]
        words = ", ".join(json.dumps(word, ensure_ascii=False) for word in parts if word)
        key = ".".join(_written(schema, location))
        return f" with its words in quotes, --set '{key}=[{words}]'" if words else ""
    else:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = isinstance(value, str) or (number and kinds & {"integer", "number"})
        listed = repr(value) if fits else None
    return f" such as [{listed}]" if listed else ""


def _table(value: object, schema: dict[str, Any], location: tuple[int | str, ...]) -> str:
    """What may be in the table that is wanted."""
    kinds = list(_kinds(schema, location))
    if kinds:
        return f" such as {{ kind = {value if value in kinds else kinds[0]!r} }}"
    return f" of {', '.join(_known(_at(schema, location), schema))}"


def _kinds(schema: dict[str, Any], location: tuple[int | str, ...]) -> dict[str, str]:
    """The kinds of table at `location`, each with the reference to its own schema."""
    nodes = _opened(_at(schema, location), schema)
    return {kind: where for node in nodes for kind, where in node.get("discriminator", {}).get("mapping", {}).items()}


def _known(nodes: list[dict[str, Any]], schema: dict[str, Any]) -> list[str]:
    """The options of tables."""
    return sorted({key for node in _opened(nodes, schema) for key in node.get("properties", {})} - {"kind"})


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


_SHOWN = 80


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _suggestion(name: str, schema: dict[str, Any], location: tuple[int | str, ...]) -> str:
    known = _known(_at(schema, location), schema)
    near = _nearest(name, known) or _in_a_table(name, known, schema, location)
    return near or (f"; known here: {', '.join(known)}" if known else "; there are no options here")


def _in_a_table(name: str, tables: list[str], schema: dict[str, Any], location: tuple[int | str, ...]) -> str:
    """An option of one of the tables at `location`, which was written without it."""
    for table in tables:
        at = (*location, table)
        inside = [{"$ref": where} for where in _kinds(schema, at).values()]
        if name in _known([*_at(schema, at), *inside], schema):
            return f" (did you mean '{'.'.join([*_written(schema, at), name])}'?)"
    return ""


def _at(schema: dict[str, Any], location: tuple[int | str, ...]) -> list[dict[str, Any]]:
    nodes = [schema]
    for part in location:
        nodes = _below(nodes, part, schema)
    return nodes


def _written(schema: dict[str, Any], location: tuple[int | str, ...]) -> Iterator[str]:
    """The parts of a location that the user wrote: keys and indices, not the tags of unions."""
    nodes = [schema]
    for part in location:
        tags = {tag for node in _opened(nodes, schema) for tag in node.get("discriminator", {}).get("mapping", {})}
        if part not in tags and not str(part).startswith("["):
            yield str(part)
        nodes = _below(nodes, part, schema)


def _opened(nodes: list[dict[str, Any]], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The schema nodes with references followed and plain unions opened."""
    found: list[dict[str, Any]] = []
    for node in nodes:
        if "$ref" in node:
            found += _opened([schema["$defs"][node["$ref"].split("/")[-1]]], schema)
        elif "discriminator" in node:
            found.append(node)
        elif "anyOf" in node or "oneOf" in node:
            found += _opened(node.get("anyOf", []) + node.get("oneOf", []), schema)
        else:
            found.append(node)
    return found


def _below(nodes: list[dict[str, Any]], part: int | str, schema: dict[str, Any]) -> list[dict[str, Any]]:
    if str(part).startswith("["):
        return nodes
    below: list[dict[str, Any]] = []
    for node in _opened(nodes, schema):
        mapping = node.get("discriminator", {}).get("mapping", {})
        if isinstance(part, int):
            below += [node["items"]] if "items" in node else []
        elif part in mapping:
            below.append({"$ref": mapping[part]})
        elif part in node.get("properties", {}):
            below.append(node["properties"][part])
    return below
