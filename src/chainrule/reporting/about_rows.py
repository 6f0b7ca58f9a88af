"""The section on what the networks of a group say of the validation rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.data import Dataset, split
from chainrule.intervals import proportion_interval
from chainrule.reporting.blocks import (
    Block,
    Cell,
    Dots,
    Interval,
    Matrix,
    Point,
    Points,
    Table,
    Tile,
    Tiles,
    Words,
)
from chainrule.reporting.groups import Group
from chainrule.reporting.images import as_image, is_image, scaled, signed, tile
from chainrule.reporting.judged import (
    Bin,
    Mistake,
    Share,
    calibration,
    calibration_error,
    class_shares,
    confident_mistakes,
    confusion,
    frequent_confusions,
    largest_errors,
)

SHOWN = 12
"""Mistakes shown of a group; fewer where several groups are."""
CLASSES = 30
"""Classes up to which all are drawn; of more, the worst so many."""
SHADES = 30
"""Steps of grey or of each colour in tiles of weights: noise of fewer shades takes fewer bytes."""
SCATTER = 600
"""Points of a scatter, evenly taken from the rows."""


def predictions(group: Group, data: Dataset, slug: str, shown: int = SHOWN) -> list[Block]:
    """Figures of the group's finished runs on all validation rows. slug: before figures' names. shown: mistakes."""
    runs = group.finished
    rows = split(data, runs[0].config.data.split).validation
    if not len(rows):
        return [Words("The split has no validation rows, so nothing was predicted; the test rows are not for looking.")]
    compute = runs[0].config.compute
    p = np.stack([run.model.scores(data.take(rows), compute) for run in runs])  # (n_runs, n_rows, n_out)
    y = data.y[rows]
    seeds = f"{len(runs)} seeds, " if len(runs) > 1 else ""
    over = f"{seeds}{len(rows):,} validation rows"
    if data.task == "classification":
        return _classes(p, y, data, rows, over, slug, shown)
    if data.task == "multilabel":
        return _labels(p, y, data, rows, over, slug, shown)
    return _numbers(p, y.reshape(len(y), -1), data, rows, over, slug, shown)


def _classes(p: Any, y: Any, data: Dataset, rows: Any, over: str, slug: str, shown: int) -> list[Block]:
    names = data.target_names
    counts = confusion(p, y)
    shares = class_shares(counts, len(p))
    right = p.argmax(axis=2) == y[None, :]
    bins = calibration(p.max(axis=2), right)
    mistakes = confident_mistakes(p, y, shown)
    return [
        _matrix(counts, names, over, slug),
        _shares(shares, names, over, slug, "class"),
        _calibration(bins, over, slug, "the probability of the predicted class"),
        *_mistakes(mistakes, data, rows, over, slug),
    ]


def _matrix(counts: Any, names: Sequence[str], over: str, slug: str) -> Matrix:
    often = frequent_confusions(counts, 10)
    rows: tuple[tuple[Cell, ...], ...] = tuple((names[i], names[j], n) for i, j, n in often)
    table = Table(("true class", "taken for", "times"), rows, (2,), "Most frequent confusions")
    note = f"How often rows of one class (down) were taken for another (across); {over}."
    return Matrix(f"{slug}confusion", "Confusion matrix", note, table, tuple(names),
                  tuple(tuple(int(n) for n in row) for row in counts))  # fmt: skip


def _shares(shares: Sequence[Share | None], names: Sequence[str], over: str, slug: str, what: str) -> Dots:
    known = [(name, one) for name, one in zip(names, shares, strict=True) if one is not None]
    rows = tuple((name, one.n, one.share, one.interval) for name, one in known)
    note = f"Share of the rows of each {what} that is right, with Wilson's 95 % interval over its rows; {over}."
    drawn = known
    if len(known) > CLASSES:
        drawn = sorted(known, key=lambda one: one[1].share)[:CLASSES]
        note += f" Of {len(known)}, the {CLASSES} lowest are drawn."
    overall = sum(one.n * one.share for _, one in known) / max(sum(one.n for _, one in known), 1)
    return Dots(
        f"{slug}classes", f"Accuracy of each {what}", note + " The line is the accuracy over all rows.",
        Table((what, "rows", "accuracy", "95 %"), rows, (1, 2, 3)), tuple(name for name, _ in drawn),
        tuple(one.share for _, one in drawn), tuple(one.interval for _, one in drawn), "accuracy", mark=overall,
    )  # fmt: skip


def _calibration(bins: list[Bin], over: str, slug: str, what: str) -> Points:
    rows = tuple((f"{b.low:.1f} to {b.high:.1f}", b.n, b.confidence, b.share, b.interval) for b in bins)
    counts = [0] * 10
    for one in bins:
        counts[round(one.low * 10)] = one.n
    note = (
        f"Predictions in ten bins of {what}: their mean confidence across, the share that is right up, with Wilson's "
        f"95 % interval. On the diagonal, confidence is what it says. Expected calibration error "
        f"{calibration_error(bins):.4f} (mean distance from the diagonal, weighted by rows); bars: predictions in each "
        f"bin; {over}."
    )
    return Points(
        f"{slug}calibration", "Calibration", note,
        Table(("confidence", "predictions", "mean confidence", "share right", "95 %"), rows, (1, 2, 3, 4)),
        tuple(Point(b.confidence, b.share, b.interval, words=f"{b.n:,} predictions, {b.share:.3f} right at "
                    f"{b.confidence:.3f}") for b in bins),
        "mean confidence", "share right", diagonal=True, counts=tuple(counts),
    )  # fmt: skip


def _mistakes(found: Sequence[Mistake], data: Dataset, rows: Any, over: str, slug: str) -> list[Block]:
    if not found:
        return [Words("No validation row is taken for a wrong class.")]
    names = data.target_names
    note = (
        f"Rows taken for a wrong class with the highest probability (mean over seeds where there are several); {over}."
    )
    header = ["row", "true", "predicted", "probability"]
    listed: list[tuple[Cell, ...]] = [(int(rows[m.row]), names[m.true], names[m.predicted], m.p) for m in found]
    if not is_image(data.row_shape):
        return [_as_rows("Most confident mistakes", header, listed, data, [int(rows[m.row]) for m in found], note)]
    low, high = _range(data)
    tiles = tuple(
        tile(scaled(as_image(data.X[rows[m.row]], data.row_shape), low, high),
             f"row {rows[m.row]}: {names[m.true]}, taken for {names[m.predicted]} with {m.p:.2f}",
             f"said {names[m.predicted]}, {m.p:.2f}\nis {names[m.true]}")
        for m in found
    )  # fmt: skip
    return [Tiles(f"{slug}mistakes", "Most confident mistakes", note,
                  Table(tuple(header), tuple(listed), (0, 3)), tiles)]  # fmt: skip


def _range(data: Dataset) -> tuple[float, float]:
    """What is black and what is white: the whole range of bytes where it is used, else what the first rows hold."""
    some = data.X[:1000]
    low, high = float(some.min()), float(some.max())
    return (0.0, 255.0) if data.X.dtype == np.uint8 and high > 64 else (low, high)


def _as_rows(
    title: str, header: Sequence[str], listed: Sequence[tuple[Cell, ...]], data: Dataset, rows: Sequence[int], note: str
) -> Table:
    """Mistakes in a table, each with its first columns."""
    few = data.feature_names[:8] or tuple(f"column {i}" for i in range(min(8, data.n_features)))
    body = tuple((*one, *(_cell(data, row, i) for i in range(len(few)))) for one, row in zip(listed, rows, strict=True))
    right = (0, *range(3, len(header) + len(few)))
    more = f" The first {len(few)} of {data.n_features} columns." if len(few) < data.n_features else ""
    return Table((*header, *few), body, right, title, f"{note}{more}")


def _cell(data: Dataset, row: int, column: int) -> Cell:
    """A number, the word that a code stands for, or nothing at a gap."""
    value = float(data.X[row, column])
    words = data.categories[column] if data.categories else None
    if np.isnan(value):
        return None
    return value if words is None else words[int(value)]


def _labels(p: Any, y: Any, data: Dataset, rows: Any, over: str, slug: str, shown: int) -> list[Block]:
    said = p >= 0.5  # (n_runs, n_rows, K)
    right = said == y[None]
    shares = [
        Share(len(y), share, Interval(*proportion_interval(share, len(y))))
        for share in right.mean(axis=(0, 1)).tolist()
    ]
    confidence = np.maximum(p, 1 - p).reshape(len(p), -1)
    bins = calibration(confidence, right.reshape(len(p), -1))
    mean = p.mean(axis=0)
    gap = np.abs(mean - y)
    order = np.argsort(-gap, axis=None, kind="stable")[:shown]
    cells = [(int(i // gap.shape[1]), int(i % gap.shape[1])) for i in order]
    wrong = [(i, k) for i, k in cells if gap[i, k] > 0.5]
    listed: list[tuple[Cell, ...]] = [
        (int(rows[i]), data.target_names[k], int(y[i, k]), float(mean[i, k])) for i, k in wrong
    ]
    blocks: list[Block] = [
        _shares(shares, data.target_names, over, slug, "label"),
        _calibration(bins, over, slug, "the probability of what was said of each label"),
    ]
    note = f"Labels that were most confidently wrong; {over}."
    if listed:
        blocks.append(_as_rows("Most confident mistakes", ["row", "label", "true", "probability"], listed, data,
                               [int(rows[i]) for i, _ in wrong], note))  # fmt: skip
    return blocks


def _numbers(p: Any, y: Any, data: Dataset, rows: Any, over: str, slug: str, shown: int) -> list[Block]:
    mean = p.mean(axis=0)  # (n_rows, n_out)
    at = np.unique(np.linspace(0, len(y) - 1, min(SCATTER, len(y))).round().astype(np.int64))
    blocks: list[Block] = []
    for k, name in enumerate(data.target_names[:6]):
        errors = mean[:, k] - y[:, k]
        table = Table(
            ("quantile of the error", "value"),
            tuple((f"{q:.0%}", float(np.quantile(errors, q))) for q in (0.05, 0.25, 0.5, 0.75, 0.95)), (1,),
        )  # fmt: skip
        note = f"Each dot is a row: the true value across, the prediction up (mean over seeds); {over}."
        if len(at) < len(y):
            note += f" {len(at)} rows, evenly taken, are drawn."
        points = tuple(Point(float(y[i, k]), float(mean[i, k]), words=f"row {rows[i]}") for i in at)
        blocks.append(Points(f"{slug}predicted-{k}", f"Predicted against true: {name}", note, table, points,
                             f"true {name}", f"predicted {name}", diagonal=True))  # fmt: skip
    worst = largest_errors(mean, y, shown)
    listed: list[tuple[Cell, ...]] = [(int(rows[i]), float(y[i].mean()), float(mean[i].mean())) for i in worst]
    note = f"Rows with the largest absolute error; {over}."
    blocks.append(_as_rows("Largest errors", ["row", "true", "predicted"], listed, data, [int(rows[i]) for i in worst],
                           note))  # fmt: skip
    return blocks


def first_weights(group: Group, most: int, slug: str) -> list[Block]:
    """The first weight matrix as images, one tile a unit, where rows are images; the lowest seed's."""
    model = group.finished[0].model
    shape, names = model.row_shape, model.network.weights
    if not is_image(shape) or not names or model.parameters[names[0]].shape[0] != int(np.prod(shape)):
        return []
    W = np.asarray(model.parameters[names[0]], dtype=np.float64)  # (n_in, n_units)
    norms = np.linalg.norm(W, axis=0)
    order = np.argsort(-norms, kind="stable")[:most]
    tiles: list[Tile] = []
    for unit in order:
        image = as_image(W[:, unit], shape)
        tiles.append(tile(np.round(signed(image) * SHADES) / SHADES, f"unit {unit}, norm {norms[unit]:.3g}"))
    which = "all" if len(order) == W.shape[1] else f"the {len(order)} largest of"
    note = (
        "What each unit of the first layer weighs its inputs by: middle grey is 0, each tile scaled to its own "
        f"largest weight; {which} {W.shape[1]:,} units, by norm. Seed {group.finished[0].config.training.seed}."
    )
    rows = tuple((int(unit), float(norms[unit])) for unit in order[:20])
    return [Tiles(f"{slug}weights", f"First-layer weights ({names[0]})", note,
                  Table(("unit", "norm"), rows, (0, 1)), tuple(tiles), small=True)]  # fmt: skip
