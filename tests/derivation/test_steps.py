"""Each step of docs/derivation.md: its equations against SymPy, the code against its equations, and central differences."""

import numpy as np
import pytest

from derivation.algebra import Point, holds_at, is_matrix, vanishes
from derivation.page import steps
from derivation.proofs import PROOFS
from derivation.told import told

NAMES = [step.name for step in steps() if step.kind == "step"]
POINTS = range(3)
BY_POINTS: set[str] = set()
"""Steps with an equation that SymPy does not bring to 0 in a second: held at three points, to 50 digits."""


@pytest.mark.parametrize("name", NAMES)
def test_sympy_gets_what_the_equations_say(name):
    here = told(name)
    differences = [side - sides[0] for claim in here.claims for sides in claim.sides for side in sides[1:]]
    assert differences, f"step {name} only defines; state at least one equation that can be wrong"
    if name in BY_POINTS:
        for seed in POINTS:
            assert all(holds_at(Point(here.scene, seed, here.setting.scale), difference) for difference in differences)
    else:
        for difference in differences:
            resolved = here.scene.resolved(difference)
            assert all(vanishes(entry) for entry in (resolved if is_matrix(resolved) else [resolved]))


@pytest.mark.parametrize("name", NAMES)
def test_the_code_gives_what_the_equations_say(name):
    here = told(name)
    compared = 0
    for seed in POINTS:
        point = Point(here.scene, seed, here.setting.scale)
        arrays = here.setting.code(point.base)
        for claim in here.claims:
            if claim.key in arrays:
                expected = np.asarray(point.array(claim.whole))
                np.testing.assert_allclose(
                    np.asarray(arrays[claim.key]).reshape(expected.shape),
                    expected,
                    rtol=1e-12,
                    atol=1e-12,
                    err_msg=claim.text,
                )
                compared += 1
    assert compared, f"the code of step {name} gives none of {[claim.key for claim in here.claims]}"


@pytest.mark.parametrize("name", NAMES)
def test_central_differences_agree(name):
    comparisons, parameter = PROOFS[name]
    found = [c for c in comparisons() if c.parameter == parameter and c.against == "central differences"]
    assert found
    assert {c.verdict for c in found} == {"pass"}
    assert max(c.error for c in found) < 1e-8
