"""What varies: values lie where they should, conditions hold, and mistakes are named."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.errors import ConfigError
from chainrule.study.space import applied, from_unit, grid, parse

UNIT = st.floats(0, 1, exclude_max=True)


@given(u=UNIT, low=st.floats(1e-6, 1e3), factor=st.floats(1.001, 1e6), log=st.booleans())
def test_a_range_is_kept_to(u, low, factor, log):
    [one] = parse({"optimizer.lr": {"low": low, "high": low * factor, "log": log}})
    assert low * (1 - 1e-12) <= one.at(u) <= low * factor * (1 + 1e-12)
    assert one.at(0.0) == pytest.approx(low)


@given(u=UNIT, low=st.integers(1, 50), width=st.integers(1, 200), step=st.integers(1, 7), log=st.booleans())
def test_integers_are_steps_from_low(u, low, width, step, log):
    if step > width:
        return
    [one] = parse({"training.batch_size": {"low": low, "high": low + width, "step": step, "log": log}})
    value = one.at(u)
    assert isinstance(value, int)
    assert low <= value <= low + width
    assert log or (value - low) % step == 0


def test_a_logarithmic_range_is_uniform_in_the_logarithm():
    [one] = parse({"optimizer.lr": {"low": 1e-4, "high": 1.0, "log": True}})
    assert one.at(0.5) == pytest.approx(1e-2)
    assert math.log10(one.at(0.25)) == pytest.approx(-3)


def test_every_integer_is_as_likely_in_a_range_and_every_choice_in_a_list():
    integers, choices = parse({"a": {"low": 1, "high": 4}, "b": ["x", [1, 2]]})
    assert [integers.at(u / 8) for u in range(8)] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert [choices.at(u) for u in (0, 0.49, 0.5, 0.99)] == ["x", "x", [1, 2], [1, 2]]


CONDITIONAL = parse(
    {
        "optimizer.kind": ["sgd", "adam"],
        "optimizer.momentum": {"low": 0.0, "high": 0.9, "step": 0.45, "when": {"optimizer.kind": "sgd"}},
    }
)


def test_a_condition_decides_whether_a_parameter_is_there():
    assert from_unit(CONDITIONAL, [0.0, 0.99]) == {"optimizer.kind": "sgd", "optimizer.momentum": 0.9}
    assert from_unit(CONDITIONAL, [0.9, 0.99]) == {"optimizer.kind": "adam"}


def test_a_grid_has_every_combination_once():
    found = grid(CONDITIONAL)
    momenta = [one["optimizer.momentum"] for one in found[:3]]
    assert momenta == [0.0, 0.45, 0.9]
    assert found[3:] == [{"optimizer.kind": "adam"}]
    assert len(grid(parse({"a": [1, 2, 3], "b": {"low": 0, "high": 4}}))) == 15


def test_values_go_to_their_paths_and_the_tables_stay_as_they_were():
    plain = {"optimizer": {"lr": 1.0}, "loss": 3}
    made = applied(plain, {"optimizer.lr": 0.1, "network.hidden": [4]})
    assert made == {"optimizer": {"lr": 0.1}, "loss": 3, "network": {"hidden": [4]}}
    assert plain == {"optimizer": {"lr": 1.0}, "loss": 3}


def test_a_path_may_be_written_as_tables():
    assert [one.path for one in parse({"optimizer": {"lr": [1, 2], "beta1": {"low": 0.1, "high": 0.2}}})] == [
        "optimizer.lr", "optimizer.beta1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({}, "space is empty; name at least one option that varies"),
        ({"a": 3}, "space.'a' is 3; expected a list of values, or a table with low and high"),
        ({"a": []}, "space.'a' has no choices; give a list of at least one value"),
        ({"a": {"low": 1, "high": "x"}}, "space.'a': low 1 and high 'x': expected two numbers"),
        ({"a": {"low": 2, "high": 2}}, "space.'a': the range from 2 to 2 is empty; low must be less than high"),
        ({"a": {"low": 0, "high": 1.0, "log": True}}, "log with low 0: a logarithmic range begins above 0"),
        ({"a": {"low": 0, "high": 1, "base": 2}}, "space.'a' has 'base'; a range has low, high, log, step, when"),
        ({"a": {"low": 0.0, "high": 1.0, "step": 3}}, "step 3 does not fit into the range from 0.0 to 1.0"),
        (
            {"b": ["x", "y"], "a": {"choices": [1], "when": {"b": "z"}}},
            "space.'a': 'when' asks for b = 'z', which it never is; expected 'x', 'y'",
        ),
        (
            {"b": [[8, 8], [9]], "a": {"choices": [1], "when": {"b": [8, 8]}}},
            "asks for b = 8, which it never is; expected [8, 8], [9]; a list means any of its values",
        ),
        (
            {"b": {"low": 1, "high": 2}, "a": {"choices": [1], "when": {"b": 3}}},
            "b = 3, which it never is; expected 1 to 2",
        ),
        ({"a": {"choices": [1], "when": {"b": 1}}}, "'when' names b; expected paths of the space that stand before it"),
    ],
)
def test_mistakes_are_named(plain, message):
    with pytest.raises(ConfigError) as error:
        parse(plain)
    assert message in str(error.value)


def test_all_problems_are_reported_at_once():
    with pytest.raises(ConfigError, match="The study has 2 problems:"):
        parse({"a": 3, "b": []})


def test_a_grid_refuses_a_range_without_steps():
    with pytest.raises(ConfigError, match=r"space.'a' is a range without steps, which a grid cannot list; give 'step'"):
        grid(parse({"a": {"low": 0.0, "high": 1.0}}))
