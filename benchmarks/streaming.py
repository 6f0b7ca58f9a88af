"""Data sets larger than memory: speed beside rows in memory, memory against the number of rows, quality of the shuffle.

    python benchmarks/streaming.py speed            # steps on rows in memory and streamed, in alternating rounds
    python benchmarks/streaming.py size --gib 24    # one epoch each of sets up to so large: rows/s, peak memory
    python benchmarks/streaming.py shuffle          # files sorted by class: what a batch holds, what a network reaches

The data are made on the fly in --folder (a temporary one unless given) and removed. Peak memory is the largest resident
set of a process of its own, which includes the interpreter and the libraries. `--cold` drops the files from the page
cache before each epoch.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

import chainrule as cr
from chainrule.data.streaming import Shards, Windows, scan
from chainrule.text import columns
from chainrule.training.plan import Plan, plan
from chainrule.training.step import Stepper, on_device, start

GIB, SHARD = 2**30, 2**29
CLASSES = 10
CASES = [  # n_in, dtype, hidden, batch, form
    (3072, "uint8", [350], 200, "npy"),
    (784, "float32", [256], 128, "npy"),
    (100, "float32", [256, 256], 256, "npy"),
    (100, "float32", [256, 256], 256, "parquet"),
]
POOL = 2**15
"""Different rows of a set."""

SMALL = [16], 1024
"""Hidden sizes and batch of `size`: a step so short that reading is a large part of it."""


def made(folder: Path, n_bytes: int, n_in: int, dtype: str, *, by_class: bool = False) -> Path:
    """Shards of a class's pattern plus noise; rows of a pool, in random runs of 64, for drawing them costs time."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    row_bytes = n_in * np.dtype(dtype).itemsize
    n_rows, step = n_bytes // row_bytes, SHARD // row_bytes
    labels = np.arange(POOL) * CLASSES // POOL if by_class else rng.integers(0, CLASSES, POOL)
    patterns = rng.normal(128, 200 / np.sqrt(n_in), (CLASSES, n_in)).astype(np.float32)
    pool = rng.standard_normal((POOL, n_in), np.float32)
    pool *= 50
    pool += patterns[labels]
    pool = np.clip(pool, 0, 255, out=pool).astype(dtype)
    for i, first in enumerate(range(0, n_rows, step)):
        n = min(step, n_rows - first)
        runs = rng.integers(0, POOL // 64, -(-n // 64))
        if by_class:
            runs = (np.arange(first, first + n, 64) * (POOL // 64)) // n_rows
        taken = (runs[:, None] * 64 + np.arange(64)).reshape(-1)[:n]  # (n,)
        with (folder / f"X-{i:04}.npy").open("wb") as file:
            header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (n, n_in)}
            np.lib.format.write_array_header_1_0(file, header)
            for at in range(0, n, 4096):
                file.write(pool[taken[at : at + 4096]])
        np.save(folder / f"y-{i:04}.npy", labels[taken].astype(np.int16))
    return folder


def as_parquet(folder: Path, target: Path, row_group: int) -> Path:
    """The same rows as Parquet files."""
    import pyarrow as pa
    from pyarrow import parquet

    target.mkdir()
    for path in sorted(folder.glob("X-*.npy")):
        X, y = np.load(path), np.load(path.with_name(f"y{path.name[1:]}"))
        table = pa.table({**{f"x{i}": np.ascontiguousarray(X[:, i]) for i in range(X.shape[1])}, "y": y})
        parquet.write_table(table, target / f"{path.stem}.parquet", row_group_size=row_group, compression="none",
                            use_dictionary=False, write_statistics=False)  # fmt: skip
    return target


def cool(folder: Path) -> None:
    """Drop a folder's files from the page cache."""
    os.sync()
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def decided(data: cr.Dataset | Shards, hidden: list[int], batch: int, epochs: int = 1000) -> Plan:
    split = cr.Split(test=1000, validation=1000, order="shuffled")
    config = replace(cr.Config(), optimizer=cr.SGD(1e-3), training=cr.Training(batch_size=batch, epochs=epochs))
    return plan(replace(config, data=replace(config.data, split=split)), data, cr.mlp(hidden))


@contextmanager
def timed(p: Plan, n_steps: int) -> Iterator[Callable[[], tuple[float, float]]]:
    """Seconds a step, by the clock and of all cores, over so many steps that go on where the last ones ended."""
    with p.backend.scope(), on_device(p) as rows:
        stepper, step = Stepper(p, rows, start(p)), 0

        def run() -> tuple[float, float]:
            nonlocal step
            begin, used = perf_counter(), process_time()
            for step in range(step, step + n_steps):  # noqa: B020
                stepper(step)
            p.backend.wait()
            step += 1
            return (perf_counter() - begin) / n_steps, (process_time() - used) / n_steps

        yield run


def speed(root: Path, rounds: int, gib: float, stream: cr.Stream, cold: bool) -> None:
    rows = []
    for n_in, dtype, hidden, batch, form in CASES:
        folder = made(root / "set", int(gib * GIB), n_in, dtype)
        if form == "parquet":
            npy, folder = (
                folder,
                as_parquet(folder, root / "parquet", int(stream.window_mb * 2**20 / stream.blocks / 400)),
            )
            remove(npy)
        data = cr.shards(folder, stream=stream)
        plans = decided(data.resident(), hidden, batch), decided(data, hidden, batch)
        n_steps = 2 * plans[1].batches.window // batch  # type: ignore[union-attr]
        with timed(plans[0], n_steps) as memory, timed(plans[1], n_steps) as streamed:
            memory(), streamed()
            found = []
            for _ in range(rounds):
                if cold:
                    cool(folder)
                found.append((*memory(), *streamed()))
        (held, held_cpu, read, read_cpu) = np.array(found).T
        rows.append(
            [
                f"{n_in}-{'-'.join(map(str, hidden))}-{CLASSES}, {dtype}, batch {batch}, {form}",
                f"{batch / median(held):,.0f}",
                f"{batch / median(read):,.0f}",
                f"{1e3 * median(held_cpu):.2f}",
                f"{1e3 * median(read_cpu):.2f}",
                *(f"{median(r):.2f} [{min(r):.2f}, {max(r):.2f}]" for r in (read / held, read_cpu / held_cpu)),
            ]
        )
        print(rows[-1], file=sys.stderr, flush=True)
        remove(folder)
    show(["case", "rows/s in memory", "streamed", "ms of cores a step in memory", "streamed",
          "time, streamed / in memory", "of cores"], rows, right=range(1, 7))  # fmt: skip


def size(root: Path, gib: float, cold: bool) -> None:
    rows = []
    n_in, dtype = 3072, "uint8"
    for part in (gib / 16, gib):
        begin = perf_counter()
        folder = made(root / "set", int(part * GIB), n_in, dtype)
        making = perf_counter() - begin
        if cold:
            cool(folder)
        command = [sys.executable, __file__, "one", "--folder", str(folder)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout)
        rows.append([f"{part:.2f}", f"{found['rows']:,}", f"{making:.0f}", f"{found['look']:.1f}",
                     *(f"{found[name]:,.0f}" for name in ("rate", "begun", "looked", "peak"))])  # fmt: skip
        print(rows[-1], file=sys.stderr, flush=True)
        remove(folder)
    show(["GiB", "rows", "s to make", "s to look through", "rows/s", "MiB with imports", "after the look", "at most"],
         rows, right=range(8))  # fmt: skip


class Peak(cr.Hook):
    """Peak memory and rate at every row of history, on stderr."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def logged(self, row: dict[str, Any]) -> None:
        self.rates.append(row["rows_per_second"])
        text = f"epoch {row['epoch']:.3f}: {row['rows_per_second']:,.0f} rows/s, at most {peak():,.0f} MiB"
        print(text, file=sys.stderr, flush=True)


def one(folder: Path) -> None:
    """An epoch in this process, and its peak memory."""
    hidden, batch = SMALL
    split, watching = cr.Split(test=0.05, validation=0.05), Peak()
    cr.train(cr.mlp(hidden), cr.read("digits"), training=cr.Training(iterations=1))  # what is imported late
    begun, begin = peak(), perf_counter()
    data = cr.shards(folder)
    scan(data, split)
    look, looked = perf_counter() - begin, peak()
    print(f"looked through {data!r} in {look:.1f} s", file=sys.stderr, flush=True)
    every = max(1, data.n_rows // batch // 16)
    cr.train(cr.mlp(hidden), data, optimizer=cr.SGD(1e-3), split=split, hooks=(watching,),
             training=cr.Training(batch_size=batch, epochs=1), evaluation=cr.Evaluation(every_steps=every))  # fmt: skip
    print(json.dumps({"rows": data.n_rows, "look": look, "rate": median(watching.rates), "begun": begun,
                      "looked": looked, "peak": peak()}))  # fmt: skip


def peak() -> float:
    """MiB: this process's own, which `getrusage` mixes with its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def shuffle(root: Path, seeds: int) -> None:
    """Files sorted by class: the entropy of a batch's labels, and accuracy after two epochs, by window and blocks."""
    n_in = 64
    folder = made(root / "sorted", POOL * n_in * 4, n_in, "float32", by_class=True)
    whole, rows = POOL * n_in * 4 / 2**20, []
    for n_windows in (1, 4, 16):
        for n_blocks in (64, 16, 4, 1) if n_windows > 1 else (64,):
            stream = cr.Stream(when="always", window_mb=whole / n_windows, blocks=n_blocks)
            data = cr.shards(folder, stream=stream)
            rows.append([f"{n_windows}", f"{n_blocks}", f"{bits(data):.2f}", *spread(data, seeds)])
            print(rows[-1], file=sys.stderr, flush=True)
    rows.append(["in memory", "", f"{np.log2(CLASSES):.2f} at most", *spread(data.resident(), seeds)])
    remove(folder)
    show(["windows", "blocks in a window", "bits in a batch's labels", "test accuracy", "least, most"], rows,
         right=range(1, 5))  # fmt: skip


def bits(data: Shards) -> float:
    """Mean entropy of the labels of a batch."""
    p = decided(data, [64], 128)
    assert p.scan is not None
    assert isinstance(p.batches, Windows)
    y = [data.read(i)[1][p.scan.kept(i)] for i in range(data.n_blocks)]
    found = []
    for step in range(0, p.batches.per_epoch - 1, 3):
        key, begin, end = p.batches.at(step)
        here = np.concatenate([y[one.block][one.start : one.stop] for one in p.batches.pieces(key)])
        share = np.bincount(here[p.batches.order(key)[begin:end]], minlength=CLASSES) / (end - begin)
        found.append(-sum(s * np.log2(s) for s in share if s))
    return float(np.mean(found))


def spread(data: Any, seeds: int) -> tuple[str, str]:
    """Test accuracy, mean and extremes over seeds."""
    values = []
    for seed in range(seeds):
        run = cr.train(cr.mlp([64]), data, optimizer=cr.Adam(3e-3), training=cr.Training(epochs=2, seed=seed),
                       split=cr.Split(test=5000, validation=1000, order="shuffled"))  # fmt: skip
        values.append(cr.assess_run(run, "test", data).metrics["accuracy"])
    return f"{np.mean(values):.4f}", f"[{min(values):.4f}, {max(values):.4f}]"


def remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def show(header: list[str], rows: list[list[str]], right: Any) -> None:
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; load {os.getloadavg()[0]:.1f}")
    print(columns(header, rows, right=right))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("what", choices=("speed", "size", "shuffle", "one"))
    asked.add_argument("--folder", type=Path)
    asked.add_argument("--gib", type=float)
    asked.add_argument("--rounds", type=int, default=7)
    asked.add_argument("--window", type=float, default=256.0, help="MiB of a window")
    asked.add_argument("--blocks", type=int, default=64)
    asked.add_argument("--seeds", type=int, default=5)
    asked.add_argument("--cold", action="store_true")
    given = asked.parse_args()
    if given.what == "one":
        one(given.folder)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as root:
        if given.what == "speed":
            stream = cr.Stream(when="always", window_mb=given.window, blocks=given.blocks)
            speed(Path(root), given.rounds, given.gib or 1.5, stream, given.cold)
        elif given.what == "size":
            size(Path(root), given.gib or 24.0, given.cold)
        else:
            shuffle(Path(root), given.seeds)


if __name__ == "__main__":
    main()
