"""Hostile configurations."""

import os
import pickle
from pathlib import Path

from faults.cases import Arguments, Touches, collector

CASES, case = collector()


def config(root: Path, text: str | bytes) -> Arguments:
    (root / "config.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return ["train", root / "config.toml", "-o", root / "run"]


@case("config: a layer that is an import path", "unknown kind 'os.system'", 2)
def _(root: Path) -> Arguments:
    return config(root, '[network]\nlayers = [{kind = "os.system", command = "touch canary"}]')


@case("config: an optimizer that is a module in this folder", "unknown kind 'canary_module:Layer'", 2)
def _(root: Path) -> Arguments:
    (root / "canary_module.py").write_text("open('canary', 'w').close()\nclass Layer: pass\n")
    return config(root, '[optimizer]\nkind = "canary_module:Layer"')


@case("config: nested ten thousand deep", "config.toml", 2)
def _(root: Path) -> Arguments:
    return config(root, "a = " + "[" * 10_000)


@case("config: nested layers, three hundred deep", "config.toml", 2)
def _(root: Path) -> Arguments:
    nested = '{kind="residual",body=[' * 300 + '{kind="relu"}' + "]}" * 300
    return config(root, f"[network]\nlayers = [{nested}]")


@case("config: a number of ten thousand digits", "config.toml", 2)
def _(root: Path) -> Arguments:
    return config(root, "[training]\nepochs = " + "9" * 10_000)


@case("config: a date in place of a number", "training.epochs", 2)
def _(root: Path) -> Arguments:
    return config(root, "[training]\nepochs = 1979-05-27T07:32:00Z")


@case("config: twenty thousand unknown options", "unknown option", 2)
def _(root: Path) -> Arguments:
    return config(root, "[training]\n" + "".join(f"x{i} = 1\n" for i in range(20_000)))


@case("config: a data set that is a device", "/dev/zero", 3)
def _(root: Path) -> Arguments:
    return config(root, '[data]\nsource = "/dev/zero"')


@case("config: a pickle", "config.toml", 2)
def _(root: Path) -> Arguments:
    return config(root, pickle.dumps(Touches()))


@case("config: a pipe", "config.toml", 2)
def _(root: Path) -> Arguments:
    arguments = config(root, "")
    (root / "config.toml").unlink()
    os.mkfifo(root / "config.toml")
    return arguments


@case("config: a gigabyte of holes", "config.toml", 2)
def _(root: Path) -> Arguments:
    arguments = config(root, "")
    with (root / "config.toml").open("wb") as file:
        file.truncate(2**30)
    return arguments
