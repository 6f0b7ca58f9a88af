"""Archives for the fuzzer, as a server might send them."""

import gzip
import io
import random
import tarfile
import zlib
from pathlib import Path
from typing import Any

from chainrule.data.readers import download
from chainrule.data.readers.catalogue import Remote
from faults.fuzz_target import Mutate, Target

_MEMBERS = (("set/rows.bin", 10), ("set/names.txt", 100))


def _tar(form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in (
            ("set/rows.bin", b"0123456789"),
            ("other/" * 30 + "x", b"x"),
            ("set/names.txt", b"cat\ndog"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def archive() -> Target:
    """A tar as a server might send it; what lands outside its folder is found by the fuzzer's own folder."""

    def read_one(folder: Path, data: bytes) -> object:
        def sent(remote: Remote, file: Any) -> None:
            file.write(data)

        real, download._download = download._download, sent
        try:
            download.fetch_all([Remote("http://x/a.tar.gz", len(data), "", _MEMBERS)], folder / "in")
        finally:
            download._download = real
        landed = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert landed == {"in/set/rows.bin", "in/set/names.txt"}, landed
        return None

    def repack(data: bytes, mutate: Mutate, draw: random.Random) -> bytes:
        inner = zlib.decompressobj(31).decompress(data, 2**18)
        return gzip.compress(_summed(mutate(inner, len(inner) + 512)), 1)

    seeds = [gzip.compress(_tar(form)) for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)]
    return Target(
        read_one, seeds, (b"../", b"/etc/", b"ustar\x0000", b"path=", b"GNU.sparse.size=", b"linkpath="), repack
    )


def _summed(content: bytes) -> bytes:
    """With the checksum of every header set right."""
    blocks = bytearray(content)
    for place in range(0, len(blocks) - 511, 512):
        if blocks[place + 257 : place + 262] == b"ustar":
            blocks[place + 148 : place + 156] = b" " * 8
            blocks[place + 148 : place + 156] = b"%06o\0 " % sum(blocks[place : place + 512])
    return bytes(blocks)
