"""Time of whole training steps, ours and those of what else one would take; from the root of the repository:

    python -m benchmarks.peers                                  # about six minutes: three tables and the targets
    python -m benchmarks.peers --case A --rounds 3 --compile    # one case, with torch.compile
    python -m benchmarks.peers --json peers.json                # and everything that was measured

A step: gather a batch from the data set in memory, (x - shift)·scale, forward, backward, update. A case runs in a
process of its own, with its threads and all its contestants: each round every contestant, one after the other, does
steps for half a second, after some to warm up. Ratios are taken within a round, so that what else the machine does
falls on both sides. All on the CPU. Peers that are not installed, or cannot do it, are skipped with the reason.

In the peers' favour: scikit-learn and skorch are given few rows, preprocessed before; case C's DataLoader is too.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("chainrule", "numpy", "torch", "scikit-learn", "skorch", "jax", "jaxlib", "threadpoolctl")
FEW = {"A": 2_000, "B": 2_048, "C": 1_797}
"""Rows that scikit-learn and skorch are given: whole epochs of more would take too long."""


def main() -> None:
    options = asked()
    if options.one:
        Path(options.json).write_text(json.dumps(one_case(options)))
        return
    results: dict[str, Any] = {"machine": machine(), "rounds": options.rounds, "seconds": options.seconds, "cases": {}}
    print("\n".join(f"{name}: {value}" for name, value in results["machine"].items()))
    for name in options.case:
        results["cases"][name] = run(name, options)
    from . import report

    results["targets"] = report.judged(results["cases"])
    print(f"\nTargets\n\n{report.targets(results['targets'])}")
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=1) + "\n")


def asked() -> argparse.Namespace:
    set_by_user = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(set_by_user) if set_by_user.isdigit() else min(2, os.cpu_count() or 1)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.split("\n")[0])
    parser.add_argument("--case", type=lambda text: text.upper().split(","), default=["A", "B", "C"], help="A,B,C")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a contestant in a round")
    parser.add_argument("--threads", type=int, default=threads, help="of all but case C, which has one")
    parser.add_argument("--compile", action="store_true", help="torch.compile too, which takes minutes")
    parser.add_argument("--json", metavar="FILE", help="where all that was measured goes")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.case) - set(FEW):
        parser.error(f"no case {', '.join(sorted(unknown))}; the cases are A, B and C")
    return options


def run(name: str, options: argparse.Namespace) -> Any:
    """A case in a process of its own: the libraries read their threads from the environment, before anything else."""
    from .cases import CASES

    threads = CASES[name].threads or options.threads
    variables = {
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PJRT_NPROC"), str(threads)),
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}",
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
    }
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.peers", "--one", name, "--json", f"{folder}/case.json"]
        command += ["--rounds", str(options.rounds), "--seconds", str(options.seconds), "--threads", str(threads)]
        empty = {"TORCHINDUCTOR_CACHE_DIR": f"{folder}/compiled"}  # or the time to compile were that of an earlier run
        command += ["--compile"] if options.compile else []
        subprocess.run(command, env=os.environ | variables | empty, check=True)
        return json.loads(Path(folder, "case.json").read_text())


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    found: dict[str, Any] = {
        "cpu": ", ".join(sorted(names)) or platform.processor(),
        "cores": os.cpu_count(),
        "of use here": ", ".join(f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags),
        "load at the start": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": platform.platform(),
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def one_case(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    from chainrule.training.population import together

    from . import limit as bound
    from . import measure, ours, report
    from .cases import CASES
    from .verify import STEPS, TOLERANCE, verify

    case, threads = CASES[options.one], options.threads
    torch.set_num_threads(threads)
    print(f"\n{case}; {threads} thread(s)\n", flush=True)
    # Ours first, and alone, before any other library is loaded: so it can be seen whether the others disturb it.
    plans = {ours.AUTO: ours.planned(case, "auto", threads)}
    if plans[ours.AUTO].backend.name == "torch":
        plans[ours.FLOAT32] = ours.planned(case, "float32", threads)
    own = [ours.contestant(name, plan) for name, plan in plans.items()]
    if together(plans[ours.AUTO], 16):
        own.append(ours.contestant(ours.STACKED, plans[ours.AUTO], 16))
        if threads == 1:
            own.append(ours.contestant(ours.ON_TWO, ours.planned(case, "auto", 2), 16))
    for name, plan in plans.items():
        print(f"{name}: {ours.described(plan)}")
    alone = measure.rounds(own, options.rounds, options.seconds)
    differences = verify(case, threads)
    print(f"After {STEPS} steps from the same weights all losses agree within {TOLERANCE:g}: "
          + ", ".join(f"{name} {value:.1e}" for name, value in differences.items()))  # fmt: skip
    limit = bound.Limit(case)
    peers, skipped, compiling = gathered(case, plans[ours.AUTO], compiled=options.compile)
    for name, why in skipped.items():
        print(f"skipped: {name}: {why}")
    for name, seconds in compiling.items():
        print(f"{name}: {seconds:.1f} s to compile, not counted below")
    times = measure.rounds([*own, *peers, limit.contestant()], options.rounds, options.seconds)
    if ours.FLOAT32 not in plans:  # ours is float32 already
        del times[bound.FLOAT32]
    print(f"\n{report.table(times)}\n\n{bound.shown(limit)}")
    if below := report.below_limit(times):
        print(f"Faster than the limit: {', '.join(below)}. That cannot be: something else kept the cores busy, and the "
              "threads waited for each other. Measure again on a quiet machine.")  # fmt: skip
    for name, found in alone.items():
        print(f"{name}, alone in the process: {report.spread(found)}; among the others: {report.spread(times[name])}")
    sys.stdout.flush()
    return {"case": str(case), "threads": threads, "times": times, "alone": alone, "skipped": skipped,
            "seconds_to_compile": compiling, "limit": limit.parts, "loss_differences": differences,
            "ours": {name: ours.described(plan) for name, plan in plans.items()}}  # fmt: skip


def gathered(case: Any, plan: Any, *, compiled: bool) -> tuple[list[Any], dict[str, str], dict[str, float]]:
    """Everyone else; why some are skipped; seconds to compile."""
    from . import jax_, numpy_by_hand, pytorch, sklearn_
    from .measure import Skipped
    from .verify import data_of, initial_of

    data, initial = data_of(plan), initial_of(plan)
    peers, skipped, compiling = [*pytorch.contestants(case, data)], {}, {}
    if compiled:
        for name, autocast in ((pytorch.COMPILED, False), (pytorch.COMPILED_AUTOCAST, True)):
            try:
                peer, compiling[name] = pytorch.compiled(case, data, autocast=autocast)
                peers.append(peer)
            except Skipped as why:
                skipped[name] = str(why)
    else:
        skipped["PyTorch, compiled"] = "asked for by --compile"
    peers += numpy_by_hand.contestants(case, data, initial)
    few = FEW[case.name]
    makers = {
        jax_.NAME: lambda: jax_.contestant(case, data, initial),
        pytorch.SKORCH: lambda: pytorch.skorch(case, data, few),
        sklearn_.NAME: lambda: sklearn_.contestant(case, data, few),
    }
    for name, make in makers.items():
        try:
            peers.append(make())
        except Skipped as why:
            skipped[name] = str(why)
    return peers, skipped, compiling


if __name__ == "__main__":
    main()
