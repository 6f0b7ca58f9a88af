"""The checks bite: no equation of the page passes with one sign, factor or letter changed."""

import re

import numpy as np
import pytest

from derivation.algebra import Claim, NotRealError, Point, Scene, ShapeError, is_matrix
from derivation.page import steps
from derivation.setting import Setting
from derivation.told import points, scene, told

NAMES = [step.name for step in steps() if step.kind == "step"]
CHANGES = [
    (r" \+ ", " - "),
    (r" - ", " + "),
    (r"= -", "= "),
    (r"\\frac\{1\}\{[NK]\} ", ""),
    (r"(?<![\d.]) 2 ", " "),
    (r"\\frac\{2\}", r"\\frac{1}"),
    (r">", "<"),
    (r"\^\\top", ""),
    (r" \\odot ", " "),
]
"""What is looked for right of the first =, and what takes its place, one place at a time."""


def mutants(equation: str) -> list[str]:
    at = equation.index("=")
    left, right = equation[:at], equation[at:]
    return [
        left + right[: match.start()] + match.expand(instead) + right[match.end() :]
        for pattern, instead in CHANGES
        for match in re.finditer(pattern, right)
    ]


def holds(claim: Claim, point: Point) -> bool:
    differences = (point.exact(side - sides[0]) for sides in claim.sides for side in sides[1:])
    return all(abs(v.evalf(20)) < 1e-9 for d in differences for v in (d if is_matrix(d) else [d]))


def agrees(claim: Claim, point: Point, arrays: dict[str, np.ndarray]) -> bool:
    if claim.key not in arrays:
        return True
    expected = np.asarray(point.array(claim.whole))
    return np.allclose(np.asarray(arrays[claim.key]).reshape(expected.shape), expected, rtol=1e-9, atol=1e-9)


def passes(name: str, before: str, after: str) -> bool:
    """Whether step `name` and those after it in its scene would pass with one of its definitions changed."""
    (own,) = (step for step in steps() if step.name == name)
    setting = scene(own.scene)[1]
    built = Scene(setting.base, setting.ranges, setting.functions)
    claims: list[Claim] = []
    reached = False
    for step in (step for step in steps() if step.scene == own.scene and step.kind == "step"):
        reached = reached or step == own
        claims += [built.tell(after if equation == before else equation) for equation in step.equations]
        if reached and not passed(
            claims, [Point(built, point.seed, setting.scale) for point in points(own.scene)], setting
        ):
            return False
    return True


def passed(claims: list[Claim], at: list[Point], setting: Setting) -> bool:
    for point in at:
        arrays = setting.code(point.base)
        if not all(agrees(claim, point, arrays) and holds(claim, point) for claim in claims):
            return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_no_changed_claim_passes(name):
    here = told(name)
    for claim in here.claims:
        for mutant in mutants(claim.text) if claim.sides else []:
            try:
                changed = here.scene.tell(mutant)
            except ShapeError:
                continue
            assert not all(holds(changed, point) for point in here.points), mutant


@pytest.mark.parametrize("name", NAMES)
def test_no_changed_definition_passes(name):
    for claim in told(name).claims:
        for mutant in [] if claim.sides else mutants(claim.text):
            try:
                assert not passes(name, claim.text, mutant), mutant
            except (ShapeError, NotRealError):
                continue


def test_there_are_many_mutants():
    assert sum(len(mutants(equation)) for step in steps() for equation in step.equations) > 150
