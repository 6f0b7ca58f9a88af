"""The command line: parse, call, print, exit code. Results go to stdout, progress and log to stderr."""

import sys

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
