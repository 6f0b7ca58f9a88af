"""Fetching from a server of our own: all of it arrives, or nothing is left and the error says what to do by hand."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from chainrule.data.readers import download
from chainrule.data.readers.catalogue import NAMES, Remote
from chainrule.data.registry import fetch
from chainrule.errors import DataError

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                server.answers.get(self.path, partial(reply, status=404))(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def serve(self, name: str, content: bytes, **options: object) -> Remote:
        self.answers[f"/{name}"] = partial(reply, content=content, **options)
        return Remote(f"{self.url}/{name}", len(content), hashlib.md5(content).hexdigest())


def reply(
    handler: BaseHTTPRequestHandler,
    content: bytes = b"",
    status: int = 200,
    promised: int | None = None,
    location: str | None = None,
) -> None:
    handler.send_response(status)
    if location:
        handler.send_header("Location", location)
    if promised is not None:
        handler.send_header("Content-Length", str(promised))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts other files in the place of a set's own."""
    return lambda name, *remotes: monkeypatch.setitem(NAMES, name, replace(NAMES[name], remotes=remotes))


def tar(members: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            if isinstance(content, bytes):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                archive.addfile(content)
    return out.getvalue()


def entry(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def refusal(name: str, folder: Path) -> str:
    """The error, after making sure that nothing is left."""
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(DataError) as error:
        fetch(name, folder)
    assert sorted(folder.parent.rglob("*")) == before
    return str(error.value)


def test_plain_files(tmp_path: Path, server: Server, offered: Callable[..., None]) -> None:
    offered("mnist", server.serve("a.gz", b"first" * 10**6), server.serve("b.gz", b""))
    folder = tmp_path / "deep" / "mnist"
    assert fetch("mnist", folder) == folder
    assert {file.name: file.stat().st_size for file in folder.iterdir()} == {"a.gz": 5 * 10**6, "b.gz": 0}


def test_what_is_there_is_not_fetched_again(tmp_path: Path, server: Server, offered: Callable[..., None]) -> None:
    offered("mnist", server.serve("a.gz", b"first"), server.serve("b.gz", b"second"))
    (tmp_path / "a.gz").write_bytes(b"mine")
    fetch("mnist", tmp_path)
    fetch("mnist", tmp_path)
    assert server.asked == ["/b.gz"]
    assert (tmp_path / "a.gz").read_bytes() == b"mine"


def test_usual_place(
    tmp_path: Path, server: Server, offered: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    offered("mnist", server.serve("a.gz", b"first"))
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "shared"))
    assert fetch("mnist") == tmp_path / "shared" / "mnist"
    monkeypatch.delenv("CHAINRULE_DATA")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert fetch("mnist") == tmp_path / "home/.cache/chainrule/data/mnist"


PLAIN = "set/rows.bin in it is no plain file"
MEMBERS = (("set/rows.bin", 10), ("set/names.txt", 100))


def test_archive(tmp_path: Path, server: Server, offered: Callable[..., None]) -> None:
    content = tar({
        "set": entry("set", tarfile.DIRTYPE), "set/rows.bin": b"0123456789", "set/readme.html": b"not taken",
        "../outside": b"x", "/etc/outside": b"x", "set/../../outside": b"x", "set/names.txt": b"cat",
        "set/link": entry("set/link", tarfile.SYMTYPE, "/etc/passwd"),
    })  # fmt: skip
    offered("cifar10", replace(server.serve("a.tar.gz", content), members=MEMBERS))
    folder = fetch("cifar10", tmp_path / "data")
    found = {str(file.relative_to(tmp_path)): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert found == {"data/set/rows.bin": b"0123456789", "data/set/names.txt": b"cat"}
    assert fetch("cifar10", folder) == folder
    assert server.asked == ["/a.tar.gz"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"set/names.txt": b"x"}, "the archive lacks set/rows.bin"),
        ({"set/rows.bin": b"x" * 11, "set/names.txt": b"x"}, "set/rows.bin in it is no plain file of at most 10 bytes"),
        ({"set/names.txt": b"x", "set/rows.bin": entry("set/rows.bin", tarfile.SYMTYPE, "/etc/passwd")}, PLAIN),
        ({"set/names.txt": b"x", "set/rows.bin": entry("set/rows.bin", tarfile.LNKTYPE, "set/names.txt")}, PLAIN),
        ({"set/names.txt": b"x", "set/rows.bin": entry("set/rows.bin", tarfile.CHRTYPE)}, PLAIN),
        ({"set/names.txt": b"x", "set/rows.bin": entry("set/rows.bin", tarfile.FIFOTYPE)}, PLAIN),
        ({"set/names.txt": b"x", "set/rows.bin": entry("set/rows.bin", tarfile.DIRTYPE)}, PLAIN),
        ({f"{i}": b"" for i in range(1_001)}, "the archive has more than 1,000 members"),
    ],
)
def test_archives_refused(
    tmp_path: Path, server: Server, offered: Callable[..., None], members: dict[str, object], message: str
) -> None:
    offered("cifar10", replace(server.serve("a.tar.gz", tar(members)), members=MEMBERS))
    assert f"{server.url}/a.tar.gz: {message}" in refusal("cifar10", tmp_path / "data")


def test_damaged_archive(tmp_path: Path, server: Server, offered: Callable[..., None]) -> None:
    whole = tar({"set/rows.bin": b"0123456789", "set/names.txt": b"x" * 100})
    for content in (b"no archive", whole[:-30], b""):
        offered("cifar10", replace(server.serve("a.tar.gz", content), members=MEMBERS))
        assert f"{server.url}/a.tar.gz: " in refusal("cifar10", tmp_path / "data")


def test_wrong_digest(tmp_path: Path, server: Server, offered: Callable[..., None]) -> None:
    offered("mnist", server.serve("a.gz", b"right"), replace(server.serve("b.gz", b"wrong"), md5="0" * 32))
    folder = tmp_path / "data"
    assert refusal("mnist", folder) == (
        f"mnist: could not be fetched, and nothing was kept. {server.url}/b.gz: has md5 "
        f"2bda2998d9b0ee197da142a0447f6725; expected {'0' * 32}.\n"
        f"To do it by hand, get the following and put it into {folder}:\n  {server.url}/a.gz\n  {server.url}/b.gz"
    )


@pytest.mark.parametrize("promised", [None, 5, 100])
def test_truncated(tmp_path: Path, server: Server, offered: Callable[..., None], promised: int | None) -> None:
    remote = server.serve("a.gz", b"right")
    server.serve("a.gz", b"rig", promised=promised)
    offered("mnist", remote)
    assert f"{server.url}/a.gz: ended after 3 of 5 bytes" in refusal("mnist", tmp_path / "data")


def test_too_large(tmp_path: Path, server: Server, offered: Callable[..., None]) -> None:
    remote = server.serve("a.gz", b"right")
    server.serve("a.gz", b"right, and more")
    offered("mnist", remote)
    assert f"{server.url}/a.gz: sends more than the 5 bytes expected" in refusal("mnist", tmp_path / "data")


def test_not_there(tmp_path: Path, server: Server, offered: Callable[..., None]) -> None:
    offered("mnist", Remote(f"{server.url}/none.gz", 5, "0" * 32))
    assert f"{server.url}/none.gz: HTTP Error 404: Not Found." in refusal("mnist", tmp_path / "data")


def test_unreachable(tmp_path: Path, offered: Callable[..., None]) -> None:
    offered("mnist", Remote("http://127.0.0.1:9/a.gz", 5, "0" * 32))
    assert "http://127.0.0.1:9/a.gz: [Errno 111] Connection refused." in refusal("mnist", tmp_path / "data")


def test_silent_server(
    tmp_path: Path, server: Server, offered: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()
    remote = server.serve("a.gz", b"right")
    server.answers["/a.gz"] = lambda _: done.wait(10)
    monkeypatch.setattr(download, "_TIMEOUT_S", 0.2)
    offered("mnist", remote)
    assert f"{server.url}/a.gz: timed out." in refusal("mnist", tmp_path / "data")
    done.set()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "gopher://x/y"])
def test_other_schemes(tmp_path: Path, server: Server, offered: Callable[..., None], url: str) -> None:
    offered("mnist", Remote(url, 5, "0" * 32))
    assert f"{url}: unknown url type: {url.split(':')[0]}." in refusal("mnist", tmp_path / "data")
    remote = server.serve("a.gz", b"right")
    server.serve("a.gz", b"", status=302, location=url)
    offered("mnist", remote)
    refusal("mnist", tmp_path / "data")


def test_redirect(tmp_path: Path, server: Server, offered: Callable[..., None]) -> None:
    remote = server.serve("a.gz", b"right")
    server.serve("b.gz", b"right")
    server.serve("a.gz", b"", status=302, location=f"{server.url}/b.gz")
    offered("mnist", remote)
    assert (fetch("mnist", tmp_path) / "a.gz").read_bytes() == b"right"


def test_folder_that_cannot_be_made(tmp_path: Path, server: Server, offered: Callable[..., None]) -> None:
    offered("mnist", server.serve("a.gz", b"right"))
    (tmp_path / "file").touch()
    assert "mnist: could not be fetched, and nothing was kept. " in refusal("mnist", tmp_path / "file" / "data")


def test_interrupt_leaves_nothing(
    tmp_path: Path, server: Server, offered: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    offered("mnist", server.serve("a.gz", b"right"))
    monkeypatch.setattr(download, "_download", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch("mnist", tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_names_without_a_download() -> None:
    with pytest.raises(DataError, match=r"digits: needs no fetching; it is installed with scikit-learn\."):
        fetch("digits")
    with pytest.raises(DataError, match=r"mnits: no data set has this name; .* did you mean 'mnist'\?"):
        fetch("mnits")
