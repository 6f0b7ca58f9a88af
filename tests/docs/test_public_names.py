"""Every public name, of `chainrule` and of each room: a docstring, complete type hints, arguments told."""

import inspect

import pytest

import chainrule as cr
from docs.builder import reference

NAMES = [(room, name) for room, names in reference.public().items() for name in names]


def test_all_names_of_the_package_are_walked():
    assert {name for _, name in NAMES} >= set(cr.__all__)
    assert len(NAMES) > 100


@pytest.mark.parametrize(("room", "name"), NAMES)
def test_it_is_documented(room, name):
    about = reference.meaning(room, name)
    assert about, f"{room}.{name} has no docstring"
    found = reference.value(room, name)
    if inspect.isclass(found):
        for member, one in vars(found).items():
            if not member.startswith("_") and _is_ours(one):
                assert inspect.getdoc(getattr(found, member)), f"{room}.{name}.{member} has no docstring"


def _is_ours(one):
    function = one.fget if isinstance(one, property) else getattr(one, "__func__", getattr(one, "func", one))
    return inspect.isfunction(function) and (function.__module__ or "").startswith("chainrule")


@pytest.mark.parametrize("name", sorted(name for name in cr.__all__ if inspect.isfunction(getattr(cr, name))))
def test_every_function_has_an_example_that_the_tests_run(name):
    assert ">>>" in getattr(cr, name).__doc__


@pytest.mark.parametrize(("room", "name"), NAMES)
def test_its_type_hints_are_complete(room, name):
    found = reference.value(room, name)
    members = (
        [one for key, one in vars(found).items() if not key.startswith("_")] if inspect.isclass(found) else [found]
    )
    for one in members:
        function = one.fget if isinstance(one, property) else getattr(one, "__func__", getattr(one, "func", one))
        if inspect.isfunction(function) and _is_ours(function) and function.__name__ != "<lambda>":
            given = set(function.__annotations__)
            code = function.__code__
            taken = set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]) - {"self", "cls"}
            assert taken | {"return"} <= given, f"{room}.{name}.{function.__name__}: {taken | {'return'} - given}"
