"""One rank of several: `python ranked.py FOLDER CASE ...`, in torchrun's environment; what it found goes to FOLDER."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

import chainrule as cr
from chainrule.backends.world import joined
from chainrule.data import Dataset
from chainrule.errors import ChainruleError, Followed
from chainrule.runs.ranks import follow
from chainrule.runs.train import train_config
from chainrule.training import Config
from chainrule.training.config import DataOptions, NetworkOptions, load
from chainrule.training.loop import fit, to_host
from chainrule.training.plan import plan

DIGITS = cr.read("digits")
WEIGHTED = replace(DIGITS, weight=np.arange(len(DIGITS.y)) % 4.0)
NUMBERS = Dataset("numbers", DIGITS.X.astype(float), DIGITS.y.astype(float), "regression", ("digit",))
STEPS = 50
FLOAT64 = cr.Compute(backend="torch", precision="float64", threads=1)
"""Batches of 100 of the 1,294 training rows: the last of an epoch has 94, which 4 ranks part as 23, 24, 23, 24."""


def case(data=DIGITS, hidden=(12, 8), optimizer=None, augment=None, network=None, **training):
    options = {"iterations": STEPS, "batch_size": 100} | training
    layers = {"hidden": hidden, "norm": "layer"} | (network or {})
    config = Config(
        data=DataOptions(augment=augment or cr.Augment()),
        network=NetworkOptions(**layers),
        optimizer=optimizer or cr.Adam(),
        training=cr.Training(**options),
        evaluation=cr.Evaluation(every_steps=25),
        compute=FLOAT64,
    )
    return config, data


CASES = {
    "adam": case(penalty=1e-3, clip_norm=0.3),
    "momentum": case(optimizer=cr.SGD(lr=0.05, momentum=0.9, nesterov=True), penalty=1e-3),
    "weights": case(WEIGHTED, optimizer=cr.SGD(lr=0.05, momentum=0.9), clip_norm=0.5),
    "batch norm": case(network={"norm": "batch", "dropout": 0.3}, optimizer=cr.RMSprop(lr=1e-3)),
    "mixup": case(WEIGHTED, augment=cr.Augment(flip=True, shift=1, cutout=2, mixup=0.4), network={"norm": "batch"}),
    "images": case(augment=cr.Augment(flip=True, shift=1, cutout=2), replacement=True),
    "members": case(
        network={"norm": "batch", "dropout": 0.3, "members": 3, "clip": 3.0, "embedding": cr.PeriodicEmbedding(4, 3)}
    ),
    "regression": case(NUMBERS, optimizer=cr.AdamW(lr=1e-3)),
}
DIVERGING = case(
    NUMBERS, network={"norm": "none", "activation": "leaky_relu"}, optimizer=cr.SGD(lr=1e9), on_divergence="reduce-lr"
)


def trained(name, world=None):
    """Parameters and history of a case."""
    config, data = CASES[name]
    decided = plan(config, data, config.network.build())
    decided = decided if world is None else replace(decided, world=world)
    end = fit(decided)
    return to_host(decided, end.now.state.parameters), list(end.history)


def diverged(world=None):
    """What a training says that never stops diverging."""
    config, data = DIVERGING
    config = replace(config, evaluation=cr.Evaluation(every_steps=5))
    decided = plan(config, data, config.network.build())
    try:
        fit(decided if world is None else replace(decided, world=world))
    except cr.DivergenceError as error:
        return str(error)


def refused(world, folder):
    """The refusals of a rank that would train something else, and of one that cannot read its data."""

    def asked(change):
        return load(None, ["compute.precision=float64", "training.epochs=1", *(change if world.rank else [])])

    said = []
    for change in (["training.seed=7"], ["data.source=nowhere.csv"]):
        try:
            if world.rank:
                follow(world, lambda change=change: asked(change))
            train_config(asked(change), folder / "refused", world=world)
        except (ChainruleError, Followed) as error:
            said.append([type(error).__name__, str(error)])
    return said


def main(folder, names):
    with joined() as world:
        found = {"diverged": diverged(world), "refused": refused(world, folder)} if world.size == 2 else {}
        for name in names:
            parameters, found[name] = trained(name, world)
            np.savez(folder / f"{name}-{world.rank}.npz", **parameters)
        (folder / f"{world.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
