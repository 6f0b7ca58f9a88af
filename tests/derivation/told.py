"""The page, told to SymPy: each step with its claims, in the scene that the steps before it have built."""

from functools import cache
from typing import NamedTuple

from derivation.algebra import Claim, Scene
from derivation.page import Step, steps
from derivation.scenes import SETTINGS, Setting


class Told(NamedTuple):
    """A step, its claims, and its scene; definitions of later steps are not in `depth`."""

    step: Step
    claims: tuple[Claim, ...]
    scene: Scene
    setting: Setting


@cache
def scene(name: str) -> tuple[Scene, Setting, dict[str, tuple[Claim, ...]]]:
    """A scene with all its steps told."""
    setting = SETTINGS[name]()
    built = Scene(setting.base, setting.ranges, setting.functions)
    claims = {
        step.name: tuple(built.tell(equation) for equation in step.equations)
        for step in steps()
        if step.scene == name and step.kind == "step"
    }
    return built, setting, claims


def told(name: str) -> Told:
    """The step `name`."""
    (step,) = (step for step in steps() if step.name == name)
    built, setting, claims = scene(step.scene)
    return Told(step, claims[name], built, setting)
