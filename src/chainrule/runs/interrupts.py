"""Signals that ask a training to end: noted, so that the loop leaves a checkpoint and then ends."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from chainrule.text import tell

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupts:
    """received: the first signal, or 0. A second one raises KeyboardInterrupt wherever the process is."""

    def __init__(self) -> None:
        self.received = 0
        self._abortable = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Signals are noted while open, in the main thread only. Those that are ignored (nohup) stay ignored.

        One that came too late to end what is inside is handed on to those who wait around it.
        """
        before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                handler = signal.getsignal(number)
                if handler is not signal.SIG_IGN:
                    before[number] = handler
                    signal.signal(number, self._note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            around = getattr(before.get(self.received), "__self__", None)
            if isinstance(around, Interrupts):
                around.received = around.received or self.received

    @contextmanager
    def abortable(self) -> Iterator[None]:
        """While open the first signal raises KeyboardInterrupt too: what happens here need not be finished."""
        self._abortable = True
        try:
            if self.received:
                raise KeyboardInterrupt
            yield
        finally:
            self._abortable = False

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.received:
            raise KeyboardInterrupt
        self.received = number
        text = f"{signal.Signals(number).name}: stopping; once more to stop at once"
        tell(f"\n{text}")
        if self._abortable:
            raise KeyboardInterrupt
