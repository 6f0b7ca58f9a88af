"""Completion: the scripts of three shells, what the command answers them, and a real bash that asks."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from command import chainrule


def script(shell):
    done = chainrule(env={"_CHAINRULE_COMPLETE": f"source_{shell}"})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("shell", "registered"),
    [
        ("bash", "complete -o default -F _chainrule_completion chainrule"),
        ("zsh", "compdef _chainrule_completion chainrule"),
        ("fish", "complete --command chainrule"),
    ],
)
def test_the_script_registers_the_command(shell, registered):
    assert registered in script(shell)
    assert f"_CHAINRULE_COMPLETE=complete_{shell}" in script(shell)


@pytest.mark.parametrize("shell", ["zsh", "fish"])
@pytest.mark.parametrize(
    ("line", "expected"), [("chainrule tr", {"train", "trials"}), ("chainrule train --tens", {"--tensorboard"})]
)
def test_what_zsh_and_fish_are_answered(shell, line, expected):
    asked = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = chainrule(env={"_CHAINRULE_COMPLETE": f"complete_{shell}", **asked})
    assert done.returncode == 0, done.stderr
    for one in expected:
        assert one in done.stdout
    assert "compare" not in done.stdout
    assert "--mlflow" not in done.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tr"], {"train", "trials"}),
        (["train", "--res"], {"--resume"}),
        (["train", "--tens"], {"--tensorboard"}),
        (["data", "f"], {"fetch"}),
    ],
)
def test_a_real_bash(tmp_path, words, expected):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash on this machine")
    (tmp_path / "completion").write_text(script("bash"))
    asking = (
        f"source {tmp_path}/completion; PATH={Path(sys.executable).parent}:$PATH; COMP_WORDS=(chainrule {' '.join(words)}); "
        f"COMP_CWORD={len(words)}; _chainrule_completion chainrule; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run([bash, "-c", asking], capture_output=True, text=True, check=False)
    assert set(done.stdout.split()) == expected, done.stderr
