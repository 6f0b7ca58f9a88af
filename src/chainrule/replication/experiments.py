"""What the report ran, and what it should have run, as studies: each a training and the networks that it is given.

"The report's code" is the code that its figures come from; where it differs from the report's text, both are run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from re import sub
from typing import Any

from chainrule.backprop import Layer
from chainrule.layers import BatchNorm, Dropout, Linear, ReLU
from chainrule.layers.initialisation import Init
from chainrule.network import Network, mlp
from chainrule.spec import to_plain
from chainrule.training.config import NetworkOptions

Networks = dict[str, tuple[Layer, ...]]


@dataclass(frozen=True)
class Experiment:
    """A study. train: the training, as TOML holds it. networks: what varies, by name. seeds: of each network.

    labels: how the networks are called where their widths are not those of their names.
    """

    name: str
    title: str
    train: Mapping[str, Any]
    networks: Networks
    seeds: int
    labels: Mapping[str, str] = field(default_factory=dict)

    def label(self, network: str) -> str:
        """What a network is called."""
        return self.labels.get(network, network)

    @property
    def study(self) -> dict[str, Any]:
        """As STUDY.toml holds it."""
        layers = [to_plain(NetworkOptions(layers=one))["layers"] for one in self.networks.values()]
        search = {"sampler": "grid", "seeds": self.seeds, "metric": "validation_accuracy"}
        return {"train": dict(self.train), "space": {"network.layers": layers}, "search": search,
                "finalists": {"n": 0}}  # fmt: skip


SPLIT = {"order": "file", "validation": 1000}
REPORT = Init("normal", std=1e-4)
"""Initial weights of the report's NumPy part."""
TORCH = Init("normal", std=1e-3)
"""Initial weights of the report's PyTorch part, every linear layer."""


def _numpy(iterations: int, batch: int, lr: float, decay: float) -> dict[str, Any]:
    """The report's NumPy training: raw pixels less their mean, batches drawn anew, the first decay after one step."""
    return {
        "data": {"preprocessing": "mean", "split": SPLIT},
        "optimizer": {"kind": "sgd", "lr": lr},
        "schedule": {"kind": "exponential", "decay": decay, "early": True},
        "training": {"iterations": iterations, "batch_size": batch, "replacement": True, "penalty": 0.25},
    }


def _pytorch(epochs: int, batch: int = 200) -> dict[str, Any]:
    """The report's PyTorch training: pixels of -1 to 1, Adam with weight decay 0.001, added to the gradient."""
    return {
        "data": {"preprocessing": "symmetric", "split": SPLIT},
        "optimizer": {"kind": "adam", "lr": 1e-3},
        "schedule": {"kind": "exponential", "decay": 0.95},
        "training": {"epochs": epochs, "batch_size": batch, "penalty": 0.0005},
    }


def _two_layers(width: int) -> tuple[Layer, ...]:
    return (Linear(width, init=REPORT), ReLU(), Linear(init=REPORT))


NO_HIDDEN_UNIT = (Linear(1, init=Init("zeros")), ReLU(), Linear(init=REPORT))
"""Predicts by the last bias alone, as a layer of no units does: at z = 0 the ReLU passes no gradient, so W stays 0."""


def plain(widths: Sequence[int], *, dropout: float = 0.0, norms: Sequence[bool] = (), last: float = 0.0,
          init: Init = TORCH) -> tuple[Layer, ...]:  # fmt: skip
    """Linear, norm, ReLU for each width; dropout after the first ReLU, or `last` after the last one."""
    layers: list[Layer] = []
    for i, width in enumerate(widths):
        layers.append(Linear(width, init=init))
        layers += [BatchNorm()] if norms and norms[i] else []
        layers.append(ReLU())
        layers += [Dropout(dropout)] if dropout and i == 0 else []
    layers += [Dropout(last)] if last else []
    return (*layers, Linear(init=init))


def report_best(*, dropout: float = 0.4, norm: bool = True, first: int = 2000, init: Init = TORCH) -> tuple[Layer, ...]:
    """The report's best network: linear, ReLU, dropout, linear, batch norm, ReLU, linear."""
    return plain([first, 700], dropout=dropout, norms=(False, norm), init=init)


THREE, FOUR, FIVE = (700, 400, 100), (700, 400, 100, 300), (700, 400, 100, 300, 200)
TABLE: Networks = {
    "2000/700, dropout, batch norm": report_best(),
    "700/400/100, dropout, batch norm": plain(THREE, dropout=0.4, norms=(True,) * 3),
    "700/400/100/300, batch norm": plain(FOUR, norms=(True,) * 4),
    "700/400/100/300/200, batch norm": plain(FIVE, norms=(True,) * 5),
}
"""The four rows of the report's table 1, whose validation accuracies were 55.10, 55, 54.5 and 52.8 %."""

DEPTHS = {2: (50,), 3: (256, 128), 4: (256, 128, 64), 5: (256, 128, 64, 64)}
"""Hidden widths of plain networks by their number of linear layers, of the size that such coursework uses."""


def _by_depth() -> Networks:
    return {
        f"{n} layers, {name}": plain(widths, init=init)
        for name, init in (("std 1e-3", TORCH), ("He", Init("he")))
        for n, widths in DEPTHS.items()
    }


def _ablations() -> Networks:
    three: dict[str, dict[str, Any]] = {
        "dropout": {"dropout": 0.4},
        "batch norm": {"norms": (True,) * 3},
        "neither": {},
    }
    two: dict[str, dict[str, Any]] = {"dropout": {"norm": False}, "batch norm": {"dropout": 0.0},
                                      "neither": {"norm": False, "dropout": 0.0}}  # fmt: skip
    found = {f"2000/700, {name}": report_best(**options) for name, options in two.items()}
    found |= {f"700/400/100, {name}": plain(THREE, **options) for name, options in three.items()}
    before = plain(THREE, norms=(True,) * 3, last=0.4)
    return found | {"700/400/100, batch norm, dropout before the output": before,
                    "4000/700, dropout, batch norm": report_best(first=4000)}  # fmt: skip


WIDTHS = range(50, 400, 50)


def experiments(seeds: int = 5) -> list[Experiment]:
    """Everything, in the order in which it is run."""
    best = report_best()
    report_sweep = {f"{n} hidden units (labelled {label})": _two_layers(n) if n else NO_HIDDEN_UNIT
                    for n, label in enumerate(WIDTHS)}  # fmt: skip
    sweep = _numpy(10_000, 100, 1e-3, 0.95)
    return [
        Experiment("defaults", "The default network", _numpy(1000, 200, 1e-4, 0.95), {"50": _two_layers(50)}, seeds),
        Experiment("sweep-as-run", "Hidden sizes as the report's code ran them", sweep, report_sweep, seeds),
        Experiment("sweep", "Hidden sizes as they were meant", sweep, {f"{n}": _two_layers(n) for n in WIDTHS}, seeds),
        Experiment("tuned", "The tuned network", _numpy(30_000, 100, 1e-3, 0.92), {"350": _two_layers(350)}, seeds),
        Experiment("two-layers", "The two-layer network in PyTorch", _pytorch(10), {"50": plain((50,))}, seeds),
        Experiment("depth", "Initial weights and depth", _pytorch(10), _by_depth(), seeds),
        Experiment("table-1", "The report's table 1", _pytorch(10), TABLE, seeds),
        Experiment("ablations", "Dropout, batch norm, and width", _pytorch(10), _ablations(), seeds),
        Experiment("best", "The report's best network, 100 epochs", _pytorch(100, 256), {"2000/700": best}, seeds),
    ]


SHRINK = 8
"""By what `quick` divides the widths of 50 and more."""


def quick(one: Experiment) -> Experiment:
    """The same on the embedded digits, with narrower networks and less training, to see it all in two minutes.

    Networks are labelled by the widths that they have; what the report's code labelled wrongly, by its own rule.
    """
    train = {key: dict(value) for key, value in one.train.items()}
    training = train["training"]
    if "iterations" in training:  # raw pixels of 0 to 16 instead of 0 to 255
        training |= {"iterations": training["iterations"] // 10, "penalty": 0.001}
        train["optimizer"]["lr"] *= 200
    else:
        training["epochs"] = min(training["epochs"], 30)
    training["batch_size"] = 50
    train["data"] |= {"split": {"order": "file", "validation": 200}}
    narrow = {name: tuple(map(_narrowed, layers)) for name, layers in one.networks.items()}
    labels = {name: sub(r"\d{2,4}", lambda found: str(_narrower(int(found[0]))), name) for name in one.networks}
    return replace(one, train=train, networks=narrow, labels=labels)


def _narrowed(layer: Layer) -> Layer:
    if not isinstance(layer, Linear) or layer.width is None:
        return layer
    return replace(layer, width=_narrower(layer.width))


def _narrower(width: int) -> int:
    return width if width < 50 else width // SHRINK


def toy() -> Network:
    """The network of the report's toy set and of its gradient check: 4-10-3, weights of standard deviation 0.1."""
    return mlp([10], init=Init("normal", std=0.1), n_in=4, n_out=3)
