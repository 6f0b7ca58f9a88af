"""Fetching a file over the network: checked while it comes, and nothing kept when it is not what it should be."""

import gzip
import hashlib
import http.client
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPMessage
from pathlib import Path
from typing import IO

from chainrule.data.readers.catalogue import Remote
from chainrule.data.readers.files import PIXELS_RATIO, Sips, honest
from chainrule.errors import DataError

_TIMEOUT_S = 30
_PIECE = 2**20
_MOST_MEMBERS = 1_000


def fetch_all(remotes: Iterable[Remote], folder: Path) -> None:
    """Fetch what is not there yet into `folder`; either all of it is there afterwards, or the folder is as it was."""
    missing = [remote for remote in remotes if not all((folder / file).is_file() for file in remote.files)]
    with _new_folder(folder), tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as name:
        temporary = Path(name)
        for remote in missing:
            _fetch(remote, temporary)
        for file in (file for remote in missing for file in remote.files):
            (folder / file).parent.mkdir(exist_ok=True)
            (temporary / file).replace(folder / file)


@contextmanager
def _new_folder(folder: Path) -> Iterator[None]:
    """The folder with those above it; those that were made for it are removed again when the work in it fails."""
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for each in made:
            with suppress(OSError):
                each.rmdir()
        raise


def _fetch(remote: Remote, folder: Path) -> None:
    try:
        with (folder / remote.name).open("wb") as file:
            _download(remote, file)
        if remote.members:
            packed = gzip.GzipFile(folder / remote.name)
            with (
                Sips(packed, at_most=honest(remote.size, PIXELS_RATIO)) as unpacked,
                tarfile.open(fileobj=unpacked) as archive,
            ):
                _extract(remote, archive, folder)
            (folder / remote.name).unlink()
    except urllib.error.HTTPError as error:
        error.close()
        raise DataError(f"{remote.url}: {error}") from error
    except (OSError, EOFError, http.client.HTTPException, tarfile.TarError, zlib.error) as error:
        raise DataError(f"{remote.url}: {getattr(error, 'reason', None) or error or type(error).__name__}") from error


def _download(remote: Remote, file: IO[bytes]) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    with _opened(remote.url) as response:
        while piece := response.read(_PIECE):
            size += len(piece)
            if size > remote.size:
                raise DataError(f"{remote.url}: sends more than the {remote.size:,} bytes expected")
            digest.update(piece)
            file.write(piece)
    if size < remote.size:
        raise DataError(f"{remote.url}: ended after {size:,} of {remote.size:,} bytes")
    if digest.hexdigest() != remote.md5:
        raise DataError(f"{remote.url}: has md5 {digest.hexdigest()}; expected {remote.md5}")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from an encrypted connection to a plain one."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and not newurl.startswith("https:"):
            raise DataError(f"{req.full_url}: leads from https to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opened(url: str) -> http.client.HTTPResponse:
    # Without the handlers for files and FTP that `urlopen` has, a redirect cannot lead there.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        _Redirects,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    response: http.client.HTTPResponse = opener.open(url, timeout=_TIMEOUT_S)
    return response


def _extract(remote: Remote, archive: tarfile.TarFile, folder: Path) -> None:
    """Take the listed members, each a plain file of at most its size, out of the archive; touch no other."""
    wanted = dict(remote.members)
    for count, member in enumerate(archive):
        if count == _MOST_MEMBERS:
            raise DataError(f"{remote.url}: the archive has more than {_MOST_MEMBERS:,} members")
        most = wanted.pop(member.name, None)
        if most is None:
            continue
        content = archive.extractfile(member) if member.isreg() and not member.issparse() else None
        if content is None or member.size > most:
            raise DataError(f"{remote.url}: {member.name} in it is no plain file of at most {most:,} bytes")
        (folder / member.name).parent.mkdir(exist_ok=True)
        with content, (folder / member.name).open("wb") as file:
            shutil.copyfileobj(content, file)
    if wanted:
        raise DataError(f"{remote.url}: the archive lacks {', '.join(wanted)}")
