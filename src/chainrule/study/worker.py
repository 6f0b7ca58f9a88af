"""A worker process: tasks come in on stdin, rows and outcomes go out on stdout, one JSON object a line.

A closed stdin, its coordinator's end, ends the process at once, and its checkpoints stay. SIGTERM leaves one more.
"""

import json
import os
import queue
import sys
import threading
from typing import Any, TextIO

from chainrule.errors import Interrupted
from chainrule.study.task import Task, perform_all, plain, task

BEAT = 1.0
"""Seconds between two signs of life."""


class _Line:
    """Writes whole lines, from two threads."""

    def __init__(self, out: TextIO) -> None:
        self.out, self.lock = out, threading.Lock()

    def __call__(self, message: dict[str, Any]) -> None:
        try:
            with self.lock:
                self.out.write(json.dumps(message) + "\n")
                self.out.flush()
        except OSError:  # no one is listening any more
            os._exit(1)


def main() -> None:
    """Do tasks until stdin is closed."""
    say = _Line(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # what a library prints must not be taken for a message
    tasks: queue.Queue[Task] = queue.Queue()
    asked = threading.Event()

    def listen() -> None:
        for line in sys.stdin:
            message = json.loads(line)
            if message["kind"] == "stop":
                asked.set()
            else:
                tasks.put(task(message["task"]))
        os._exit(1)

    def beat() -> None:
        while True:
            threading.Event().wait(BEAT)
            say({"kind": "beat"})

    for work in (listen, beat):
        threading.Thread(target=work, daemon=True).start()
    say({"kind": "ready"})
    while True:
        given = tasks.get()
        asked.clear()
        try:
            ended = perform_all(given, lambda row: say(plain(row)), asked.is_set)
        except Interrupted:
            return
        for one in ended:
            say(plain(one))


if __name__ == "__main__":
    main()
