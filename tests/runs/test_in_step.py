"""What one rank wants all do at one step: a checkpoint, the end by a signal or by the clock."""

import pytest

import chainrule as cr
from chainrule.backends import World
from chainrule.errors import Followed
from chainrule.runs.in_step import Follower, InStep
from chainrule.runs.interrupts import Interrupts
from chainrule.training import Config, Training
from chainrule.training.loop import begin
from chainrule.training.plan import plan

DECIDED = plan(
    Config(training=Training(iterations=100), checkpoint=cr.Checkpoint(every_steps=20)), cr.read("digits"), cr.mlp([4])
)


class Second(World):
    """Rank 1 of two; rank 0 says `first`: signal, time limit, checkpoint, the step of the next question."""

    rank, size = 1, 2

    def __init__(self):
        self.first, self.asked = [0, 0, 0, 1], 0

    def largest(self, numbers):
        self.asked += 1
        return [max(pair) for pair in zip(numbers, map(float, self.first), strict=True)]


def ranked():
    world, interrupts = Second(), Interrupts()
    return world, interrupts, InStep(world, DECIDED, Follower(DECIDED), interrupts, float("inf"))


def test_ranks_ask_each_other_where_rank_0_said_and_where_a_checkpoint_is_due():
    world, _, watch = ranked()
    world.first = [0, 0, 0, 15]
    assert not any(watch.wants(step) for step in range(1, 15))
    assert world.asked == 1
    world.first = [0, 0, 0, 50]
    assert not watch.wants(15)
    assert not any(watch.wants(step) for step in range(16, 20))
    assert world.asked == 2
    world.first = [0, 0, 1, 50]
    assert watch.wants(20)
    watch.keep(begin(DECIDED))  # a checkpoint is no end, and not this rank's to write
    assert world.asked == 3


@pytest.mark.parametrize(("first", "code"), [([15, 0, 0, 9], 143), ([0, 1, 0, 9], 124)])
def test_the_end_that_rank_0_wants_is_every_rank_s(first, code):
    world, _, watch = ranked()
    assert not watch.wants(1)
    world.first = first
    watch.keep(begin(DECIDED))  # not agreed on yet
    assert watch.wants(2)
    with pytest.raises(Followed) as ended:
        watch.keep(begin(DECIDED))
    assert ended.value.exit_code == code


def test_a_signal_to_another_rank_ends_all():
    _, interrupts, watch = ranked()
    interrupts.received = 2
    watch.keep(begin(DECIDED))  # this rank's own affair until all know
    assert watch.wants(1)
    with pytest.raises(Followed) as ended:
        watch.keep(begin(DECIDED))
    assert ended.value.exit_code == 130
