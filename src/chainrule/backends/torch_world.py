"""Processes that meet by torch.distributed: gloo between CPUs, NCCL between GPUs, plain values always by gloo."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from chainrule.arrays import Array
from chainrule.backends.world import World
from chainrule.errors import ConfigError, LostError

TIMEOUT = 600.0
"""Seconds that a rank waits for one that is there and does not answer; one that has ended is noticed at once."""

REAPING = 2.0
"""Seconds until a process that was killed has left the table of processes: torchrun looks ten times a second."""


class TorchWorld(World):
    """Met at MASTER_ADDR and MASTER_PORT. Whatever it is asked raises a LostError where another rank is lost."""

    def __init__(self, timeout: float = TIMEOUT) -> None:
        self.peers = list[tuple[str, int]]()
        gpus = torch.cuda.is_available() and dist.is_nccl_available()
        with self._noticing():
            dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=timedelta(seconds=timeout))
            self.rank, self.size = dist.get_rank(), dist.get_world_size()
            self.peers = [(host, pid) for host, pid in self.exchange((socket.gethostname(), os.getpid()))]

    def sum(self, array: Array) -> Array:
        """By all_reduce."""
        with self._noticing():
            dist.all_reduce(array)
        return array

    def largest(self, numbers: list[float]) -> list[float]:
        """By all_reduce."""
        found = torch.tensor(numbers, dtype=torch.float64)
        with self._noticing():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return [float(x) for x in found]

    def exchange(self, value: Any) -> list[Any]:
        """Each rank tells the others in its turn, in JSON, where a float keeps every bit."""
        return [json.loads(self.told(lambda: json.dumps(value).encode(), rank)) for rank in range(self.size)]

    def told(self, make: Callable[[], bytes], by: int = 0) -> bytes:
        """By two broadcasts, of the length and of the bytes."""
        made = make() if self.rank == by else b""
        length = torch.tensor([len(made)])
        with self._noticing():
            dist.broadcast(length, by)
            values = torch.empty(int(length), dtype=torch.uint8)
            values.numpy()[:] = np.frombuffer(made, np.uint8) if made else 0
            dist.broadcast(values, by)
        return bytes(values.numpy().data)

    def device(self, asked: str) -> str:
        """This rank's: the GPU of its place on its machine. Raises a ConfigError where one GPU is asked for."""
        if asked.startswith("cuda:"):
            raise ConfigError(
                f"device {asked!r} is one GPU for {self.size} processes; give 'cuda', and each takes that of its place"
            )
        cuda = asked == "cuda" or (asked == "auto" and torch.cuda.is_available())
        return f"cuda:{os.environ['LOCAL_RANK']}" if cuda and torch.cuda.is_available() else asked

    def close(self) -> None:
        """The others go on by themselves."""
        dist.destroy_process_group()

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # gloo's, and torch's DistBackendError for NCCL
            raise self._lost(self._gone(), str(error)) from None

    def _lost(self, gone: tuple[int, ...], reason: str) -> LostError:
        if gone:
            named = " and ".join(f"rank {rank} (process {self.peers[rank][1]})" for rank in gone)
            return LostError(f"{named} of {self.size} ended in the midst of the training.", gone)
        return LostError(f"another rank is gone or does not answer: {reason.splitlines()[0]}")

    def _gone(self) -> tuple[int, ...]:
        """Who has ended, as far as this machine's processes show it."""
        here, gone, until = socket.gethostname(), tuple[int, ...](), time.monotonic() + REAPING
        while not gone and time.monotonic() < until:
            time.sleep(0.1)
            gone = tuple(rank for rank, (host, pid) in enumerate(self.peers) if host == here and not _runs(pid))
        return gone


def _runs(pid: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
