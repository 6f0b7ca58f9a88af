"""Workers as processes on this machine, each with its share of the cores; a dead or silent one is replaced."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from time import monotonic

from chainrule.study.task import Ended, Event, Task, event

LEASE = 60.0
"""Seconds without a sign of life after which a worker's trial is given to another."""


def gpus() -> tuple[str, ...]:
    """GPUs of this machine that may be used, by the names that $CUDA_VISIBLE_DEVICES takes."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(one.strip() for one in visible.split(",") if one.strip())
    return tuple(sorted(path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")))


class _Worker:
    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chainrule.study.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=environment, start_new_session=True,
        )  # fmt: skip
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise OSError("a worker was started without pipes")
        self.stdin, self.stdout = stdin, stdout
        self.task: Task | None = None
        self.at_work: set[int] = set()
        self.place = 0
        self.heard, self.rest = monotonic(), b""

    def say(self, message: object) -> None:
        with contextlib.suppress(OSError):  # it is dead; that will be seen
            self.stdin.write((json.dumps(message) + "\n").encode())
            self.stdin.flush()


class Processes:
    """`slots` workers of `threads` threads each; of several GPUs each sees one, which it may share with another."""

    def __init__(self, slots: int, threads: int, lease: float = LEASE) -> None:
        self.slots, self.lease = slots, lease
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        self.environment = os.environ | dict.fromkeys(names, str(threads))
        self.selector = selectors.DefaultSelector()
        self.workers: list[_Worker] = []
        self.polled = monotonic()
        for place in range(slots):
            self._hire(place)

    def _hire(self, place: int) -> None:
        devices = gpus()
        seen = {"CUDA_VISIBLE_DEVICES": devices[place % len(devices)]} if devices else {}
        worker = _Worker(self.environment | seen)
        worker.place = place
        os.set_blocking(worker.stdout.fileno(), False)
        self.selector.register(worker.stdout, selectors.EVENT_READ, worker)
        self.workers.append(worker)

    def submit(self, task: Task) -> None:
        """To a worker that has none."""
        worker = next(one for one in self.workers if one.task is None)
        worker.task, worker.heard = task, monotonic()
        worker.at_work = {one.trial for one in task.all}
        worker.say({"kind": "task", "task": asdict(task)})

    def stop(self, trial: int) -> None:
        """A message to the worker that has it."""
        for worker in self.workers:
            if worker.task is not None and trial in worker.at_work:
                worker.say({"kind": "stop"})

    def poll(self, seconds: float) -> list[Event]:
        """Messages of the workers; and trials that are lost, because a worker died or is silent."""
        found: list[Event] = []
        if monotonic() - self.polled > self.lease / 2:  # it was this process that stood still, as a machine asleep does
            for worker in self.workers:
                worker.heard = monotonic()
        for key, _ in self.selector.select(seconds):
            found += self._heard(key.data)
        for worker in list(self.workers):
            if worker.process.poll() is not None:
                reason = f"the worker ended with exit code {worker.process.returncode}"
            elif worker.task is not None and monotonic() - worker.heard > self.lease:
                reason = f"nothing was heard of the worker for {self.lease:g} s"
            else:
                continue
            found += self._heard(worker)
            self._dismiss(worker)
            if worker.task is not None:
                lost = [one for one in worker.task.all if one.trial in worker.at_work]
                found += [Ended(one.trial, one.attempt, "lost", reason) for one in lost]
            self._hire(worker.place)
        self.polled = monotonic()
        return found

    def _heard(self, worker: _Worker) -> list[Event]:
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(worker.stdout.fileno(), 1 << 16):
                worker.rest += chunk
        *lines, worker.rest = worker.rest.split(b"\n")
        found: list[Event] = []
        for line in lines:
            worker.heard = monotonic()
            message = json.loads(line)
            if message["kind"] in ("row", "ended"):
                found.append(event(message))
            if message["kind"] == "ended":
                worker.at_work.discard(message["trial"])
                worker.task = worker.task if worker.at_work else None
        return found

    def _dismiss(self, worker: _Worker) -> None:
        worker.process.kill()
        worker.process.wait()
        self.selector.unregister(worker.stdout)
        worker.stdout.close()
        with contextlib.suppress(OSError):
            worker.stdin.close()
        self.workers.remove(worker)

    def close(self) -> None:
        """Workers at work are asked by SIGTERM, and leave a checkpoint; after ten seconds they are killed."""
        for worker in self.workers:
            worker.process.send_signal(signal.SIGTERM if worker.task is not None else signal.SIGKILL)
        end = monotonic() + 10.0
        for worker in list(self.workers):
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(end - monotonic(), 0.01))
            self._dismiss(worker)
        self.selector.close()
