"""The reader of equations, and what it makes of them."""

import pytest
import sympy as sp

from derivation.algebra import Positive, Scene, ShapeError, vanishes
from derivation.latex import UnreadableError, read
from derivation.setting import matrix, symbol

a, b = symbol("a"), symbol("b")
M, B = matrix("M", 2, 3), matrix("B", 3, 2)


def value(text: str):
    scene = Scene({"a": a, "b": b, "M": M, "B": B, "N": sp.Integer(2)}, {"i": 2, "k": 3}, {})
    return scene.value(read(f"{text} = 0")[0], {"i": 0, "k": 2})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + 2 b", a + 2 * b),
        ("-a b + a", a - a * b),
        ("a / b a", a * a / b),
        (r"\frac{a}{2 b}", a / (2 * b)),
        ("a^2 b", a**2 * b),
        (r"2 \cdot 0.5 a", a),
        (r"\left( a + b \right) b", (a + b) * b),
        (r"\{ [ (a) ] \} b", a * b),
        ("M_{ik}", M[0, 2]),
        ("m_{ik}", M[0, 2]),
        ("M_i", M[0, :]),
        ("M B", M * B),
        (r"M^\top \odot B", M.T.multiply_elementwise(B)),
        (r"\sum_{i=1}^{N} M_{ik} + a", M[0, 2] + M[1, 2] + a),
        (r"\sum_{i} m_{ik} b", (M[0, 2] + M[1, 2]) * b),
        (r"\|M\|^2", sum(v**2 for v in M)),
        (r"e^{-a} b", sp.exp(-a) * b),
        (r"\log(1 + e^{a}) - b", sp.log(1 + sp.exp(a)) - b),
        (r"\tanh(a)^2", sp.tanh(a) ** 2),
        (r"\sqrt{2 \pi}", sp.sqrt(2 * sp.pi)),
        ("[a > b] a", Positive(a - b) * a),
        (r"[a \le b]", 1 - Positive(a - b)),
        (r"\max(a, 0)", a * Positive(a)),
        ("|a|", a * (2 * Positive(a) - 1)),
        (r"\operatorname{clip}(3, -1, 2)", 2),
    ],
)
def test_equations_mean_what_they_say(text, expected):
    found = value(text)
    assert vanishes(sp.Matrix(found - expected) if isinstance(found, sp.MatrixBase) else found - expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a + b", "stands None; expected the end, after two sides at least"),
        ("a = (b", r"stands None; expected '\)'"),
        ("a = b)", r"stands '\)'; expected the end"),
        (r"a = \odot b", r"stands '\\\\odot'; expected a number, a name or a bracket"),
        (r"a = \sum_{i=0}^{N} b", "expected an index, or an index from 1, below the sign"),
    ],
)
def test_what_is_not_read_is_said(text, message):
    with pytest.raises(UnreadableError, match=message):
        read(text)


@pytest.mark.parametrize("text", ["M M", "M + a", "M + B", r"M \odot B"])
def test_shapes_must_fit(text):
    with pytest.raises(ShapeError):
        value(text)


def test_a_name_without_meaning_is_named():
    with pytest.raises(KeyError, match="c has no meaning here; known: a, b, M, B, N"):
        value("c")


def test_a_first_left_side_defines_and_a_second_one_claims():
    scene = Scene({"a": a, "b": b}, {}, {})
    assert scene.tell("c = a b").sides == ()
    assert scene.tell(r"\frac{\partial c}{\partial a} = b").sides == ((b, b),)
    (sides,) = scene.tell("c = a + b").sides
    assert not vanishes(scene.resolved(sides[0] - sides[1]))


def test_the_derivative_sees_what_was_defined_between():
    """∂J/∂u of J = u², u = a b is 2u; ∂J/∂a goes through u."""
    scene = Scene({"a": a, "b": b}, {}, {})
    scene.tell("u = a b")
    scene.tell("J = u^2")
    for text in (r"\frac{\partial J}{\partial u} = 2 u", r"\frac{\partial J}{\partial a} = 2 a b^2"):
        ((ours, theirs),) = scene.tell(text).sides
        assert vanishes(scene.resolved(ours - theirs))


def test_the_slope_of_a_step_is_0_and_of_max_is_the_step():
    assert sp.diff(Positive(a), a) == 0
    assert [Positive(sp.Integer(n)) for n in (-1, 0, 1)] == [0, 0, 1]
    assert sp.diff(a * Positive(a), a) == Positive(a)
