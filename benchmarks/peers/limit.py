"""What no step of these operations can go below: its matrix products at their best, and the bytes that must move.

Passes over activations, masks, the loss and the overhead of calls are left out, so it is a bound from below. Each
product is measured at exactly its shape: in bfloat16 and float32 by torch.mm, in float32 by oneDNN, NumPy and JAX too,
with the transposed operand as a view and laid out in memory. The fastest counts.
"""

from collections.abc import Callable
from importlib.util import find_spec
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np
import torch

from chainrule.text import columns

from .cases import Case
from .measure import PAUSE, Contestant

AUTO, FLOAT32 = "the limit", "the limit, float32"
NEAR, FAR = "GB/s at the size of an update", "GB/s of large arrays"
KINDS = ("torch bf16", "torch f32", "torch oneDNN f32", "numpy f32", "jax f32")
_LARGE = 2**25  # numbers of 4 bytes: far more than any cache


def products(case: Case) -> dict[str, tuple[int, int, int, str]]:
    """(m, k, n) of each product (m, k) (k, n), and which operand is a transpose: y = x W, dW = xᵀ dy, dx = dy Wᵀ."""
    found: dict[str, tuple[int, int, int, str]] = {}
    for i, (n_in, n_out) in enumerate(case.pairs):
        found[f"y{i}"] = (case.batch, n_in, n_out, "")
        found[f"dW{i}"] = (n_in, case.batch, n_out, "left")
        if i:  # nobody needs the gradient of the data
            found[f"dx{i}"] = (case.batch, n_out, n_in, "right")
    return found


def update_bytes(case: Case, *, narrow: bool) -> int:
    """p and the slots read and written, the gradient read, and the bfloat16 copy written where there is one."""
    n_slots = 0 if case.rule == "sgd" else 2
    return case.n_parameters * (8 + 8 * n_slots + (2 + 2 if narrow else 4))


def gather_bytes(case: Case, *, narrow: bool) -> int:
    """The batch's rows read as they are kept and written as the first product takes them."""
    return case.batch * case.n_in * ((1 if case.dtype == "uint8" else 4) + (2 if narrow else 4))


class Limit:
    """parts: of each round, milliseconds of every product and of the three sums, and two rates in GB/s."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.parts: list[dict[str, float]] = []
        self.calls = {name: _calls(*shape) for name, shape in products(case).items()}
        n = case.n_parameters * (2 if case.rule == "sgd" else 4) // 2  # two arrays, together what an update holds
        self.near, self.far = ((torch.ones(size), torch.ones(size)) for size in (max(n, 64), _LARGE))

    @torch.no_grad()
    def run(self, seconds: float) -> dict[str, float]:
        """One round."""
        share = seconds / (sum(map(len, self.calls.values())) + 4)
        best: dict[str, dict[str, float]] = {name: {} for name in self.calls}
        for library in ("torch", "numpy", "jax"):  # one after the other: their threads are of other kinds
            for name, calls in self.calls.items():
                for kind, call in calls:
                    if kind.startswith(library):
                        best[name][kind] = min(_milliseconds(call, share), best[name].get(kind, np.inf))
            sleep(PAUSE)
        found = {f"{name} {kind}": ms for name, kinds in best.items() for kind, ms in kinds.items()}
        near, far = (_rate(*pair, share) for pair in (self.near, self.far))
        found |= {NEAR: near, FAR: far}

        def total(*kinds: str) -> float:
            return sum(min(one[kind] for kind in kinds if kind in one) for one in best.values())

        for suffix, kinds in (("", KINDS), (", float32", KINDS[1:])):
            found[f"products{suffix}"] = total(*kinds)
            narrow = not suffix and total("torch bf16") < total(*KINDS[1:])
            found[f"update{suffix}, MB"] = update_bytes(self.case, narrow=narrow) / 1e6
            found[f"update{suffix}"] = update_bytes(self.case, narrow=narrow) / near / 1e6
            found[f"gathering{suffix}"] = gather_bytes(self.case, narrow=narrow) / max(near, far) / 1e6
        self.parts.append(found)
        return {
            name: sum(found[f"{part}{suffix}"] for part in ("products", "update", "gathering"))
            for name, suffix in ((AUTO, ""), (FLOAT32, ", float32"))
        }

    def contestant(self) -> Contestant:
        return Contestant(AUTO, self.run)


def _calls(m: int, k: int, n: int, transposed: str) -> list[tuple[str, Callable[[], Any]]]:
    """One product by every library, precision and layout."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(m, k)).astype(np.float32), rng.normal(size=(k, n)).astype(np.float32)
    layouts = [(a, b)]
    if transposed == "left":
        layouts.append((np.ascontiguousarray(a.T).T, b))
    if transposed == "right":
        layouts.append((a, np.ascontiguousarray(b.T).T))
    calls: list[tuple[str, Callable[[], Any]]] = []
    for left, right in layouts:
        for kind, dtype in (("torch bf16", torch.bfloat16), ("torch f32", torch.float32)):
            x, y = (torch.from_numpy(one).to(dtype) for one in (left, right))  # strides are kept
            out = torch.empty(m, n, dtype=dtype)
            calls.append((kind, lambda x=x, y=y, out=out: torch.mm(x, y, out=out)))
        result = np.empty((m, n), np.float32)
        calls.append(("numpy f32", lambda x=left, y=right, out=result: np.matmul(x, y, out=out)))
    if onednn := _onednn():
        x, weight = torch.from_numpy(a), torch.from_numpy(np.ascontiguousarray(b.T))
        calls.append(("torch oneDNN f32", lambda: onednn(x, weight, None, "none", [], "")))
    if find_spec("jax"):
        import jax

        product, first, second = jax.jit(jax.numpy.matmul), jax.numpy.asarray(a), jax.numpy.asarray(b)
        calls.append(("jax f32", lambda: product(first, second).block_until_ready()))
    return calls


def _onednn() -> Any:
    """PyTorch's way to oneDNN for float32, which torch.mm does not take; inside of PyTorch, so it may be missing."""
    try:
        call = torch.ops.mkldnn._linear_pointwise
        call(torch.ones(2, 2), torch.ones(2, 2), None, "none", [], "")
    except (AttributeError, RuntimeError):
        return None
    return call


def _milliseconds(call: Callable[[], Any], seconds: float) -> float:
    """The fastest call of those that fit into the time: what the machine can do, not what it did on average."""
    call()
    begin, best, n = perf_counter(), np.inf, 0
    while n < 3 or perf_counter() - begin < seconds:
        before = perf_counter()
        call()
        best, n = min(best, perf_counter() - before), n + 1
    return 1e3 * best


def _rate(a: torch.Tensor, b: torch.Tensor, seconds: float) -> float:
    """GB/s, the better of a copy (read, write) and an addition in place (two read, one written)."""
    copy = _milliseconds(lambda: a.copy_(b), seconds)
    add = _milliseconds(lambda: a.add_(b, alpha=1e-6), seconds)
    return 4 * a.numel() / 1e6 * max(2 / copy, 3 / add)


def shown(limit: Limit) -> str:
    """The limit's parts in words, medians over the rounds."""
    value = {name: median([one[name] for one in limit.parts]) for name in limit.parts[0]}
    lines = [
        f"{name} is the sum of: products {value[f'products{suffix}']:.4g} ms, update {value[f'update{suffix}']:.4g} ms "
        f"({value[f'update{suffix}, MB']:,.2f} MB), gathering {value[f'gathering{suffix}']:.4g} ms"
        for name, suffix in ((AUTO, ""), (FLOAT32, ", float32"))
    ]
    lines.append(
        f"memory: {value[NEAR]:.1f} GB/s for arrays as large as those of the update together, "
        f"{value[FAR]:.1f} GB/s for arrays of {_LARGE * 4 / 1e6:.0f} MB"
    )
    rows, there = [], [kind for kind in KINDS if f"y0 {kind}" in value]
    for product, (m, k, n, _) in products(limit.case).items():
        rates = [f"{2e-6 * m * k * n / value[f'{product} {kind}']:,.0f}" for kind in there]
        rows.append([product, f"({m}, {k}) ({k}, {n})", *rates])
    return "\n".join(
        [
            *lines,
            columns(["product", "shapes", *(f"{k}, GFLOP/s" for k in there)], rows, right=range(2, 2 + len(there))),
        ]
    )
