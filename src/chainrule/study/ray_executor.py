"""Attempts as tasks of a Ray cluster. The ledger stays here: of a cluster that dies no trial is lost, only attempts.

Every node must see the study's directory under the same path; a task that does not see it fails with that reason.
"""

import os
import secrets
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chainrule.errors import ChainruleError, ConfigError
from chainrule.study.task import Ended, Event, Row, Task, event, perform_all, plain, task

PATIENCE = 30.0
"""Seconds that a cluster has to answer."""
_SETTINGS = {"RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class Cluster:
    """A Ray cluster: "local" starts one on this machine alone, "auto" joins the one that runs here, else an address.

    threads: of every trial, and the CPUs that its task takes. A cluster that is started here asks for a token, has no
    dashboard and listens on 127.0.0.1. Joining another takes the token from $RAY_AUTH_TOKEN, as Ray does.
    """

    def __init__(self, address: str, threads: int) -> None:
        settings = _SETTINGS | ({"RAY_AUTH_TOKEN": secrets.token_hex(32)} if address == "local" else {})
        for name, value in settings.items():
            os.environ.setdefault(name, value)
        try:
            import ray
        except ImportError:
            raise ConfigError("--ray needs Ray, which is not installed; pip install 'chainrule[ray]'") from None
        self.ray, self.threads = ray, threads
        self.started = not ray.is_initialized()
        how: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address == "local":
            how |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1", "num_cpus": os.cpu_count()}
        else:
            how |= {"address": address}
            _try(address)
        if self.started:
            ray.init(**how)
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=True
        )
        self.board = ray.remote(_Board).options(num_cpus=0, max_restarts=-1, scheduling_strategy=here).remote()
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        self.work = ray.remote(_work).options(
            num_cpus=threads, max_retries=0, runtime_env={"env_vars": dict.fromkeys(names, str(threads))}
        )
        self.out: dict[Any, Task] = {}

    @property
    def slots(self) -> int:
        """As many trials as the cluster's CPUs have room for, now; nodes come and go."""
        return max(int(self.ray.cluster_resources().get("CPU", 1)) // self.threads, 1)

    def submit(self, task: Task) -> None:
        """A Ray task."""
        self.out[self.work.remote(asdict(task), self.board)] = task

    def stop(self, trial: int) -> None:
        """By the board, where the worker looks at every row."""
        self.board.stop.remote(trial)

    def poll(self, seconds: float) -> list[Event]:
        """Rows from the board, and tasks that have ended or died."""
        ray = self.ray
        done, _ = ray.wait(list(self.out), num_returns=1, timeout=seconds) if self.out else ([], [])
        found: list[Event] = []
        with suppress(ray.exceptions.RayError):  # the board is being restarted; all that it held were rows
            found += [event(one) for one in ray.get(self.board.drained.remote(), timeout=10)]
        for reference in done:
            given = self.out.pop(reference)
            try:
                found += [event(one) for one in ray.get(reference)]
            except ray.exceptions.RayError as error:
                reason = f"its Ray task died: {type(error).__name__}"
                found += [Ended(one.trial, one.attempt, "lost", reason) for one in given.all]
        return found

    def close(self) -> None:
        """Tasks are cancelled, and a cluster that was started here ends."""
        for reference in self.out:
            self.ray.cancel(reference, force=True)
        if self.started:
            self.ray.shutdown()


def _try(address: str) -> None:
    """Join the cluster in a process that can be given up: Ray waits for minutes where a token is not accepted."""
    joining = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR')"
    try:
        done = subprocess.run([sys.executable, "-c", joining, address], capture_output=True, text=True,  # noqa: S603
                              timeout=PATIENCE, check=False)  # fmt: skip
        lines = done.stderr.strip().splitlines()
        reason = None if done.returncode == 0 else lines[-1] if lines else f"exit code {done.returncode}"
    except subprocess.TimeoutExpired:
        reason = f"there was no answer within {PATIENCE:g} s"
    if reason is not None:
        raise ChainruleError(
            f"--ray {address}: the cluster cannot be joined: {reason}. Check the address, that it runs, and "
            "that $RAY_AUTH_TOKEN is the cluster's"
        )


class _Board:
    """Where workers pin their rows, and look whether they should stop."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.stopping: set[int] = set()

    def report(self, row: dict[str, Any]) -> bool:
        """Whether the trial should stop."""
        self.rows.append(row)
        return row["trial"] in self.stopping

    def stop(self, trial: int) -> None:
        self.stopping.add(trial)

    def drained(self) -> list[dict[str, Any]]:
        rows, self.rows = self.rows, []
        return rows


def _work(given: dict[str, Any], board: Any) -> list[dict[str, Any]]:
    import ray

    made = task(given)
    study = Path(made.directory).parents[2]
    if not study.is_dir():
        reason = (
            f"{study} is not there on node {ray.util.get_node_ip_address()}; put the study where every node sees it"
        )
        return [plain(Ended(one.trial, one.attempt, "failed", reason)) for one in made.all]
    asked = False

    def report(row: Row) -> None:
        nonlocal asked
        try:
            asked = ray.get(board.report.remote(plain(row)), timeout=10)
        except ray.exceptions.RayError:
            asked = False  # the board is being restarted: go on

    return [plain(one) for one in perform_all(made, report, lambda: asked)]
