"""The page, told to SymPy: each step with its claims, in the scene that the steps before it have built."""

from functools import cache
from typing import NamedTuple

from derivation.algebra import Claim, Point, Scene
from derivation.page import Step, steps
from derivation.scenes import SETTINGS
from derivation.setting import Setting


class Told(NamedTuple):
    """A step, its claims, and the scene that they are about."""

    step: Step
    claims: tuple[Claim, ...]
    scene: Scene
    setting: Setting

    @property
    def points(self) -> tuple[Point, ...]:
        """Enough of them to have both signs of a single number among them."""
        return points(self.step.scene)


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


@cache
def points(name: str) -> tuple[Point, ...]:
    """Three points of a scene, or twelve where a point is a few numbers."""
    built, setting, _ = scene(name)
    few = sum(len(value.free_symbols) for value in built.base.values()) <= 14
    return tuple(Point(built, seed, setting.scale) for seed in range(12 if few else 3))


def told(name: str) -> Told:
    """The step `name`."""
    (step,) = (step for step in steps() if step.name == name)
    built, setting, claims = scene(step.scene)
    return Told(step, claims[name], built, setting)
