"""Formulas as MathML, for Sphinx: no script, no font and no request is needed to show them."""

import re
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert

NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"
BOUNDS_BELOW = {"msub": "munder", "msubsup": "munderover"}
ElementTree.register_namespace("", NAMESPACE[1:-1])


def mathml(latex: str, display: str) -> str:
    """The formula as MathML; raises ValueError for a command that is not known, which would stay LaTeX."""
    made = convert(" ".join(latex.split()), display=display)
    if left := re.findall(r"\\[a-zA-Z]*", made):
        raise ValueError(f"{latex!r}: {', '.join(left)} cannot be rendered; write the formula without it")
    tree = ElementTree.fromstring(made)  # noqa: S314 - our own
    for element in tree.iter():
        set_well(element, display)
    return ElementTree.tostring(tree, encoding="unicode")


def set_well(element: ElementTree.Element, display: str) -> None:
    """What the converter leaves to be done: bounds under a sum in brackets, no room at ∂ and ⊤, some behind log."""
    tag, first = element.tag.removeprefix(NAMESPACE), next(iter(element), None)
    if display == "block" and first is not None and first.text == "∑" and tag in BOUNDS_BELOW:
        element.tag = NAMESPACE + BOUNDS_BELOW[tag]
    if tag == "mo" and element.text in ("∂", "⊤", "|", "erf", "clip"):
        element.attrib |= {"lspace": "0", "rspace": "0"}
    for at, child in reversed(list(enumerate(element))):
        if child.text == "log" and at + 1 < len(element) and element[at + 1].tag != NAMESPACE + "mo":
            element.insert(at + 1, ElementTree.Element(NAMESPACE + "mspace", width="0.17em"))


def visit_inline(translator: Any, node: nodes.Element) -> None:
    """A formula within a line."""
    translator.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.Element) -> None:
    """A formula of its own, with the classes that its directive gives it."""
    classes = " ".join(["equation", *node["classes"]])
    translator.body.append(f'<div class="{classes}">{mathml(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode
