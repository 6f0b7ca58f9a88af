"""A study on a real Ray cluster of two nodes: the same trials as in one process, also when a worker and a node die."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("ray") is None:
    pytest.skip("Ray is not installed: pip install 'chainrule[ray]'", allow_module_level=True)

COMMAND = [str(Path(sys.executable).with_name("chainrule")), "study"]
STUDY = """
[train.training]
epochs = 30
batch_size = 16
[train.compute]
threads = 1
[space]
"network.hidden" = [[5], [10]]
"optimizer.lr" = { low = 1e-3, high = 1e-1, log = true }
[search]
sampler = "random"
trials = 8
[finalists]
n = 0
"""
ENVIRONMENT = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64, "RAY_USAGE_STATS_ENABLED": "0",
               "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}  # fmt: skip


@pytest.fixture(scope="module")
def cluster():
    command = [sys.executable, Path(__file__).with_name("ray_cluster.py")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               text=True, env=os.environ | ENVIRONMENT)  # fmt: skip
    address = process.stdout.readline().strip()
    assert address.startswith("127.") or ":" in address
    yield process, address
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


def study(tmp_path, name, *options):
    (tmp_path / "study.toml").write_text(STUDY)
    return [*COMMAND, str(tmp_path / "study.toml"), "--output", str(tmp_path / name), "--json", *options]


def values(directory):
    found = subprocess.run([COMMAND[0], "trials", directory, "--json"], capture_output=True, check=True, text=True)
    return {one["number"]: (one["state"], one["value"], one["params"]) for one in json.loads(found.stdout)}


def workers():
    found = subprocess.run(["pgrep", "-f", "ray::_work"], capture_output=True, text=True, check=False).stdout.split()
    return [int(one) for one in found]


def test_a_wrong_token_and_a_wrong_address_are_named(cluster, tmp_path):
    environment = os.environ | ENVIRONMENT | {"RAY_AUTH_TOKEN": "b" * 64}
    addresses = {"token": cluster[1], "address": "127.0.0.1:1"}
    tried = [  # beside each other: Ray tries long
        subprocess.Popen(study(tmp_path, name, "--ray", address), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                         text=True, env=environment)
        for name, address in addresses.items()
    ]  # fmt: skip
    for process, address in zip(tried, addresses.values(), strict=True):
        said = process.communicate()[1]
        assert process.returncode == 1, said
        assert f"error: --ray {address}: the cluster cannot be joined" in said
        assert "Traceback" not in said


def test_a_worker_and_a_node_are_killed_and_nothing_is_lost(cluster, tmp_path):
    calm = subprocess.run(study(tmp_path, "calm"), capture_output=True, text=True, env=os.environ | ENVIRONMENT)
    assert calm.returncode == 0, calm.stderr
    process, address = cluster
    with (tmp_path / "log").open("w") as log:
        wild = subprocess.Popen(study(tmp_path, "wild", "--ray", address), env=os.environ | ENVIRONMENT, stderr=log,
                                stdout=subprocess.DEVNULL)  # fmt: skip
        end = time.monotonic() + 120
        while not (there := workers()) and time.monotonic() < end and wild.poll() is None:
            time.sleep(0.05)
        assert there, (tmp_path / "log").read_text()
        os.kill(there[0], signal.SIGKILL)
        ended = tmp_path / "wild"
        while wild.poll() is None and time.monotonic() < end and len(list(ended.glob("trials/*/*/*/metrics.json"))) < 2:
            time.sleep(0.05)
        assert wild.poll() is None, "the study was over before its node was killed"
        process.stdin.write("remove\n")
        process.stdin.flush()
        assert process.stdout.readline().strip() == "removed"
        assert wild.wait(200) == 0, (tmp_path / "log").read_text()
    assert values(tmp_path / "wild") == values(tmp_path / "calm")
    trials = json.loads(subprocess.run([COMMAND[0], "trials", ended, "--json"], capture_output=True, check=True).stdout)
    assert sum(one["attempt"] for one in trials) > len(trials)
