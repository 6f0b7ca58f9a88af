"""The exceptions users meet. Every message says what, the offending value, what was expected and what to do.

Each class carries the exit code that the command line gives for it. A path that holds no run, model or study is a wrong
name, hence a ConfigError; one that holds a run which is not whole, a DamagedError; one that holds no data, a DataError.
"""


class ChainruleError(Exception):
    """Base of everything `chainrule` raises on purpose; exit code 1."""

    exit_code = 1


class ConfigError(ChainruleError, ValueError):
    """A network, option, name or file of options that cannot work; exit code 2."""

    exit_code = 2


class DataError(ChainruleError, ValueError):
    """Data that were refused, before any training or prediction; exit code 3."""

    exit_code = 3


class DamagedError(ChainruleError):
    """A run or model that did not finish, or whose files are missing, cut short or inconsistent; exit code 4."""

    exit_code = 4


class DivergenceError(ChainruleError):
    """Training met a loss or gradient that is not finite; exit code 1."""


class OutputError(ChainruleError):
    """A file could not be written: the disk is full, a folder is read-only; exit code 1."""


class BusyError(ChainruleError):
    """Another process trains in the run directory; exit code 1."""


class TimeLimitError(ChainruleError):
    """The time limit was reached, and a checkpoint left; exit code 124, as of timeout(1)."""

    exit_code = 124


class LostError(ChainruleError):
    """Of the processes that train together another was lost; exit code 1. ranks: those known to be gone."""

    def __init__(self, message: str, ranks: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.ranks = ranks


class Followed(Exception):  # noqa: N818
    """A process of several has ended as rank 0 has, which says why; with its exit code."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class Interrupted(KeyboardInterrupt):
    """A signal ended the training, and a checkpoint was left; exit code 128 + the signal's number.

    Not a ChainruleError: what catches those to go on with something else must not catch this.
    """

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal
