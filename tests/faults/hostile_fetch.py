"""Hostile archives that a server offers in place of CIFAR-10's, with the size and the digest that are expected of them."""

import io
import tarfile
from pathlib import Path

from faults.cases import Arguments, collector
from faults.hostile_arrays import gzipped

CASES, case = collector()
MIB = 2**20
MEMBERS = (("set/rows.bin", 10), ("set/names.txt", 100))


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def fetched(root: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Arguments:
    with tarfile.open(root / "archive.tar.gz", "w:gz") as archive:
        for member, content in members:
            member.size = member.size or len(content)
            archive.addfile(member, io.BytesIO(content) if content else None)
    return ["data", "fetch", "cifar10", "--path", root / "fetched"]


NAMES = (entry("set/names.txt"), b"cat")
LACKS = "the archive lacks set/rows.bin"
PLAIN = "set/rows.bin in it is no plain file of at most 10 bytes"


@case("fetch: members with .. and absolute paths", LACKS, members=MEMBERS)
def _(root: Path) -> Arguments:
    paths = ["../canary", "/canary", f"{root}/canary", "set/../../canary", "../set/rows.bin", "./set/rows.bin/../x"]
    return fetched(root, [NAMES, *((entry(path), b"x") for path in paths)])


@case("fetch: a folder that is a link to elsewhere", LACKS, members=MEMBERS)
def _(root: Path) -> Arguments:
    (root / "elsewhere").mkdir()
    return fetched(root, [(entry("set", tarfile.SYMTYPE, str(root / "elsewhere")), b""), NAMES])


@case("fetch: a symbolic link to a secret", PLAIN, members=MEMBERS)
def _(root: Path) -> Arguments:
    return fetched(root, [NAMES, (entry("set/rows.bin", tarfile.SYMTYPE, "/etc/passwd"), b"")])


@case("fetch: a hard link to another member", PLAIN, members=MEMBERS)
def _(root: Path) -> Arguments:
    return fetched(root, [NAMES, (entry("set/rows.bin", tarfile.LNKTYPE, "set/names.txt"), b"")])


@case("fetch: a device", PLAIN, members=MEMBERS)
def _(root: Path) -> Arguments:
    return fetched(root, [NAMES, (entry("set/rows.bin", tarfile.BLKTYPE), b"")])


@case("fetch: a pipe", PLAIN, members=MEMBERS)
def _(root: Path) -> Arguments:
    return fetched(root, [NAMES, (entry("set/rows.bin", tarfile.FIFOTYPE), b"")])


@case("fetch: a member larger than it may be", PLAIN, members=MEMBERS)
def _(root: Path) -> Arguments:
    return fetched(root, [NAMES, (entry("set/rows.bin"), b"x" * 11)])


@case("fetch: a member of 8 GiB that is not wanted", "it leads to byte", members=MEMBERS)
def _(root: Path) -> Arguments:
    return fetched(root, [NAMES, (entry("other", size=2**33), b"")])


@case("fetch: an extended header of a gigabyte", "it asks for more than", members=MEMBERS)
def _(root: Path) -> Arguments:
    head = entry("x", tarfile.XHDTYPE, size=2**30).tobuf(tarfile.GNU_FORMAT)
    (root / "archive.tar.gz").write_bytes(gzipped([head, bytes(MIB)], 1024))
    return ["data", "fetch", "cifar10", "--path", root / "fetched"]


@case("fetch: a name of a gigabyte", "it asks for more than", members=MEMBERS)
def _(root: Path) -> Arguments:
    head = entry("x", tarfile.GNUTYPE_LONGNAME, size=2**30).tobuf(tarfile.GNU_FORMAT)
    (root / "archive.tar.gz").write_bytes(gzipped([head, bytes(MIB)], 1024))
    return ["data", "fetch", "cifar10", "--path", root / "fetched"]


@case("fetch: a hundred thousand members", "the archive has more than 1,000 members", members=MEMBERS)
def _(root: Path) -> Arguments:
    head = entry("x").tobuf(tarfile.GNU_FORMAT)
    (root / "archive.tar.gz").write_bytes(gzipped([b"", head * 1000], 100))
    return ["data", "fetch", "cifar10", "--path", root / "fetched"]


@case("fetch: a zip with a member elsewhere", "archive.tar.gz: ", members=MEMBERS)
def _(root: Path) -> Arguments:
    import zipfile

    with zipfile.ZipFile(root / "archive.tar.gz", "w") as archive:
        archive.writestr("../canary", "x")
    return ["data", "fetch", "cifar10", "--path", root / "fetched"]


@case("fetch: a page of HTML", "archive.tar.gz: ", members=MEMBERS)
def _(root: Path) -> Arguments:
    (root / "archive.tar.gz").write_text("<html><script>alert(1)</script></html>")
    return ["data", "fetch", "cifar10", "--path", root / "fetched"]
