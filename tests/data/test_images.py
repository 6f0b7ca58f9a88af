"""Image folders: pixels come back as drawn; damaged, huge, animated and outlying files are refused by name."""

import struct
import subprocess
import sys
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.data import read
from chainrule.errors import DataError

Image = pytest.importorskip("PIL.Image")

RED = np.zeros((2, 3, 3), np.uint8) + np.array([200, 10, 20], np.uint8)
GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)


def draw(path: Path, pixels: np.ndarray = RED, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def refusal(root: Path, **options: object) -> str:
    with pytest.raises(DataError) as error:
        read(str(root), **options)
    return str(error.value)


def test_rgb(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 2, 3, 3), dtype=np.uint8)
    for name, image in zip(["dog/b.png", "dog/a.png", "cat/z.png", "cat/.hidden.png"], pixels, strict=True):
        draw(tmp_path / name, image)
    (tmp_path / ".DS_Store").write_bytes(b"not looked at")
    data = read(str(tmp_path))
    expected = pixels[[2, 1, 0]].transpose(0, 3, 1, 2).reshape(3, 18)
    np.testing.assert_array_equal(data.X, expected)
    assert (data.y.tolist(), data.target_names, data.row_shape, data.n_test) == (
        [0, 1, 1],
        ("cat", "dog"),
        (3, 2, 3),
        0,
    )
    assert (data.X.dtype, data.name, data.X.flags.writeable) == (np.uint8, tmp_path.name, True)


def test_train_and_test(tmp_path: Path) -> None:
    for i, name in enumerate(["train/a/1.png", "train/b/1.png", "train/c/1.png", "test/a/1.png", "test/c/1.png"]):
        draw(tmp_path / name, GREY + i)
    data = read(str(tmp_path))
    assert (data.n_test, data.y.tolist(), data.row_shape) == (2, [0, 1, 2, 0, 2], (1, 2, 3))
    assert data.X[:, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tiff", ".webp", ".gif"])
def test_lossless_formats(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == ".webp" else {}
    draw(tmp_path / f"a/1{suffix}", **options)
    draw(tmp_path / f"b/1{suffix}", **options)
    data = read(str(tmp_path))
    assert (data.row_shape, data.X[0].tolist()) == ((3, 2, 3), [200] * 6 + [10] * 6 + [20] * 6)


def test_resized(tmp_path: Path) -> None:
    draw(tmp_path / "a/1.png", RED)
    draw(tmp_path / "b/1.jpg", np.full((9, 7), 77, np.uint8))
    data = read(str(tmp_path), image_size=(4, 5))
    assert data.row_shape == (3, 4, 5)
    assert data.X[0].tolist() == [200] * 20 + [10] * 20 + [20] * 20
    np.testing.assert_allclose(data.X[1].astype(int), 77, atol=1)
    expected = Image.fromarray(RED).resize((5, 4), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(data.X[0], np.asarray(expected).transpose(2, 0, 1).ravel())


@pytest.mark.parametrize("size", [(0, 4), (-1, 4), (10**5, 10**5)])
def test_impossible_size(tmp_path: Path, size: tuple[int, int]) -> None:
    draw(tmp_path / "a/1.png")
    assert refusal(tmp_path, image_size=size) == (
        f"{tmp_path}: image_size is {size}; expected (h, w) of at least 1 and 33,554,432 pixels."
    )


def test_sizes_and_modes_differ(tmp_path: Path) -> None:
    first = draw(tmp_path / "a/1.png")
    other = draw(tmp_path / "b/1.png", RED[:1])
    assert refusal(tmp_path) == (
        f"{other}: is RGB of 1x3 but {first} is RGB of 2x3; all images must be alike. "
        "Give image_size=(h, w) to have them resized."
    )
    draw(other, GREY)
    assert f"{other}: is L of 2x3 but {first} is RGB of 2x3" in refusal(tmp_path)


def test_other_modes(tmp_path: Path) -> None:
    draw(tmp_path / "a/1.png")
    other = draw(tmp_path / "b/1.png", np.zeros((2, 3, 4), np.uint8))
    assert refusal(tmp_path) == f"{other}: has mode RGBA; expected RGB or L (grey). Convert it."
    Image.fromarray(RED).quantize().save(other, transparency=0)
    assert refusal(tmp_path) == f"{other}: has mode P; expected RGB or L (grey). Convert it."


@pytest.mark.parametrize("content", [
    b"", b"GIF89a", b"not an image", b"\x89PNG\r\n\x1a\n" + bytes(20),
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    b"cposix\nsystem\n(S'touch canary'\ntR.", b"%PDF-1.4",
])  # fmt: skip
def test_what_is_no_image(tmp_path: Path, content: bytes) -> None:
    draw(tmp_path / "a/1.png")
    other = tmp_path / "b/1.png"
    other.parent.mkdir()
    other.write_bytes(content)
    message = refusal(tmp_path)
    assert message.startswith(f"{other}: cannot be read as an image: ")
    assert message.endswith("Replace or remove it.")


def test_truncated(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    draw(tmp_path / "a/1.jpg", noise)
    other = draw(tmp_path / "b/1.jpg", noise)
    other.write_bytes(other.read_bytes()[:-500])
    assert refusal(tmp_path).startswith(f"{other}: cannot be read as an image: image file is truncated")


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tiff"])
def test_animated(tmp_path: Path, suffix: str) -> None:
    draw(tmp_path / "a/1.png")
    frames = [Image.fromarray(RED + np.uint8(20 * i)) for i in range(3)]
    other = tmp_path / f"b/1{suffix}"
    other.parent.mkdir()
    frames[0].save(other, save_all=True, append_images=frames[1:])
    assert refusal(tmp_path) == f"{other}: has several frames. Keep one of them."


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("size", "message"), [
    (9_000, "9,000x9,000 pixels; expected at most 33,554,432. Make it smaller."),
    (12_000, "cannot be read as an image: Image size (144000000 pixels) exceeds limit"),
    (65_000, "cannot be read as an image: Image size (4225000000 pixels) exceeds limit"),
])  # fmt: skip
def test_huge(tmp_path: Path, size: int, message: str) -> None:
    draw(tmp_path / "a/1.png")
    other = tmp_path / "b/1.png"
    other.parent.mkdir()
    other.write_bytes(png(size, size))
    tracemalloc.start()
    try:
        assert refusal(tmp_path, image_size=(8, 8)).startswith(f"{other}: {message}")
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def test_many_large_images_of_nothing(tmp_path: Path) -> None:
    for i in range(6):
        file = tmp_path / f"{'ab'[i % 2]}/{i}.png"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(png(4_000, 4_000))
    assert refusal(tmp_path).endswith("If the data is yours, give a smaller image_size.")


def test_links_out_of_the_folder(tmp_path: Path) -> None:
    outside = draw(tmp_path / "outside" / "secret.png")
    root = tmp_path / "root"
    draw(root / "a/1.png")
    draw(root / "b/1.png")
    link = root / "b/2.png"
    link.symlink_to(outside)
    assert refusal(root) == f"{link}: leads out of {root}. Copy the image into the folder."
    link.unlink()
    (root / "c").symlink_to(outside.parent)
    assert refusal(root) == f"{root}/c/secret.png: leads out of {root}. Copy the image into the folder."


def test_links_within_the_folder_and_of_the_folder(tmp_path: Path) -> None:
    first = draw(tmp_path / "root/a/1.png")
    draw(tmp_path / "root/b/1.png")
    (tmp_path / "root/b/2.png").symlink_to(first)
    (tmp_path / "link").symlink_to(tmp_path / "root")
    assert read(str(tmp_path / "link")).n_rows == 3


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    draw(tmp_path / "a/1.png")
    loop = tmp_path / "a/2.png"
    loop.symlink_to(loop)
    assert refusal(tmp_path).startswith(f"{loop}: this link leads nowhere")
    loop.unlink()
    loop.symlink_to(tmp_path / "missing")
    assert refusal(tmp_path).startswith(f"{loop}: this link leads nowhere")


def test_wrong_layouts(tmp_path: Path) -> None:
    draw(tmp_path / "one/a/1.png")
    (tmp_path / "one/b").mkdir()
    assert refusal(tmp_path / "one") == (
        f"{tmp_path}/one/b: no images for the class 'b'. Add some, or remove the folder."
    )
    draw(tmp_path / "two/train/a/1.png")
    draw(tmp_path / "two/test/b/1.png")
    assert refusal(tmp_path / "two") == f"{tmp_path}/two/test/b: there is no class 'b' in {tmp_path}/two/train."
    draw(tmp_path / "two/val/a/1.png")
    assert refusal(tmp_path / "two") == (
        f"{tmp_path}/two/val: lies beside train and test, but is neither. Move it elsewhere."
    )
    draw(tmp_path / "three/a/b/1.png")
    assert refusal(tmp_path / "three").startswith(f"{tmp_path}/three/a/b: cannot be read as an image: ")


def test_without_pillow(tmp_path: Path) -> None:
    file = draw(tmp_path / "a/1.png")
    script = (
        "import sys; sys.modules['PIL'] = None\n"
        "from chainrule.data import read\n"
        f"try: read({str(tmp_path)!r})\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out == f"DataError {file}: reading images needs Pillow: pip install 'chainrule[images]'\n"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([".png", ".jpg", ".gif", ".bmp", ".tiff", ".webp", ".ppm"]),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), min_size=1, max_size=4),
    st.booleans(),
)
def test_damaged_images_are_read_or_refused(
    tmp_path: Path, suffix: str, changes: list[tuple[int, int]], cut: bool
) -> None:
    for name in "ab":
        for old in (tmp_path / name).glob("*"):
            old.unlink()
        file = draw(tmp_path / name / f"1{suffix}", GREY)
    content = bytearray(file.read_bytes())
    for place, value in changes:
        content[place % len(content)] = value
    file.write_bytes(content[: changes[0][0] % len(content)] if cut else content)
    with suppress(DataError):
        read(str(tmp_path), image_size=(2, 2))
