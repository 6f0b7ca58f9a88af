"""The preparation of a table in the script that needs NumPy alone: its arrays, its code, and its embedding."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.preparation import CLIP, DIGIT, FAR, GAP, Preparation
from chainrule.data.tables import GAPS

ENCODE = f'''
held = [name for name in p if name.startswith("words.")]
words = {{int(name[6:]): {{word: i for i, word in enumerate(p.pop(name).tolist())}} for name in held}}


def word(value):
    if isinstance(value, float) and value == int(value):
        value = int(value)
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def encode(rows):
    """Rows of numbers and words as numbers: a word as its place in its column, -1 for a new one; NaN is a gap."""
    X = np.full((len(rows), len(columns)), np.nan)
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            if value is None or value != value or str(value).strip().lower() in {sorted(GAPS)!r}:
                continue
            text = word(value)
            try:
                X[i, j] = words[j].get(text, -1) if j in words else {{"true": 1, "false": 0}}.get(text.lower(), value)
            except (TypeError, ValueError):
                raise ValueError(f"row {{i + 1}}, column {{columns[j]!r}}: {{value!r}} is no number") from None
    return X


def read(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        missing = [name for name in columns if name not in (lines.fieldnames or [])]
        if missing:
            sys.exit(f"error: {{path}}: columns {{missing}} are missing; expected a header with {{columns}}")
        twice = [name for name in columns if lines.fieldnames.count(name) > 1]
        if twice:
            sys.exit(f"error: {{path}}: columns {{twice}} stand twice; rename or remove one of each")
        return [[line[name] for name in columns] for line in lines]
'''

EMBED = f"""
def embed(x, E, sizes):
    k, sizes = len(sizes), np.array(sizes)
    code = (x[:, -2 * k :: 2] * {DIGIT} + x[:, 1 - 2 * k :: 2]).astype(int)
    known = (code >= 1) & (code <= sizes)
    rows = np.cumsum(sizes) - sizes + np.where(known, code - 1, 0)
    return np.concatenate([x[:, : -2 * k], (E[rows] * known[..., None]).reshape(len(x), -1)], axis=1)
"""


def table_arrays(table: Preparation) -> dict[str, NDArray[Any]]:
    """What the lines of `prepared_lines` name, and the words of each column."""
    hot = np.array(table.one_hot, np.float64).reshape(-1, 2)
    at_gap = [size if i in table.gaps else 0 for i, size in zip(table.embedded, table.sizes, strict=True)]
    arrays = {
        "table.numbers": np.array(table.numbers, np.int64), "table.indicators": np.array(table.indicators, np.int64),
        "table.hot_columns": hot[:, 0].astype(np.int64), "table.hot_codes": hot[:, 1],
        "table.embedded": np.array(table.embedded, np.int64), "table.at_gap": np.array(at_gap, np.int64),
    }  # fmt: skip
    held = {f"words.{i}": np.array(words, np.str_) for i, words in enumerate(table.categories) if words is not None}
    return arrays | held


def prepared_lines(table: Preparation) -> list[str]:
    """The lines that make the network's input of x (n_rows, n_columns): see `Preparation`."""
    lines, parts = ["gap = np.isnan(x)", 'at = {name: p["table." + name].astype(int) for name in table}'], []
    if table.numbers:
        scaled = '(x[:, at["numbers"]] - p["preprocessing.shift"]) * p["preprocessing.scale"]'
        lines += [f"z = np.clip({scaled}, {-FAR!r}, {FAR!r})", 'z[gap[:, at["numbers"]]] = 0']
        parts.append(f"z / np.sqrt(1 + (z / {CLIP!r}) ** 2)")
    if table.indicators:
        parts.append('gap[:, at["indicators"]]')
    lines.append(f"x = np.where(gap, {GAP!r}, x)")
    if table.one_hot:
        parts.append('x[:, at["hot_columns"]] == p["table.hot_codes"]')
    if table.embedded:
        codes = 'x[:, at["embedded"]]'
        lines.append(f'code = np.where({codes} == {GAP!r}, at["at_gap"], {codes} + 1)')
        parts.append(f"np.stack(np.divmod(code, {DIGIT}), axis=2).reshape(len(x), -1)")
    return [*lines, "x = np.concatenate([", *(f"    {part}," for part in parts), "], axis=1, dtype=float)"]


TABLE_NAMES = ("numbers", "indicators", "hot_columns", "embedded", "at_gap")
