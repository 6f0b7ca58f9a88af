"""The API reference: a page for each room that has public names, and docstrings as reStructuredText."""

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, get_overloads

SOURCE = Path(__file__).parents[2] / "src" / "chainrule"
PAGES = Path(__file__).parents[1] / "api"


@cache
def public() -> dict[str, tuple[str, ...]]:
    """Public names by room: those of `chainrule` first, in its order, then what else the room exports."""
    found: dict[str, list[str]] = {}
    for node in ast.parse((SOURCE / "__init__.pyi").read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            found.setdefault(node.module, []).extend(alias.name for alias in node.names)
    for path in sorted(SOURCE.glob("*/__init__.py")):
        names = found.setdefault(path.parent.name, [])
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("chainrule."):
                names.extend(alias.asname for alias in node.names if alias.asname and alias.asname not in names)
    return {room: tuple(names) for room, names in sorted(found.items()) if names}


def named(room: str, name: str) -> str:
    """The shortest path that a user imports the name by."""
    import chainrule

    return f"chainrule.{name}" if name in chainrule.__all__ else f"chainrule.{room}.{name}"


def value(room: str, name: str) -> Any:
    """What the name stands for."""
    return getattr(import_module(f"chainrule.{room}"), name)


def meaning(room: str, name: str) -> str | None:
    """The docstring; of a value the string below the assignment that makes it."""
    found = value(room, name)
    if inspect.isclass(found) or inspect.isfunction(inspect.unwrap(found)):  # one that is cached, too
        return found.__doc__
    imports = ast.parse((SOURCE / room / "__init__.py").read_text()).body
    module = next(node.module for node in imports if isinstance(node, ast.ImportFrom) and node.names[0].name == name)
    body = ast.parse(Path(import_module(module).__file__ or "").read_text()).body
    for assigned, below in pairwise(body):
        target = assigned.targets[0] if isinstance(assigned, ast.Assign) else getattr(assigned, "target", None)
        if (
            getattr(target, "id", None) == name
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            return str(below.value.value)
    return None


def page(room: str, names: Sequence[str]) -> str:
    """A room's page in reStructuredText."""
    title = f"chainrule.{room}"
    about = "\n".join(restructured((import_module(title).__doc__ or "").strip().splitlines(), ()))
    return "\n\n".join([f"{title}\n{'=' * len(title)}", about, *(_entry(room, name) for name in names)]) + "\n"


def _entry(room: str, name: str) -> str:
    found, path = value(room, name), named(room, name)
    if inspect.isclass(found):
        return f".. autoclass:: {path}\n   :members:"
    overloaded = inspect.isfunction(found) and bool(get_overloads(found))
    if inspect.isfunction(found) and not overloaded:
        return f".. autofunction:: {path}"
    taken = tuple(inspect.signature(found).parameters) if overloaded else ()
    about = inspect.cleandoc(meaning(room, name) or "").splitlines()
    inner = "\n".join(f"   {line}" for line in restructured(about, taken))
    return f".. py:{'function' if overloaded else 'data'}:: {path}{_names(found) if overloaded else ''}\n\n{inner}"


def write(app: object) -> None:  # noqa: ARG001 - Sphinx hands it over
    """On `builder-inited`: write the pages that have changed, and remove those of rooms that are gone."""
    PAGES.mkdir(exist_ok=True)
    wanted = {PAGES / f"{room}.rst": page(room, names) for room, names in public().items()}
    for path in set(PAGES.glob("*.rst")) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def docstring(app: object, what: str, name: str, found: Any, options: object, lines: list[str]) -> None:  # noqa: ARG001
    """On `autodoc-process-docstring`. What scikit-learn adds to an estimator has its own markup, and is left out."""
    if not str(getattr(found, "__module__", "")).startswith("chainrule") and what == "method":
        lines[:] = ["scikit-learn's own."]
        return
    try:
        parameters = tuple(inspect.signature(found).parameters)
    except (TypeError, ValueError):
        parameters = ()
    lines[:] = restructured(lines, parameters)


def _names(found: Any) -> str:
    """Names and defaults of a function with several signatures, which Sphinx would show one below the other."""
    taken = inspect.signature(found)
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in taken.parameters.values()]
    return str(taken.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def signature(app: object, what: str, name: str, found: Any, options: object,  # noqa: ARG001
              taken: str | None, given: str | None) -> tuple[str | None, str | None]:  # fmt: skip
    """On `autodoc-process-signature`."""
    return taken and unannotated(taken), given and unannotated(given)


def unannotated(text: str) -> str:
    """Types without what pydantic is told about them.

    >>> unannotated("(a: ~typing.Annotated[A | B, FieldInfo(x=['kind'])] | None, n: Annotated[int, Gt(gt=0)] = 1)")
    '(a: A | B | None, n: int = 1)'
    """
    while match := re.search(r"(?:~?typing\.)?Annotated\[", text):
        depth, comma = 0, None
        for at in range(match.end(), len(text)):
            depth += (text[at] in "[(") - (text[at] in "])")
            if depth < 0:
                break
            if depth == 0 and text[at] == "," and comma is None:
                comma = at
        text = text[: match.start()] + text[match.end() : comma] + text[at + 1 :]
    return text


def restructured(lines: Sequence[str], parameters: Sequence[str]) -> list[str]:
    """Our docstrings are sentences with `code`; "name: meaning." of a parameter becomes a field of its own.

    >>> restructured(["Rows times `W`. x: an array. y: another,", "of its shape."], ("x", "y"))
    ['Rows times ``W``.', '', ':param x: an array.', ':param y: another,', '   of its shape.', '']
    """
    made: list[str] = []
    for block in _blocks(lines):
        if block[0].lstrip().startswith(">>>"):
            made += [*block, ""]
        else:
            made += [*_paragraph(literal(block), parameters), ""]
    return made


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    block: list[str] = []
    for line in [*lines, ""]:
        starts_example = line.lstrip().startswith(">>>") and block and not block[0].lstrip().startswith(">>>")
        if block and (not line.strip() or starts_example):
            yield block
            block = []
        if line.strip():
            block.append(line)


def literal(lines: Sequence[str]) -> list[str]:
    """What reStructuredText would take for markup is escaped, outside of `code`, which becomes ``code``."""
    parts = re.split(r"(`[^`]+`)", "\n".join(lines))
    for at, part in enumerate(parts):
        if at % 2:
            parts[at] = f"`{part}`" + ("\\ " if re.match(r"\w", parts[at + 1]) else "")
        else:
            parts[at] = re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", re.sub(r"([*|\\])", r"\\\1", part))
    return "".join(parts).split("\n")


def _paragraph(lines: Sequence[str], parameters: Sequence[str]) -> list[str]:
    text = "\n".join(lines)
    if not parameters:
        return text.split("\n")
    text, *raised = re.split(r"(?<=\.)\s+(?=Raises )", text, maxsplit=1)
    names = "|".join(sorted(map(re.escape, parameters), key=len, reverse=True))
    parts = re.split(rf"(?:^|(?<=\.)\s+|(?<=;)\s+|\n)((?:{names})(?:, (?:{names}))*): ", text)
    made = parts[0].strip().split("\n") if parts[0].strip() else []
    fields = [
        [f":param {name}: {line}" if at == 0 else f"   {line}" for at, line in enumerate(meaning.strip().split("\n"))]
        for name, meaning in zip(parts[1::2], parts[2::2], strict=True)
    ]
    return [
        *made,
        *([""] if made and fields else []),
        *(line for field in fields for line in field),
        *("\n".join(["", *raised]).split("\n") if raised else []),
    ]
