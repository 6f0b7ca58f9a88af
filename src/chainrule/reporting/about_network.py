"""The section on one group looked at closely: its network, weights, predictions, diagnosis."""

from collections.abc import Sequence

import numpy as np

from chainrule.data import Dataset
from chainrule.errors import ChainruleError
from chainrule.network import Network
from chainrule.network.network import describe
from chainrule.reporting.about_rows import SHOWN, first_weights, predictions
from chainrule.reporting.blocks import Block, Cell, Diagnosed, Diagram, Heading, Section, Stage, Table, Words
from chainrule.reporting.groups import Group
from chainrule.runs.diagnosing import diagnose_run

TILES = 48
"""Weight tiles of a page."""


def predicted(groups: Sequence[Group], data: Dataset | None, why: str) -> Section:
    """What the networks say of the validation rows."""
    blocks: list[Block] = []
    for i, group in enumerate(groups):
        blocks += [Heading(group.name)] if len(groups) > 1 else []
        if not group.finished:
            blocks.append(Words("The run has not finished; what needs its model will be here when it has."))
        elif data is None:
            blocks.append(Words(f"The data could not be read again: {why}"))
        else:
            if data.weight is not None:
                blocks.append(Words("Here every row counts alike, whatever its weight in the loss."))
            blocks += predictions(group, data, _slug(groups, i), SHOWN if len(groups) < 3 else 2 * SHOWN // 3)
    return Section("predictions", "Predictions", tuple(blocks))


def networks(groups: Sequence[Group]) -> Section | None:
    """The networks drawn with their shapes, and their first weights as images; None before any run has finished."""
    ended = [group for group in groups if group.network is not None]
    if not ended:
        return None
    blocks: list[Block] = []
    for i, group in enumerate(ended):
        blocks += [Heading(group.name)] if len(groups) > 1 else []
        assert group.network is not None  # noqa: S101
        blocks.append(diagram(group.network, _slug(ended, i)))
        blocks += first_weights(group, TILES // len(ended), _slug(ended, i))
    return Section("network", "Network", tuple(blocks))


def _slug(groups: Sequence[Group], i: int) -> str:
    return f"{i + 1}-" if len(groups) > 1 else ""


def diagram(network: Network, slug: str) -> Diagram:
    """The layers in order, with widths, arrays, parameters and operations."""
    stages, rows = [], list[tuple[Cell, ...]]()
    for i, (layer, n) in enumerate(zip(network.layers, network.widths, strict=False)):
        own = {name: one for name, one in layer.parameters(n).items() if one.role != "running"}
        arrays = ", ".join(f"{name} {'×'.join(map(str, one.shape))}" for name, one in own.items())
        count = sum(int(np.prod(one.shape)) for one in own.values())
        mixes = any(one.role == "weight" for one in own.values())
        stages.append(Stage(describe(layer), n, layer.n_out(n), arrays, mixes))
        rows.append((i, describe(layer), n, layer.n_out(n), arrays, count, layer.flops(n)))
    rows.append((None, "all", network.widths[0], network.n_out, "", network.n_parameters, network.flops_per_row))
    header = ("layer", "what", "in", "out", "arrays", "parameters", "operations a row")
    note = (
        f"{network.n_parameters:,} parameters; {network.flops_per_row:,} floating-point operations for one row's "
        "prediction. Heights grow with the logarithm of the width."
    )
    return Diagram(f"{slug}network", "The network", note, Table(header, tuple(rows), (0, 2, 3, 5, 6)), tuple(stages))


def diagnosed(groups: Sequence[Group], data: Dataset | None, why: str) -> Section:
    """What looks unhealthy, in words: of the first run of each group, at its newest checkpoint and at its start."""
    blocks: list[Block] = []
    for group in groups:
        one = group.first
        blocks += [Heading(group.name)] if len(groups) > 1 else []
        if len(group.subjects) > 1:
            blocks.append(Words(f"Of seed {one.config.training.seed}."))
        if data is None:
            blocks.append(Words(f"Not diagnosed, as the data could not be read again: {why}"))
        elif one.directory is None:
            blocks.append(Words("Not diagnosed: a run in memory keeps no checkpoint."))
        else:
            try:
                warned: list[str] = []
                blocks.append(Diagnosed(diagnose_run(one.directory, warned.append, data)))
                blocks += [Words(sentence) for sentence in warned]
            except ChainruleError as error:
                blocks.append(Words(f"Not diagnosed: {error}"))
    return Section("diagnosis", "Diagnosis", tuple(blocks))
