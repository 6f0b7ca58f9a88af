"""`check`, `diagnose`, `verify`, `schema`."""

import json
import shutil
import subprocess
import sys

from command import QUICK, chainrule


def test_check_proves_the_built_in_layers():
    done = chainrule("check")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].split() == [
        "layer",
        "parameter",
        "against",
        "entries",
        "at",
        "kinks",
        "max",
        "rel.",
        "error",
        "bound",
        "verdict",
    ]
    assert done.stdout.splitlines()[-1].endswith(" gradients compared, 0 failed")


def test_check_proves_a_configuration_and_a_run(run, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('[network]\nhidden = [12]\nnorm = "batch"\ndropout = 0.2\n[training]\npenalty = 0.1\n')
    for subject in (config, run):
        done = chainrule("check", subject, "--json")
        assert done.returncode == 0, done.stderr
        findings = json.loads(done.stdout)
        assert {"network, training", "network, evaluation"} <= {finding["layer"] for finding in findings}
        assert {finding["verdict"] for finding in findings} == {"pass"}


def test_check_exits_1_when_a_pullback_is_wrong(tmp_path):
    code = (
        "import sys; from chainrule.layers import ReLU; "
        "ReLU.forward = lambda self, p, x, c: (c.xp.maximum(x, 0.0), lambda dy: (dy * (x > -1), {})); "
        "from chainrule.cli import main; sys.argv = ['chainrule', 'check', '--set', 'network.hidden=[8]']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "FAIL" in done.stdout


def test_schema_is_json_schema():
    assert "optimizer" in json.loads(chainrule("schema").stdout)["properties"]


def test_diagnose_says_what_was_measured_why_it_matters_and_what_to_change(tmp_path):
    dead = ["--set", "network.hidden=[20,20,20,20,20]", "--set", "network.init={kind='normal',std=1e-3}"]
    assert chainrule("train", *QUICK, *dead, "-o", tmp_path / "run", "-q").returncode == 0
    done = chainrule("diagnose", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    found = json.loads(chainrule("diagnose", tmp_path / "run", "--json").stdout)
    assert {"name", "where", "measured", "why", "change", "severity"} == set(found[0])
    assert "signal-fades" in {finding["name"] for finding in found}
    for finding in found:
        assert finding["change"] in " ".join(done.stdout.split())


def test_verify_names_what_is_damaged_and_exits_4(run, tmp_path):
    done = chainrule("verify", run)
    assert done.returncode == 0
    assert done.stdout.splitlines()[:3] == ["run: sound", "model: sound", "best: sound"]
    broken = tmp_path / "run"
    shutil.copytree(run, broken)
    weights = broken / "best" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    done = chainrule("verify", broken)
    assert done.returncode == 4
    assert f"best: DAMAGED: {weights} is damaged: its SHA-256 is " in done.stdout
    assert json.loads(chainrule("verify", broken, "--json").stdout)["parts"]["model"] is None
