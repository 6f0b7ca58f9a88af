"""Images as bytes: rows of a data set and columns of a weight matrix as tiles, and PNG files of them."""

import zlib
from base64 import b64encode
from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.reporting.blocks import Tile

LARGEST = 48
"""Pixels of a side; larger images are averaged down to it."""


def is_image(shape: tuple[int, ...]) -> bool:
    """Whether rows of this shape can be seen: (H, W), (1, H, W) or (3, H, W), of at least 4 by 4."""
    return (len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3))) and min(shape[-2:]) >= 4


def as_image(row: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A flat row as (H, W, channels), averaged over squares so that no side is longer than LARGEST."""
    image = row.astype(np.float64).reshape(-1, *shape[-2:])  # (channels, H, W)
    n = -(-max(shape[-2:]) // LARGEST)
    if n > 1:
        h, w = (side // n * n for side in shape[-2:])
        parts = image[:, :h, :w].reshape(len(image), h // n, n, w // n, n)  # (channels, H / n, n, W / n, n)
        image = parts.mean(axis=(2, 4))
    return np.moveaxis(image, 0, -1)


def tile(image: NDArray[np.float64], words: str = "", caption: str = "") -> Tile:
    """An image (H, W, channels) of numbers from 0 to 1."""
    h, w, channels = image.shape
    return Tile(w, h, channels, np.round(np.clip(image, 0, 1) * 255).astype(np.uint8).tobytes(), words, caption)


def scaled(image: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """From [low, high] to [0, 1]."""
    return (image - low) / (high - low if high > low else 1.0)


def signed(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zero to the middle grey, the largest size to black or white."""
    largest = float(np.abs(image).max())
    return 0.5 + 0.5 * image / (largest if largest > 0 else 1.0)


def png(one: Tile) -> bytes:
    """The tile as a PNG file (ISO 15948): 8 bits, grey or RGB, filtered by the row above, compressed once."""
    rows = np.frombuffer(one.pixels, np.uint8).reshape(one.height, one.width * one.channels)
    above = np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    filtered = np.hstack([np.full((one.height, 1), 2, np.uint8), rows - above])  # 2: Up, modulo 256
    head = pack(">IIBBBBB", one.width, one.height, 8, 0 if one.channels == 1 else 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(filtered.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return pack(">I", len(content)) + name + content + pack(">I", zlib.crc32(name + content))


def data_uri(one: Tile) -> str:
    """The tile as text that an <img> can hold."""
    return f"data:image/png;base64,{b64encode(png(one)).decode()}"
