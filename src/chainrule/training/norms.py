"""How large the gradient and the update of a step are, as a whole and by weight matrix: for rows of history."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from chainrule.backprop import Parameters
from chainrule.optim import gradient_norm


class Norms(NamedTuple):
    """gradient: √Σ‖g‖² of the objective's whole gradient. gradients: ‖dW‖ by weight matrix. updates: ‖ΔW‖/‖W‖, with W
    as the update left it. Numbers on the device, (P,) for P stacked networks, until `plain`.
    """

    gradient: Any
    gradients: Mapping[str, Any]
    updates: Mapping[str, Any]

    def plain(self, place: int | None = None) -> "Norms":
        """As floats; of the member at `place`, where networks are stacked."""
        return self.moved(lambda value: float(value if place is None else value[place]))

    def moved(self, to: Callable[[Any], Any]) -> "Norms":
        """With every number as `to` gives it."""
        gradients, updates = ({name: to(one) for name, one in part.items()} for part in self[1:])
        return Norms(to(self.gradient), gradients, updates)

    @property
    def columns(self) -> dict[str, Any]:
        """As a row of history holds them."""
        return {
            "gradient_norm": self.gradient,
            "gradient_norms": dict(self.gradients),
            "update_ratios": dict(self.updates),
        }


def norms(whole: Parameters, before: Parameters, after: Parameters, ranks: Mapping[str, int], xp: Any) -> Norms:
    """Of the objective's gradient `whole`, and of the weights `before` and after a step."""
    gradients = by_name(whole, before, ranks, xp)
    steps = by_name({name: after[name] - before[name] for name in before}, before, ranks, xp)
    sizes = by_name(after, before, ranks, xp)
    updates = {name: steps[name] / xp.where(sizes[name] > 0, sizes[name], 1.0) for name in before}
    return Norms(gradient_norm(whole, ranks, xp), gradients, updates)


def by_name(arrays: Parameters, names: Iterable[str], ranks: Mapping[str, int], xp: Any) -> dict[str, Any]:
    """√Σx² of each."""
    return {name: gradient_norm({name: arrays[name]}, ranks, xp) for name in names}
