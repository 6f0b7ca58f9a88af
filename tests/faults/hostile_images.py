"""Hostile folders of images."""

import io
import os
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from faults.cases import Arguments, Touches, collector, info

CASES, case = collector()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes, colour: int = 0, pixels: bytes = b"") -> bytes:
    """A PNG that says it has this size; `colour` 0 is grey, 2 RGB, 3 a palette."""
    size = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    chunks = (chunk(b"IHDR", size), *more, chunk(b"IDAT", zlib.compress(pixels or bytes(10**6))), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def flat(width: int, height: int, colour: int = 0) -> bytes:
    """A whole PNG of zeros, made a row at a time."""
    packer = zlib.compressobj(9)
    row = bytes(1 + width * (3 if colour == 2 else 1))
    packed = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    size = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(9))) if colour == 3 else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + palette + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def small(kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(out, kind)
    return out.getvalue()


def images(root: Path, hostile: bytes, name: str = "1.png", resized: bool = False) -> Arguments:
    """Resized ones are read in a training that is refused once it has them, for a split that no data could have."""
    folder = root / "images"
    for part in "ab":
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "a" / "0.png").write_bytes(small())
    (folder / "b" / name).write_bytes(hostile)
    if not resized:
        return info(folder)
    options = ["--set", "data.image_size=[8,8]", "--set", "data.split.validation=2000"]
    return ["train", "--data", folder, *options, "-o", root / "run"]


@case("images: a PNG of 65,000 x 65,000", "exceeds limit")
def _(root: Path) -> Arguments:
    return images(root, png(65_000, 65_000), resized=True)


@case("images: a PNG of 2^31 x 2^31", "cannot be read as an image")
def _(root: Path) -> Arguments:
    return images(root, png(2**31 - 1, 2**31 - 1))


@case("images: a whole RGB bomb below every limit of Pillow", "would unpack to")
def _(root: Path) -> Arguments:
    return images(root, flat(5_700, 5_700, 2), resized=True)


@case("images: a bomb of a palette", "would unpack to")
def _(root: Path) -> Arguments:
    return images(root, flat(5_700, 5_700, 3), resized=True)


@case("images: a padded bomb of more pixels than allowed", "expected at most 33,554,432")
def _(root: Path) -> Arguments:
    return images(root, flat(8_000, 8_000, 2) + bytes(2**22), resized=True)


@case("images: a padded bomb of as many pixels as allowed, then made small", "split.validation asks for")
def _(root: Path) -> Arguments:
    return images(root, flat(5_792, 5_792, 2) + bytes(2**21), resized=True)


@case("images: a grey JPEG of which a few bytes are left", "cannot be read as an image")
def _(root: Path) -> Arguments:
    return images(root, small("JPEG")[:-40], "1.jpg")


@case("images: a JPEG whose header says 60,000 x 500", "would unpack to")
def _(root: Path) -> Arguments:
    content = bytearray(small("JPEG"))
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", 60_000, 500)
    return images(root, bytes(content), "1.jpg", resized=True)


@case("images: a GIF of 60,000 x 60,000", "exceeds limit")
def _(root: Path) -> Arguments:
    content = bytearray(small("GIF"))
    content[6:10] = struct.pack("<HH", 60_000, 60_000)
    return images(root, bytes(content), "1.gif")


@case("images: a TIFF of one strip of 4 GiB", "cannot be read as an image")
def _(root: Path) -> Arguments:
    content = bytearray(small("TIFF"))
    for tag in (257, 278):  # height and rows of a strip
        place = content.index(struct.pack("<HHI", tag, 4, 1)) if struct.pack("<HHI", tag, 4, 1) in content else 0
        place = place or content.index(struct.pack("<HHI", tag, 3, 1))
        content[place : place + 12] = struct.pack("<HHII", tag, 4, 1, 2**21)
    return images(root, bytes(content), "1.tiff", resized=True)


@case("images: an animation of ten thousand frames", "has several frames")
def _(root: Path) -> Arguments:
    content = small("GIF")
    start = content.index(b",")
    return images(root, content[:start] + content[start:-1] * 10_000 + b";", "1.gif")


@case("images: a text chunk that unpacks to 500 MB", "cannot be read as an image")
def _(root: Path) -> Arguments:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(500 * 10**6), 1))
    return images(root, png(8, 8, text, pixels=bytes(72)))


@case("images: PostScript under the name of a PNG", "cannot be read as an image")
def _(root: Path) -> Arguments:
    return images(root, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(canary) (w) file\n")


@case("images: a pickle under the name of a PNG", "cannot be read as an image")
def _(root: Path) -> Arguments:
    return images(root, pickle.dumps(Touches()))


@case("images: an SVG with a link to a file", "cannot be read as an image")
def _(root: Path) -> Arguments:
    return images(root, b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', "1.svg")


@case("images: a PNG that is a zip with a pickle as well", code=0)
def _(root: Path) -> Arguments:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("__main__.py", "open('canary', 'w').close()")
        archive.writestr("data.pkl", pickle.dumps(Touches()))
    return images(root, small() + out.getvalue())


@case("images: a class whose name is no text", "is not UTF-8")
def _(root: Path) -> Arguments:
    arguments = images(root, small())
    (root / "images" / os.fsdecode(b"c\xff")).mkdir()
    return arguments


@case("images: a link to a secret", "leads out of")
def _(root: Path) -> Arguments:
    (root / "secret.png").write_bytes(small())
    arguments = images(root, small())
    (root / "images" / "b" / "2.png").symlink_to(root / "secret.png")
    return arguments


@case("images: a link to an endless file", "leads out of")
def _(root: Path) -> Arguments:
    arguments = images(root, small())
    (root / "images" / "b" / "2.png").symlink_to("/dev/zero")
    return arguments


@case("images: a link that leads to itself", "this link leads nowhere")
def _(root: Path) -> Arguments:
    arguments = images(root, small())
    (root / "images" / "b" / "2.png").symlink_to("2.png")
    return arguments


@case("images: a pipe", "it is no file")
def _(root: Path) -> Arguments:
    arguments = images(root, small())
    os.mkfifo(root / "images" / "b" / "2.png")
    return arguments
