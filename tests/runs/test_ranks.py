"""A training of several processes is that of one with their batches together; it survives what the processes do not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

import chainrule as cr
from chainrule.backends import World
from chainrule.cli.training import _new
from chainrule.data import Dataset
from chainrule.runs.ranks import planned_for
from chainrule.runs.train import train_config
from chainrule.training.config import load
from command import chainrule, ranks
from faults.compared import CLOCK, fingerprint, litter
from runs import ranked

TOLERANCE = 1e-9


def trained_by(n, names, folder):
    """What the ranks found, each in a process of its own."""
    processes = ranks(n, ranked.__file__, folder, *names)
    said = [process.communicate(timeout=200)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * n, said
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(n)]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    return folder, trained_by(2, list(ranked.CASES), folder)


def check_against_one_process(names, folder, found):
    for name in names:
        parameters, history = ranked.trained(name)
        assert history[-1]["step"] == ranked.STEPS
        ends = [np.load(folder / f"{name}-{rank}.npz") for rank in range(len(found))]
        for array, expected in parameters.items():
            np.testing.assert_allclose(ends[0][array], expected, rtol=0, atol=TOLERANCE, err_msg=name)
            assert all(np.array_equal(end[array], ends[0][array]) for end in ends), "the ranks' bits differ"
        for row, expected in zip(found[0][name], history, strict=True):
            assert row.keys() == expected.keys()
            for column in expected.keys() - {*CLOCK, "gradient_norms", "update_ratios"}:
                assert row[column] == pytest.approx(expected[column], rel=TOLERANCE, abs=TOLERANCE), (name, column)
        assert all(one[name] == found[0][name] for one in found), "the ranks' histories differ"


def test_the_result_of_two_is_that_of_one_process_with_the_batches_together(two):
    check_against_one_process(list(ranked.CASES), *two)


def test_the_result_of_four_is_that_of_one_process_with_the_batches_together(tmp_path):
    names = ["weights", "mixup"]
    check_against_one_process(names, tmp_path, trained_by(4, names, tmp_path))


def test_a_divergence_is_found_by_all_ranks_as_by_one_process(two):
    _, found = two
    expected = ranked.diverged()
    assert "The learning rate was halved 10 times" in expected
    assert [one["diverged"] for one in found] == [expected] * len(found)


def test_ranks_that_would_not_train_the_same_are_refused_before_anything_is_written(two):
    folder, found = two
    (config, differing), (kind, missing) = found[0]["refused"]
    assert (config, differing) == (
        "ConfigError",
        "ranks 0 and 1 would not train the same: config.training.seed: 0 and 7. Give every process the same "
        "configuration, data and versions",
    )
    assert kind == "DataError"
    assert missing.startswith("rank 1: nowhere.csv")
    assert found[1]["refused"] == [["Followed", "2"], ["Followed", "3"]]
    assert not (folder / "refused").exists()


OPTIONS = [
    "--set", "data.source=digits", "--set", "network.hidden=[12]", "--set", "network.dropout=0.2", "--set", "training.epochs=6",
    "--set", "training.batch_size=20", "--set", "evaluation.every_epochs=3", "--set", "compute.precision=float64",
    "--set", "checkpoint.every_steps=10",
]  # fmt: skip
TORCHRUN = [Path(sys.executable).parent / "torchrun", "--standalone", "--nproc-per-node=2", "-m", "chainrule", "train"]


def train(*arguments) -> list[subprocess.Popen[str]]:
    return ranks(2, "-m", "chainrule", "train", *arguments, stdout=subprocess.PIPE)


def ended(processes) -> str:
    said = [process.communicate(timeout=200) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    assert said[1] == ("", ""), "rank 0 speaks for all"
    return said[0][1]


def wait_for(step: int, run: Path, process: subprocess.Popen[str]) -> None:
    while newest(run) < step:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def newest(run: Path) -> int:
    folder = run / "checkpoints"
    return max((int(path.name[5:]) for path in folder.glob("step-????????")), default=0) if folder.is_dir() else 0


def process_of(torchrun: subprocess.Popen[str], rank: int) -> int:
    for folder in Path("/proc").iterdir():
        mine = folder.name.isdigit() and f"PPid:\t{torchrun.pid}\n" in (folder / "status").read_text()
        if mine and f"RANK={rank}".encode() in (folder / "environ").read_bytes().split(b"\0"):
            return int(folder.name)
    raise AssertionError(f"no rank {rank}")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="ranks are told apart by /proc, which is missing")
def test_a_killed_rank_ends_all_and_the_run_goes_on_to_the_same_bits(tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "my run"
    said = ended(train(*OPTIONS, "--output", whole))
    assert (
        "note: 2 processes share every batch of 40 rows; the run is that of one process with training.batch_size 40"
        in said
    )
    assert json.loads((whole / "environment.json").read_text())["ranks"] == 2

    torchrun = subprocess.Popen([*TORCHRUN, *OPTIONS, "--output", run], text=True, stderr=subprocess.PIPE)
    wait_for(10, run, torchrun)
    os.kill(killed := process_of(torchrun, 1), signal.SIGKILL)
    again = f"Start all of them again, with: torchrun ... -m chainrule train --resume '{run}'\n"
    assert (
        f"error: rank 1 (process {killed}) of 2 ended in the midst of the training. {again}"
        in torchrun.communicate(timeout=60)[1]
    )
    assert torchrun.returncode == 1

    first, second = train("--resume", run)
    wait_for(newest(run) + 30, run, first)
    first.kill()
    first.communicate()
    assert (
        second.communicate(timeout=60)[1]
        == f"error: rank 0 (process {first.pid}) of 2 ended in the midst of the training. {again}"
    )
    assert second.returncode == 1

    with pytest.raises(cr.ConfigError, match="changed since its checkpoint: ranks: 2 -> 1"):
        train_config(None, run, resume=True)
    copytree(run, other := tmp_path / "other")
    alone = train_config(None, other, resume=True, inexact=True, warn=lambda text: None)
    ended(train("--resume", run))
    assert fingerprint(run) == fingerprint(whole)
    assert litter(run) == []
    assert alone.history[-1]["validation_loss"] == pytest.approx(
        cr.load_run(run).history[-1]["validation_loss"], abs=TOLERANCE
    )


class Two(World):
    """Two processes before they have said a word."""

    size = 2


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(
        cr.ConfigError, match=r"^compute.backend 'numpy' with 2 processes: they meet by torch.distributed; use 'torch'$"
    ):
        planned_for(Two(), load(None, ["compute.backend=numpy"]), None)
    with pytest.raises(
        cr.ConfigError,
        match=r"^training.batch_size 1000 for each of 2 processes, 2000 together, is more than the 1294 training rows; set it to at most 647$",
    ):
        planned_for(Two(), load(None, ["training.batch_size=1000"]), None)
    with pytest.raises(cr.ConfigError, match=r"^training.batch_size 2000 is more than the 1294 training rows"):
        planned_for(Two(), load(None, ["training.batch_size=2000"]), None, whole=True)
    many = Two()
    many.size = 8
    with pytest.raises(
        cr.ConfigError, match=r"^the smallest batch of an epoch has 6 of the 1,294 training rows, too few for 8 "
    ):
        planned_for(many, load(None, ["training.batch_size=161"]), None)
    few = Dataset("few", ranked.NUMBERS.X[:5], ranked.NUMBERS.y[:5], "regression", ("digit",))
    with pytest.raises(
        cr.ConfigError, match=r"^few has 5 training rows, too few for 8 processes to have one each; start at most 5$"
    ):
        planned_for(many, load(None, ["data.split.validation=0", "data.split.test=0"]), few)
    with pytest.raises(cr.ConfigError, match=r"^few has 5 training rows, too few for 8 processes"):
        planned_for(many, load(None, ["data.split.validation=0", "data.split.test=0", "training.batch_size=2"]), few)


@pytest.mark.parametrize(
    ("options", "whole", "expected"),
    [
        (["training.batch_size=431"], False, 862),
        (["training.batch_size=862"], True, 862),
        ([], False, 256),
        (["data.split.validation=0.9"], False, 144),
    ],
)
def test_each_rank_has_the_batch_size_and_the_default_is_cut_to_the_training_rows(options, whole, expected):
    assert planned_for(Two(), load(None, options), None, whole=whole).batches.size == expected


def test_other_commands_and_seeds_are_refused_to_several_processes(tmp_path):
    named = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    refused = chainrule("evaluate", tmp_path, env=named)
    assert (refused.returncode, refused.stderr) == (
        2,
        "error: chainrule evaluate was started as one of 2 processes, as torchrun does; only 'chainrule train' runs on "
        "several. Start it by itself\n",
    )
    with pytest.raises(
        cr.ConfigError, match=r"^--seeds 3 with 2 processes: they train one run together; start each seed$"
    ):
        _new(None, [], tmp_path, 3, True, [], Two(), {})


@pytest.mark.parametrize(("n", "size"), [(100, 1), (94, 4), (7, 3), (4, 4)])
def test_the_ranks_part_a_batch_evenly(n, size):
    parts = []
    for rank in range(size):
        world = World()
        world.rank, world.size = rank, size
        parts.append(np.arange(n)[world.own(n)])
    assert np.concatenate(parts).tolist() == list(range(n))
    assert {len(part) for part in parts} <= {n // size, -(-n // size)}
