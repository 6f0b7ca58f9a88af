"""Each step of docs/derivation.md: its equations against SymPy, the code against its equations, and central differences."""

import numpy as np
import pytest

from derivation.algebra import holds_at, vanishes
from derivation.page import steps
from derivation.proofs import PROOFS
from derivation.told import told

NAMES = [step.name for step in steps() if step.kind == "step"]
BY_POINTS = {"sigmoid", "mish", "sigmoid-cross-entropy", "huber", "poisson"}
"""Steps with an equation of |x| or max(x, 0) that SymPy does not bring to 0: held at points on both sides, to 50 digits."""


@pytest.mark.parametrize("name", NAMES)
def test_sympy_gets_what_the_equations_say(name):
    here = told(name)
    differences = [side - sides[0] for claim in here.claims for sides in claim.sides for side in sides[1:]]
    assert differences, f"step {name} only defines; state at least one equation that can be wrong"
    left = [d for d in differences if not vanishes(here.scene.resolved(d))]
    assert bool(left) == (name in BY_POINTS), f"not brought to 0: {left}"
    assert all(holds_at(point, difference) for point in here.points for difference in left)


@pytest.mark.parametrize("name", NAMES)
def test_the_code_gives_what_the_equations_say(name):
    here = told(name)
    compared = 0
    for point in here.points:
        arrays = here.setting.code(point.base)
        for claim in here.claims:
            if claim.key in arrays:
                expected = np.asarray(point.array(claim.whole))
                found = np.asarray(arrays[claim.key]).reshape(expected.shape)
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=claim.text)
                compared += 1
    assert compared, f"the code of step {name} gives none of {[claim.key for claim in here.claims]}"


@pytest.mark.parametrize("name", sorted(BY_POINTS | {"relu", "leaky-relu", "selu"}))
def test_the_points_lie_on_all_sides_of_the_kinks(name):
    kinks = {"huber": [-1, 1], "poisson": [50]}.get(name, [0])
    here = told(name)
    at = [
        point.base["d"] / point.base[r"\delta"] if name == "huber" else point.base["Z" if "Z" in point.base else "x"]
        for point in here.points
    ]
    assert set(np.digitize(np.ravel(at), kinks)) == set(range(len(kinks) + 1))


@pytest.mark.parametrize("name", NAMES)
def test_central_differences_agree(name):
    comparisons, parameter = PROOFS[name]
    found = [c for c in comparisons() if c.parameter == parameter and c.against == "central differences"]
    assert found
    assert {c.verdict for c in found} == {"pass"}
    assert max(c.error for c in found) < 1e-8
