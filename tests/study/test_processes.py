"""Workers: their share of the machine, and that they end with their coordinator."""

import subprocess
import sys
import time
from pathlib import Path

from chainrule.study import processes
from chainrule.study.processes import Processes, gpus


def environment(worker):
    """Of a process that has begun: before its own program is loaded it shows none, or the parent's."""
    for _ in range(300):
        text = Path(f"/proc/{worker.process.pid}/environ").read_text()
        found = dict(one.partition("=")[::2] for one in text.split("\0") if "=" in one)
        if "CUDA_VISIBLE_DEVICES" in found:
            break
        time.sleep(0.1)
    return found


def test_each_worker_has_its_threads_and_its_gpu(monkeypatch):
    monkeypatch.setattr(processes, "gpus", lambda: ("0", "1"))
    executor = Processes(3, threads=2)
    try:
        found = [environment(worker) for worker in executor.workers]
        assert [one["CUDA_VISIBLE_DEVICES"] for one in found] == ["0", "1", "0"]
        assert {one["OMP_NUM_THREADS"] for one in found} == {"2"}
        executor.workers[1].process.kill()
        executor.workers[1].process.wait()
        executor.poll(0.1)
        assert environment(executor.workers[-1])["CUDA_VISIBLE_DEVICES"] == "1"  # the new one has the old one's place
    finally:
        executor.close()


def test_gpus_are_those_that_the_user_shows(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert gpus() == ("2", "5")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus() == ()


def test_workers_end_with_their_coordinator():
    code = (
        "import sys, time; from chainrule.study.processes import Processes; made = Processes(2, 1); made.poll(0.5);"
        "print(*(one.process.pid for one in made.workers), flush=True); time.sleep(60)"
    )
    coordinator = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    workers = [int(one) for one in coordinator.stdout.readline().split()]
    assert all(Path(f"/proc/{one}").exists() for one in workers)
    coordinator.kill()
    coordinator.wait()
    coordinator.stdout.close()
    end = time.monotonic() + 20
    while any(alive(one) for one in workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(alive(one) for one in workers)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_without_a_task_is_no_reason_to_wait():
    executor = Processes(1, 1)
    begin = time.monotonic()
    executor.close()
    assert time.monotonic() - begin < 5
