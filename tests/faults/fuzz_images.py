"""Images for the fuzzer."""

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np

from chainrule.data import read
from faults.fuzz_target import Mutate, Target


def images() -> Target:
    from PIL import Image

    sound = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    seeds = []
    for image in (sound, sound.convert("RGB"), sound.convert("P"), sound.convert("RGB").quantize(4)):
        for kind, options in (
            *(("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("GIF", {}), ("BMP", {}), ("PPM", {})),
            *(("WEBP", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})),
            *(("TIFF", {"compression": "packbits"}), ("TIFF", {"compression": "jpeg"})),
        ):
            out = io.BytesIO()
            try:
                image.save(out, kind, **options)
            except (OSError, ValueError):
                continue  # a format without this mode
            seeds.append(out.getvalue())
    first = io.BytesIO()
    sound.save(first, "PNG")

    def read_one(folder: Path, data: bytes) -> object:
        for name, content in (("a/0.png", first.getvalue()), ("b/1.png", data)):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
        return read(str(folder), image_size=(8, 8)).digest

    words = (b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"iCCP", b"acTL", b"\xff\xd8", b"\xff\xc0", b"\xff\xda", b"GIF89a",
             b"RIFF", b"WEBP", b"VP8X", b"II*\0", b"MM\0*", b"P6")  # fmt: skip
    return Target(read_one, seeds, words, _repng)


def _repng(data: bytes, mutate: Mutate, draw: random.Random) -> bytes:
    """A chunk of a PNG changed under a sound checksum."""
    if not data.startswith(b"\x89PNG"):
        return mutate(data, len(data) + 64)
    chunks, place = [], 8
    while place + 8 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    i = draw.randrange(len(chunks))
    kind, content = chunks[i]
    if kind == b"IDAT" and draw.random() < 0.5:
        content = zlib.compress(mutate(zlib.decompressobj().decompress(content, 2**16), 2**16))
    else:
        content = mutate(content, len(content) + 64)
    chunks[i] = (kind, content)
    if draw.random() < 0.2:
        chunks.insert(i, draw.choice(chunks))
    return data[:8] + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
