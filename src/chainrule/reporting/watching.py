"""The page served on this machine while a run or study goes on, and made anew whenever there is something new."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from chainrule.comparing.groups import folders
from chainrule.errors import ChainruleError
from chainrule.reporting.about_study import ledgered
from chainrule.reporting.blocks import Page, Section, Words
from chainrule.reporting.compose import compose
from chainrule.reporting.page import html
from chainrule.runs.directory import CONFIG, DIVERGED, ENVIRONMENT, HISTORY, METRICS
from chainrule.runs.run import Given
from chainrule.runs.sealed import MANIFEST
from chainrule.study.conduct import STUDY


class Watched:
    """The page about `asked`, kept until what it is made from has changed."""

    def __init__(self, asked: Sequence[Path], data: Given, database: str | None) -> None:
        self.asked, self.data, self.database = list(asked), data, database
        self.lock, self.made_of, self.page = Lock(), "", ""

    def version(self) -> str:
        """A text that changes with the runs and the ledgers."""
        h = sha256()
        for path in self.asked:
            h.update(self._study(path) if (path / STUDY).is_file() else _files(path))
        return h.hexdigest()

    def _study(self, path: Path) -> bytes:
        found = ledgered(path, self.database)
        told = [(one.number, one.state, one.attempt, len(one.curve), one.value) for one in found.every]
        return repr((found.searches, told, len(found.readings))).encode()

    def text(self) -> str:
        """The page as it is now; a run that cannot be read just now is a page that says so."""
        with self.lock:
            now = self.version()
            if now != self.made_of:
                try:
                    page = compose(self.asked, self.data, self.database)
                except (ChainruleError, OSError) as error:  # a checkpoint may go while it is read
                    page = Page("Not yet", "", (Section("summary", "Not yet", (Words(str(error)),)),))
                self.page, self.made_of = html(page, watched=True), now
            return self.page


def _files(path: Path) -> bytes:
    """Names, sizes and times of the files of the runs at `path`."""
    found = []
    for _, folder in folders(path):
        for name in (CONFIG, ENVIRONMENT, HISTORY, METRICS, DIVERGED, MANIFEST):
            file = folder / name
            if file.is_file():
                about = file.stat()
                found.append((str(file), about.st_size, about.st_mtime_ns))
    return repr(found).encode()


def handler_of(watched: Watched) -> type[BaseHTTPRequestHandler]:
    """Answers / and /version, to this machine alone."""

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "chainrule", ""

        def do_GET(self) -> None:
            """The page, or the text that says whether it is still the newest."""
            # A page of another site can point its own name at 127.0.0.1; its requests then name that host.
            port = self.server.server_port  # type: ignore[attr-defined]
            if self.headers.get("Host") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
                return self._answer(403, "this server answers to 127.0.0.1 and localhost alone", "text/plain")
            if self.path == "/":
                return self._answer(200, watched.text(), "text/html")
            if self.path == "/version":
                return self._answer(200, watched.version(), "text/plain")
            return self._answer(404, "only / is here", "text/plain")

        def _answer(self, code: int, text: str, kind: str) -> None:
            content = text.encode()
            self.send_response(code)
            for name, value in (
                ("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(content))),
                ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"),
                ("Referrer-Policy", "no-referrer"),
            ):  # fmt: skip
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Nothing: the terminal is for what matters."""

    return Handler


def serve(asked: Sequence[Path], data: Given, database: str | None, port: int, started: Callable[[str], None]) -> None:
    """Serve until interrupted. started: told the address. Raises at once for what is no run or study."""
    watched = Watched(asked, data, database)
    compose(asked, data, database)
    with ThreadingHTTPServer(("127.0.0.1", port), handler_of(watched)) as server:
        started(f"http://127.0.0.1:{server.server_port}/")
        server.serve_forever()
