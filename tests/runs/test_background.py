import threading
import time

import pytest

from chainrule.runs.background import Background


def test_work_runs_beside_and_in_order():
    background, done, go = Background(), [], threading.Event()
    background.start(lambda: (go.wait(30), done.append(1)))
    assert done == []  # it was not waited for
    threading.Timer(0.05, go.set).start()
    background.start(lambda: done.append(2))
    background.wait()
    assert done == [1, 2]


def test_an_error_is_raised_once_at_the_next_call():
    def fails():
        raise OSError("no room")

    background = Background()
    background.start(fails)
    with pytest.raises(OSError, match="no room"):
        background.start(lambda: None)
    assert not background.failed
    background.start(fails)
    while not background.failed:
        time.sleep(0.001)
    with pytest.raises(OSError, match="no room"):
        background.wait()
    background.wait()


def test_waiting_can_be_bounded():
    background, go = Background(), threading.Event()
    background.start(lambda: go.wait(30))
    start = time.perf_counter()
    background.wait(0.05)
    assert time.perf_counter() - start < 10
    go.set()
    background.wait()
