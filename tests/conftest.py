"""Where tests find real data: an environment variable, the shared folder beside the checkout, or Debian's package."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Shared machines stall: no deadlines. In CI the examples are the same each time, so that a failure is the change's own.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("tests"), derandomize=True)
settings.load_profile("ci" if "CI" in os.environ else "tests")

# Triton reads this once, when it is imported, and parts of PyTorch import it by themselves in any test before those of
# the kernels for CUDA, which run in its interpreter.
os.environ["TRITON_INTERPRET"] = "1"

ROOT = Path(__file__).parents[1]
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
SHARED = Path(os.environ.get("CHAINRULE_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(scope="session")
def cifar10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with CIFAR-10 in its binary layout: $CHAINRULE_CIFAR10, or made from the shared JPEG copies."""
    if "CHAINRULE_CIFAR10" in os.environ:
        return Path(os.environ["CHAINRULE_CIFAR10"])
    script = SHARED / "data" / "make_cifar10.py"
    if not script.is_file():
        pytest.skip(f"no CIFAR-10: $CHAINRULE_CIFAR10 is not set and {script} (under $CHAINRULE_SHARED) is missing")
    base = tmp_path_factory.getbasetemp()
    # xdist gives each worker a base of its own under a common one
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cifar10"
    if not folder.exists():
        made = tmp_path_factory.mktemp("making") / "cifar10"
        subprocess.run([sys.executable, script, made], check=True, stdout=subprocess.DEVNULL)
        try:
            made.rename(folder)
        except OSError:  # another worker was first
            assert folder.exists()
    return folder


@pytest.fixture(scope="session")
def fashion_mnist() -> Path:
    """The folder of Debian's package dataset-fashion-mnist."""
    if not FASHION_MNIST.is_dir():
        pytest.skip(f"no Fashion-MNIST: {FASHION_MNIST} is missing; install the Debian package dataset-fashion-mnist")
    return FASHION_MNIST


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation, built once for all workers."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (base / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / "site").exists():
            command = [sys.executable, ROOT / "docs" / "building" / "build.py", base / "site"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert done.stdout == f"{base / 'site' / 'index.html'}\n"
    return base / "site"
