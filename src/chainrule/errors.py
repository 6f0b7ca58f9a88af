"""The exceptions users meet. Every message says what, the offending value, what was expected and what to do.

Each class carries the exit code that the command line gives for it.
"""


class ChainruleError(Exception):
    """Base of everything `chainrule` raises on purpose; exit code 1."""

    exit_code = 1


class ConfigError(ChainruleError, ValueError):
    """A network, option or file of options that cannot work; exit code 2."""

    exit_code = 2


class DataError(ChainruleError, ValueError):
    """Data that were refused, before any training or prediction; exit code 3."""

    exit_code = 3


class DamagedError(ChainruleError):
    """A run or model directory whose files are missing, cut short or inconsistent; exit code 4."""

    exit_code = 4


class DivergenceError(ChainruleError):
    """Training met a loss that is not finite; exit code 1."""
