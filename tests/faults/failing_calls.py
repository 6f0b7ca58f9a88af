"""Every n-th open, write, fsync, rename and mkdir of a training fails, or ends the process: the campaign itself.

Run by test_failing_calls.py in a process of its own, with failing_calls.so preloaded: SO FOLDER CODE, the code's number (0: the process ends).
"""

import ctypes
import os
import shutil
import sys
from pathlib import Path

import chainrule as cr
from chainrule.runs import checkpoint
from chainrule.runs.checkpoint import Saved
from faults.compared import fingerprint, litter

DIGITS = cr.read("digits")


def train(run: Path) -> None:
    cr.train(cr.mlp([4]), DIGITS, training=cr.Training(iterations=6, batch_size=8), output=run, resume=True,
             evaluation=cr.Evaluation(every_steps=2, train_rows=64), checkpoint=cr.Checkpoint(every_steps=2),
             compute=cr.Compute(backend="numpy", threads=1))  # fmt: skip


def sound(run: Path) -> int:
    """Checkpoints of the run, all of them intact."""
    found = list(checkpoint.newest_first(run))
    assert all(isinstance(one, Saved) for one in found), found
    return len(found)


def main(library: str, folder: Path, code: int) -> None:
    shim = ctypes.CDLL(library)
    train(folder / "reference")
    expected = fingerprint(folder / "reference")
    n, seen = 0, 0
    while seen >= n:
        n += 1
        run = folder / f"{code}-{n}"
        seen = one(shim, run, n, code)
        train(run)
        assert fingerprint(run) == expected, n
        assert litter(run) == [], (n, litter(run))
        shutil.rmtree(run)
    print(n - 1)


def one(shim: ctypes.CDLL, run: Path, n: int, code: int) -> int:
    """Let call `n` fail; returns how many calls there were until then."""
    if code == 0:
        child = os.fork()
        if child == 0:
            shim.fail_arm(n, 0, str(run).encode())
            train(run)
            os._exit(0)
        return n if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 137 else 0
    failure = None
    shim.fail_arm(n, code, str(run).encode())
    try:
        train(run)
    except cr.ChainruleError as error:
        failure = error
    seen = int(shim.fail_seen())
    if seen >= n and failure is not None:
        assert isinstance(failure, cr.OutputError), repr(failure)
        assert os.strerror(code) in str(failure), failure
        assert str(run) in str(failure), failure
        assert litter(run) == [], litter(run)
    sound(run)
    return seen


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
