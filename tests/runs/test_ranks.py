"""A training of several processes is that of one with their batches together; it survives what the processes do not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.backends import World
from chainrule.runs.ranks import planned_for, widened
from chainrule.training.config import load
from command import ranks
from faults.compared import CLOCK, fingerprint, litter
from runs import ranked

TOLERANCE = 1e-9


@pytest.fixture(scope="module", params=[2, 4])
def together(request, tmp_path_factory):
    """What the ranks found, each in a process of its own."""
    n, folder = request.param, tmp_path_factory.mktemp("ranks")
    names = list(ranked.CASES) if n == 2 else ["weights", "mixup"]
    processes = ranks(n, ranked.__file__, folder, *names)
    said = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * n, said
    return n, names, folder, [json.loads((folder / f"{rank}.json").read_text()) for rank in range(n)]


def test_the_result_is_that_of_one_process_with_the_batches_together(together):
    n, names, folder, found = together
    for name in names:
        parameters, history = ranked.trained(name)
        assert history[-1]["step"] == ranked.STEPS
        ends = [np.load(folder / f"{name}-{rank}.npz") for rank in range(n)]
        for array, expected in parameters.items():
            np.testing.assert_allclose(ends[0][array], expected, rtol=0, atol=TOLERANCE, err_msg=name)
            assert all(np.array_equal(end[array], ends[0][array]) for end in ends), "the ranks' bits differ"
        for row, expected in zip(found[0][name], history, strict=True):
            assert row.keys() == expected.keys()
            for column in expected.keys() - {*CLOCK, "gradient_norms", "update_ratios"}:
                assert row[column] == pytest.approx(expected[column], rel=TOLERANCE, abs=TOLERANCE), (name, column)
        assert all(one[name] == found[0][name] for one in found), "the ranks' histories differ"


def test_a_divergence_is_found_by_all_ranks_as_by_one_process(together):
    *_, found = together
    expected = ranked.diverged()
    assert "The learning rate was halved 10 times" in expected
    assert [one["diverged"] for one in found] == [expected] * len(found)


def test_ranks_that_would_not_train_the_same_are_refused_before_anything_is_written(together):
    _, _, folder, found = together
    (config, differing), (kind, missing) = found[0]["refused"]
    assert (config, differing) == (
        "ConfigError",
        "ranks 0 and 1 would not train the same: config.training.seed: 0 and 7. Give every process the same "
        "configuration, data and versions",
    )
    assert kind == "DataError"
    assert missing.startswith("rank 1: nowhere.csv")
    assert all(one["refused"] == [["Followed", "2"], ["Followed", "3"]] for one in found[1:])
    assert not (folder / "refused").exists()


OPTIONS = [
    "--set", "data.source=digits", "--set", "network.hidden=[12]", "--set", "network.norm=batch", "--set", "network.dropout=0.2",
    "--set", "training.epochs=8", "--set", "training.batch_size=10", "--set", "evaluation.every_epochs=4",
    "--set", "compute.precision=float64", "--set", "checkpoint.every_steps=10",
]  # fmt: skip


def started(n, *arguments) -> subprocess.Popen[str]:
    """`torchrun -m chainrule`, on n processes."""
    command = [Path(sys.executable).parent / "torchrun", "--standalone", f"--nproc-per-node={n}", "-m", "chainrule"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    return subprocess.Popen([*command, *map(str, arguments)], text=True, env=environment,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip


def newest(run: Path) -> int:
    folder = run / "checkpoints"
    return max((int(path.name[5:13]) for path in folder.glob("step-????????")), default=0) if folder.is_dir() else 0


def process_of(torchrun: subprocess.Popen[str], rank: int) -> int:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and f"PPid:\t{torchrun.pid}\n" in (folder / "status").read_text():
            if f"RANK={rank}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                return int(folder.name)
    raise AssertionError(f"no rank {rank}")


def killed(torchrun: subprocess.Popen[str], rank: int, run: Path, step: int) -> str:
    """What was said after the rank was killed, the run having a checkpoint at `step`."""
    while newest(run) < step:
        assert torchrun.poll() is None, torchrun.communicate()[0]
        time.sleep(0.02)
    pid = process_of(torchrun, rank)
    os.kill(pid, signal.SIGKILL)
    said = torchrun.communicate(timeout=60)[0]
    assert torchrun.returncode == 1
    return said.replace(str(pid), "PID")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="ranks are told apart by /proc, which is missing")
def test_a_killed_rank_ends_all_and_the_run_goes_on_to_the_same_bits(tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    said = started(2, "train", *OPTIONS, "--output", whole).communicate(timeout=200)[0]
    assert (
        "note: 2 processes share every batch of 20 rows; the run is that of one process with training.batch_size 20"
        in said
    )
    assert json.loads((whole / "environment.json").read_text())["ranks"] == 2

    said = killed(started(2, "train", *OPTIONS, "--output", run), 1, run, 20)
    again = f"Start all of them again, with: torchrun ... -m chainrule train --resume {run}\n"
    assert f"error: rank 1 (process PID) of 2 ended in the midst of the training. {again}" in said
    said = killed(started(2, "train", "--resume", run), 0, run, newest(run) + 50)
    assert f"error: rank 0 (process PID) of 2 ended in the midst of the training. {again}" in said

    alone = subprocess.run(
        [sys.executable, "-m", "chainrule", "train", "--resume", run], capture_output=True, text=True, check=False
    )
    assert alone.returncode == 2
    assert "changed since its checkpoint: ranks: 2 -> 1" in alone.stderr
    said, _ = (last := started(2, "train", "--resume", run)).communicate(timeout=200)
    assert last.returncode == 0, said
    assert fingerprint(run) == fingerprint(whole)
    assert litter(run) == []


class Two(World):
    """Two processes before they have said a word."""

    size = 2


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(
        cr.ConfigError, match=r"^compute.backend 'numpy' with 2 processes: they meet by torch.distributed; use 'torch'$"
    ):
        widened(load(None, ["compute.backend=numpy"]), Two())
    one = load(None, ["training.batch_size=431"])  # of 1,294 training rows: 862 and 432, then 1 that joins
    assert planned_for(Two(), widened(one, Two())).batches.size == 862
    with pytest.raises(cr.ConfigError, match=r"^training.batch_size 2000 is more than the 1294 training rows"):
        planned_for(Two(), widened(load(None, ["training.batch_size=1000"]), Two()))
    many = Two()
    many.size = 8
    with pytest.raises(
        cr.ConfigError, match=r"^the smallest batch of an epoch has 6 of the 1,294 training rows, too few for 8 "
    ):
        planned_for(many, widened(load(None, ["training.batch_size=14"]), many))


@pytest.mark.parametrize(("n", "size"), [(100, 1), (94, 4), (7, 3), (4, 4)])
def test_the_ranks_part_a_batch_evenly(n, size):
    parts = []
    for rank in range(size):
        world = World()
        world.rank, world.size = rank, size
        parts.append(np.arange(n)[world.own(n)])
    assert np.concatenate(parts).tolist() == list(range(n))
    assert {len(part) for part in parts} <= {n // size, -(-n // size)}
