"""The command line: parse, call, print, exit code. Results go to stdout, progress and log to stderr."""

import os
import sys
from pathlib import Path
from typing import TextIO

from chainrule.cli import (
    comparisons,
    datasets,
    exports,
    inspection,
    replications,
    reports,
    results,
    studies,
    training,
)
from chainrule.cli.common import app, warn
from chainrule.errors import ChainruleError, Followed

__all__ = ["app", "comparisons", "datasets", "exports", "inspection", "main", "replications", "reports", "results",
           "studies", "training"]  # fmt: skip


def main() -> None:
    """Run the command line; errors of ours end with one message and their own exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed
            setattr(sys, name, _nowhere())
    try:
        app()
    except Followed as followed:
        sys.exit(followed.exit_code)
    except ChainruleError as error:
        warn(f"error: {error}")
        sys.exit(error.exit_code)
    except OSError as error:
        warn(f"error: {error}")
        sys.exit(1)
    except MemoryError as error:
        warn(f"error: not enough memory: {error}. Make the network or the batch smaller.")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        try:
            sys.stderr.flush()
        except OSError:  # Python would try again, and make 120 of the exit code
            sys.stderr = _nowhere()


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")
