"""The shape of the code base: dependencies in one direction, torch in its rooms, small files, a light import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import chainrule

SOURCE = Path(chainrule.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))

# Each may import what stands before it, and itself.
ORDER = [
    "errors", "text", "notebook", "intervals", "seeds", "spec", "arrays", "backprop", "layers", "losses", "objective", "network",
    "optim", "data", "kernels", "backends", "training", "recipes", "diagnosis", "runs", "tracking", "study", "comparing", "reporting",
    "exporting", "verify", "replication", "estimator", "cli",
]  # fmt: skip
TORCH = {"backends/torch_backend.py", "backends/torch_world.py", "backends/hardware.py", "verify/check.py", "exporting/torch_layers.py",
         "exporting/torch_out.py", "exporting/torch_in.py"}  # fmt: skip


def room(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def test_every_room_has_its_place_in_the_order():
    assert {room(path) for path in FILES} - {"__init__", "__main__"} == set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_dependencies_point_one_way(path):
    if room(path) in ("__init__", "__main__"):
        return
    here = ORDER.index(room(path))
    for name in imported(path):
        if name.startswith("chainrule."):
            target = name.split(".")[1]
            assert ORDER.index(target) <= here, f"{room(path)} must not import {target}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_torch_is_imported_only_in_its_rooms(path):
    users = {name.split(".")[0] for name in imported(path)} | {
        "torch" for name in imported(path) if name.startswith("array_api_compat.torch")
    }
    assert "torch" not in users or str(path.relative_to(SOURCE)) in TORCH


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_and_functions_stay_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} is too long"


def test_nothing_is_unpickled_but_in_the_allow_list_reader():
    for path in FILES:
        names = {name.split(".")[0] for name in imported(path)}
        if names & {"pickle", "dill", "joblib", "shelve", "marshal"}:
            assert path.name == "unpickle.py"


def test_no_global_random_state():
    for path in FILES:
        text = path.read_text()
        assert "np.random.seed" not in text
        assert "manual_seed" not in text
        assert "default_rng" not in text


def test_importing_is_light():
    """Well under 0.25 s, and none of the heavy libraries."""
    code = (
        "import time; t = time.perf_counter(); import chainrule, sys; s = time.perf_counter() - t; "
        "heavy = {'torch', 'sklearn', 'optuna', 'ray', 'scipy', 'pandas'} & set(sys.modules); print(s, *heavy)"
    )
    command = [sys.executable, "-c", code]
    found = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
    assert all(len(one) == 1 for one in found), f"imported {found[0][1:]}"
    assert min(float(one[0]) for one in found) < 0.25  # the best of three: the machine does other work


@pytest.mark.parametrize(
    "module",
    [
        "chainrule.training",
        "chainrule.verify",
        "chainrule.cli",
        "chainrule.network",
        "chainrule.reporting.compose",
        "chainrule.exporting",
        "chainrule.tracking",
    ],
)
def test_no_room_imports_torch_or_sklearn_by_itself(module):
    code = f"import {module}, sys; print(*({{'torch', 'sklearn', 'optuna', 'ray', 'onnx'}} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert found == []


def test_every_public_name_is_documented():
    for name in chainrule.__all__:
        assert getattr(chainrule, name).__doc__, name
