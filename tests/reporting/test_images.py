"""Images as tiles and PNG files."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.reporting.blocks import Tile
from chainrule.reporting.images import as_image, data_uri, is_image, png, scaled, signed, tile

Image = pytest.importorskip("PIL.Image", reason="no Pillow to read the PNG files with: pip install pillow")


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]), st.integers(0, 2**32 - 1))
def test_a_png_file_holds_the_pixels(width, height, channels, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    read = Image.open(BytesIO(png(Tile(width, height, channels, pixels.tobytes()))))
    assert read.mode == ("L" if channels == 1 else "RGB")
    assert np.array_equal(np.asarray(read).reshape(pixels.shape), pixels)


def test_rows_become_images():
    assert is_image((8, 8))
    assert is_image((3, 32, 32))
    assert not is_image((5,))
    assert not is_image((4, 8, 8))
    assert not is_image((2, 100))
    row = np.arange(48)
    image = as_image(row, (3, 4, 4))
    assert image.shape == (4, 4, 3)
    assert image[1, 2].tolist() == [6, 22, 38]
    large = as_image(np.repeat(np.arange(100), 100), (100, 100))  # each row of pixels its own number
    assert large.shape == (33, 33, 1)
    assert large[0, 0, 0] == 1.0  # the mean of 0, 1, 2


def test_scales():
    assert scaled(np.array([2.0, 6.0]), 2.0, 10.0).tolist() == [0.0, 0.5]
    assert signed(np.array([-2.0, 0.0, 1.0])).tolist() == [0.0, 0.5, 0.75]
    assert signed(np.zeros(2)).tolist() == [0.5, 0.5]
    made = tile(np.array([[[0.0], [1.0]], [[0.5], [2.0]]]), "words")
    assert (made.width, made.height, list(made.pixels)) == (2, 2, [0, 255, 128, 255])
    assert data_uri(made).startswith("data:image/png;base64,iVBOR")
