"""Folders of images, one folder a class, read with Pillow."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.dataset import Dataset
from chainrule.data.readers.files import refuse_bomb
from chainrule.errors import DataError

if TYPE_CHECKING:
    from PIL import Image as Pillow

Size = tuple[int, int]
Files = list[tuple[Path, str]]

_MOST_PIXELS = 2**25  # of four bytes each while Pillow has them
# No format that runs another program (EPS) or holds documents.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_CHANNELS = {"L": 1, "RGB": 3}


def find(root: Path) -> bool:
    """Whether the folder holds folders with files in them."""
    return any(file.is_file() for folder in _folders(root) for depth in ("*", "*/*") for file in folder.glob(depth))


def read_images(root: Path, image_size: Size | None = None) -> Dataset:
    """The images in `root/<class>/` or `root/{train,test}/<class>/` as uint8 rows, channel by channel, test rows last.

    All must have the same size, and be all RGB or all grey. With `image_size=(h, w)` they are resized (bilinear), and
    grey ones among RGB are made RGB. Classes, and files within a class, are in the order of their names.
    """
    if image_size is not None and not (min(image_size) >= 1 and image_size[0] * image_size[1] <= _MOST_PIXELS):
        raise DataError(
            f"{root}: image_size is {image_size}; expected (h, w) of at least 1 and {_MOST_PIXELS:,} pixels."
        )
    files, n_test = _listed(root)
    classes = sorted({name for _, name in files})
    shape = _common_shape(files, image_size)
    n_bytes = len(files) * int(np.prod(shape))
    refuse_bomb(root, sum(file.stat().st_size for file, _ in files), n_bytes, instead="give a smaller image_size")
    X = np.empty((len(files), *shape), np.uint8)
    for row, (file, _) in zip(X, files, strict=True):
        row[...] = _pixels(file, shape)
    return Dataset(
        name=root.resolve().name,
        X=X.reshape(len(files), -1),
        y=np.array([classes.index(name) for _, name in files], np.int64),
        task="classification",
        target_names=tuple(classes),
        row_shape=shape,
        n_test=n_test,
    )


def _listed(root: Path) -> tuple[Files, int]:
    folders = {folder.name: folder for folder in _folders(root)}
    if not {"train", "test"} <= set(folders):
        return _classes(root, root), 0
    if len(folders) > 2:
        other = sorted(set(folders) - {"train", "test"})[0]
        raise DataError(f"{root / other}: lies beside train and test, but is neither. Move it elsewhere.")
    train, test = _classes(root, folders["train"]), _classes(root, folders["test"])
    unknown = sorted({name for _, name in test} - {name for _, name in train})
    if unknown:
        raise DataError(f"{root / 'test' / unknown[0]}: there is no class {unknown[0]!r} in {root / 'train'}.")
    return train + test, len(test)


def _classes(root: Path, split: Path) -> Files:
    files = []
    for folder in _folders(split):
        if not folder.name.isascii() and folder.name.encode(errors="replace").decode() != folder.name:
            raise DataError(f"{folder}: the name of this folder is not UTF-8, as that of a class must be. Rename it.")
        inside = [file for file in _visible(folder) if _within(root, file)]
        for file in inside:
            if not file.is_file():  # to open a pipe would be to wait for it
                raise DataError(f"{file}: cannot be read as an image: it is no file. Remove it.")
        if not inside:
            raise DataError(f"{folder}: no images for the class {folder.name!r}. Add some, or remove the folder.")
        files += [(file, folder.name) for file in inside]
    if not files:
        raise DataError(f"{split}: no folders with images; expected one folder for each class.")
    return files


def _folders(root: Path) -> list[Path]:
    return [entry for entry in _visible(root) if entry.is_dir()]


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _within(root: Path, file: Path) -> bool:
    try:
        inside = file.resolve(strict=True).is_relative_to(root.resolve())
    except (OSError, RuntimeError) as error:
        raise DataError(f"{file}: this link leads nowhere: {error}. Remove it.") from error
    if not inside:
        raise DataError(f"{file}: leads out of {root}. Copy the image into the folder.")
    return True


def _common_shape(files: Files, image_size: Size | None) -> tuple[int, int, int]:
    shapes: dict[tuple[str, Size], Path] = {}
    for file, _ in files:
        with _image(file) as image:
            shapes.setdefault((_mode(image), (image.height, image.width)), file)
    channels = max(_CHANNELS[mode] for mode, _ in shapes)
    if image_size is not None:
        return (channels, *image_size)
    if len(shapes) > 1:
        (first, a), (second, b) = list(shapes.items())[:2]
        raise DataError(
            f"{b}: is {_described(*second)} but {a} is {_described(*first)}; all images must be alike. "
            "Give image_size=(h, w) to have them resized."
        )
    [(_, size)] = shapes
    return (channels, *size)


def _described(mode: str, size: Size) -> str:
    return f"{mode} of {size[0]}x{size[1]}"


def _pixels(file: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    from PIL import Image

    with _image(file) as image:
        mode = "RGB" if shape[0] == 3 else "L"
        pixels: Any = image if image.mode == mode else image.convert(mode)
        if pixels.size != shape[:0:-1]:
            pixels = pixels.resize(shape[:0:-1], Image.Resampling.BILINEAR)
        return np.asarray(pixels, np.uint8).reshape(*shape[1:], shape[0]).transpose(2, 0, 1)


@contextmanager
def _image(file: Path) -> Iterator["Pillow.Image"]:
    """One image, still undecoded; damaged ones and those that `_check` does not like are refused."""
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise DataError(f"{file}: reading images needs Pillow: pip install 'chainrule[images]'") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=_FORMATS) as image:
                _check(file, image)
                yield image
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders meet damage with whatever it happens to cause
        raise DataError(f"{file}: cannot be read as an image: {error}. Replace or remove it.") from error


def _check(file: Path, image: "Pillow.Image") -> None:
    if image.width * image.height > _MOST_PIXELS:
        raise DataError(
            f"{file}: {image.width:,}x{image.height:,} pixels; expected at most {_MOST_PIXELS:,}. Make it smaller."
        )
    refuse_bomb(file, file.stat().st_size, 4 * image.width * image.height, instead="make the image smaller")
    if getattr(image, "is_animated", False):
        raise DataError(f"{file}: has several frames. Keep one of them.")
    if _mode(image) not in _CHANNELS:
        raise DataError(f"{file}: has mode {image.mode}; expected RGB or L (grey). Convert it.")


def _mode(image: "Pillow.Image") -> str:
    """What an image is once decoded: palettes are colours, unless one of them is transparent."""
    return "RGB" if image.mode == "P" and "transparency" not in image.info else image.mode
