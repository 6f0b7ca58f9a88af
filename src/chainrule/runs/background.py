"""One piece of work at a time on a thread beside, so that training does not wait for the disk."""

import threading
from collections.abc import Callable


class Background:
    """Runs what it is given, one after the other. What a piece of work raises is raised at the next call here.

    A process that ends without `wait` leaves the work undone: whatever it writes must be whole, or not be there.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def start(self, work: Callable[[], object]) -> None:
        """Begin `work`, after what was begun before has ended."""
        self.wait()

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=run, name="chainrule-background", daemon=True)
        self._thread.start()

    @property
    def failed(self) -> bool:
        """Whether an error waits to be raised."""
        return self._error is not None

    def wait(self, seconds: float | None = None) -> None:
        """Until the work has ended, or so many seconds have passed; raises what it raised."""
        if self._thread is not None:
            self._thread.join(seconds)
        error, self._error = self._error, None
        if error is not None:
            raise error
