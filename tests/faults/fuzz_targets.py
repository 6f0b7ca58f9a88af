"""Every reader that the fuzzer tries, by name."""

import shutil
from collections.abc import Callable
from pathlib import Path

from faults.fuzz_archives import archive
from faults.fuzz_arrays import cifar_binary, cifar_python, idx, idx_gz, npy, npz
from faults.fuzz_images import images
from faults.fuzz_runs import checkpoint, config, model
from faults.fuzz_tables import arrow, csv, feather, parquet
from faults.fuzz_target import Target

TARGETS: dict[str, Callable[[], Target]] = {
    "cifar-binary": cifar_binary, "cifar-python": cifar_python, "idx": idx, "idx-gz": idx_gz, "npy": npy, "npz": npz,
    "csv": csv, "parquet": parquet, "arrow": arrow, "feather": feather, "images": images, "model": model,
    "checkpoint": checkpoint, "config": config, "archive": archive,
}  # fmt: skip


def emptied(folder: Path) -> Path:
    """An empty folder of that name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
