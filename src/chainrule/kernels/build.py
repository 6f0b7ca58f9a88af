"""Build the C of this folder with the machine's compiler, once: the library is kept in the user's cache.

Nothing needs it: what it computes stands in for Python that is always there.
"""

import ctypes
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import sha256
from pathlib import Path

HEADERS, SOURCES = (sorted(Path(__file__).parent.glob(names)) for names in ("*.h", "*.c"))
FLAGS = ("-O3", "-march=native", "-std=c11", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
"""No fused multiply-adds and no reassociation: they would change bits. Nobody asks for floating-point traps; kept, they
would forbid AVX2 to compute both sides of a choice, and with it to vectorise the update."""


def library(*, threaded: bool, narrow: bool = False) -> ctypes.CDLL | None:
    """The library, from the cache or built; None without a compiler, or where that fails.

    narrow: for layers that work in bfloat16, not in float32. threaded: with OpenMP, by the runtime that torch has
    loaded: two runtimes in one process would wait for each other in busy loops.
    """
    runtime = openmp_runtime() if threaded else None
    flags = (*FLAGS, "-DBFLOAT16") if narrow else FLAGS
    path = cached_at(flags, runtime)
    if path is None or not (is_ours(path) or _build(path, flags, runtime)):
        return None
    return _load(path)


def openmp_runtime() -> Path | None:
    """GCC's OpenMP runtime as torch has loaded it; None where there is none. scikit-learn brings another one."""
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = {Path(line.split(maxsplit=5)[-1]) for line in maps.splitlines() if "libgomp" in line}
    by_torch = {path for path in found if "torch" in path.parts}
    return next(iter(by_torch or found), None) if len(by_torch or found) == 1 else None


def cached_at(flags: Sequence[str], runtime: Path | None) -> Path | None:
    """In the user's cache, under a hash of all that decides what is built; None where this was never tried."""
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"):
        return None
    texts = [path.read_text(encoding="utf-8") for path in (*HEADERS, *SOURCES)]
    about = "\n".join([*texts, *flags, _compiler_is(), str(runtime), platform.machine(), _cpu_flags()])
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "chainrule" / f"step-{sha256(about.encode()).hexdigest()[:24]}.so"


def _compiler() -> str | None:
    return shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")


def _compiler_is() -> str:
    """Which it is; another version is another file. Asked of the file alone, as to run it takes time."""
    found = _compiler()
    if found is None:
        return "none"
    path = Path(found).resolve()
    about = path.stat()
    return f"{path} {about.st_size} {about.st_mtime_ns}"


@cache
def _cpu_flags() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def is_ours(path: Path) -> bool:
    """Code is loaded only from a file, in a folder, that this user and no one else can write to."""
    try:
        found = [path.lstat(), path.parent.lstat()]
    except OSError:
        return False
    mine = all(one.st_uid == os.getuid() and not one.st_mode & (stat.S_IWGRP | stat.S_IWOTH) for one in found)
    return mine and stat.S_ISREG(found[0].st_mode)


def _build(path: Path, flags: Sequence[str], runtime: Path | None) -> bool:
    compiler = _compiler()
    if compiler is None:
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made, objects = Path(folder, "step.so"), [Path(folder, source.stem + ".o") for source in SOURCES]
            threads = ["-fopenmp"] if runtime else []
            # Linked apart: -fopenmp would name the system's runtime, which need not be the one that is loaded.
            runtimes = [runtime] if runtime else []
            compile_them = [[compiler, *flags, *threads, "-c", source, "-o", code]
                            for source, code in zip(SOURCES, objects, strict=True)]  # fmt: skip
            with ThreadPoolExecutor() as beside:
                list(beside.map(_run, compile_them))
            _run([compiler, "-shared", "-Wl,-Bsymbolic", *objects, "-o", made, *runtimes, "-lm"])
            made.chmod(0o700)
            made.replace(path)
    except (OSError, subprocess.SubprocessError):
        return False
    return is_ours(path)


def _run(command: Sequence[str | Path]) -> None:
    subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=120)  # noqa: S603


@cache
def _load(path: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(path))
    except OSError:
        return None
