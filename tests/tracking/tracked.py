"""Runs that are watched, and what the real libraries read of them."""

import chainrule as cr

DIGITS = cr.read("digits")
HOW = {"compute": cr.Compute("numpy", threads=1), "checkpoint": cr.Checkpoint(every_epochs=2)}


class Stopped(cr.Hook):
    """Ends a run as a crash would, after `rows` rows."""

    def __init__(self, rows):
        self.left = rows

    def logged(self, row):
        self.left -= 1
        if self.left == 0:
            raise CrashError


class CrashError(Exception):
    pass


def trained(hooks, epochs=5, **how):
    training = cr.Training(epochs=epochs, batch_size=128)
    return cr.train(cr.mlp([8]), DIGITS, training=training, hooks=hooks, **HOW | how)


def columns(history):
    """Every number of every row but the step, by name: {name: [(step, value), ...]}."""
    found = {}
    for row in history:
        for name, value in row.items():
            for key, one in value.items() if isinstance(value, dict) else [(None, value)]:
                if name != "step":
                    found.setdefault(name if key is None else f"{name}/{key}", []).append((row["step"], one))
    return found
