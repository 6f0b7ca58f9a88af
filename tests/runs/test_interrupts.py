"""A signal that came too late for one training is not lost on what goes on around it."""

import os
import signal

import pytest

import chainrule as cr
from chainrule.runs.interrupts import Interrupts
from chainrule.runs.seeds import OVER


def test_a_signal_is_handed_on_to_those_around():
    outer, inner = Interrupts(), Interrupts()
    with outer.caught():
        with inner.caught():
            os.kill(os.getpid(), signal.SIGTERM)
        assert (inner.received, outer.received) == (signal.SIGTERM, signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):  # a second one
            os.kill(os.getpid(), signal.SIGTERM)


def test_between_two_seeds_it_ends_both(tmp_path):
    class Signals(cr.Hook):
        def finished(self, run):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(cr.Interrupted, match="interrupted with 1 of 2 seeds trained; go on with --resume") as caught:
        cr.train(cr.mlp([4]), cr.read("digits"), seeds=2, output=tmp_path, training=cr.Training(epochs=1),
                 compute=cr.Compute("torch", "cpu", "float32", 1), hooks=[Signals()])  # fmt: skip
    assert caught.value.exit_code == 143
    assert [path.name for path in tmp_path.iterdir()] == ["seed-0"]


def test_the_time_limit_is_that_of_all_seeds(tmp_path, monkeypatch):
    given = []

    def train(*_, time_limit, **__):
        given.append(time_limit)
        clock[0] += 7.0

    clock = [100.0]
    monkeypatch.setattr("chainrule.runs.seeds.perf_counter", lambda: clock[0])
    monkeypatch.setattr("chainrule.runs.seeds.train_config", train)
    cr.train(cr.mlp([4]), cr.read("digits"), seeds=3, output=tmp_path, time_limit=10.0,
             compute=cr.Compute("torch", "cpu", "float32", 1))  # fmt: skip
    assert given == [10.0, 3.0, OVER]
