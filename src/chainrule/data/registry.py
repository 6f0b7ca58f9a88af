"""Data sets by name or path: `read` tells by what is there which reader to ask, `fetch` gets those that have a name."""

import difflib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from chainrule.data.dataset import Dataset, Origin, Task
from chainrule.data.readers import arrow_files, cifar, csv_files, digits, frames, idx, images, numpy_files
from chainrule.data.readers.catalogue import NAMES as NAMES
from chainrule.data.readers.catalogue import Named
from chainrule.data.readers.files import looked_for
from chainrule.errors import DataError

Read = Callable[..., Dataset]
Options = dict[str, Any]

_OF_TABLES = {"target", "task", "categorical"}

# The suffix of a file: its reader, and the options that make sense for it.
_FILES: dict[str, tuple[Read, set[str]]] = {
    ".csv": (csv_files.read_csv, _OF_TABLES),
    ".tsv": (csv_files.read_csv, _OF_TABLES),
    ".parquet": (arrow_files.read_arrow, _OF_TABLES),
    ".arrow": (arrow_files.read_arrow, _OF_TABLES),
    ".feather": (arrow_files.read_arrow, _OF_TABLES),
    ".npz": (numpy_files.read_npz, {"task"}),
}
_NAMES = {".csv": csv_files.csv_names, ".tsv": csv_files.csv_names, ".parquet": arrow_files.arrow_names,
          ".arrow": arrow_files.arrow_names, ".feather": arrow_files.arrow_names}  # fmt: skip
_DEBIAN = {"fashion-mnist": Path("/usr/share/datasets/fashion-mnist")}


def read(
    source: Any,
    *,
    path: str | Path | None = None,
    target: str | None = None,
    task: Task | None = None,
    image_size: tuple[int, int] | None = None,
    categorical: Sequence[str] = (),
) -> Dataset:
    """The data set called `source`, the one in the file or folder `source`, or the one in a data frame.

    A frame is pandas's, polars's or a table of pyarrow's; `train` cannot name it in a configuration, so that a run
    directory holds its digest alone.
    path: the folder of a named set, instead of the usual places. target: the column of a table to predict, the last one
    unless given. task: what the targets are, if not what they look like. image_size: (h, w) to make all images of a
    folder the same. categorical: columns of a table whose values are names of categories, numbers though they look. An
    option that the source has no use for is refused. Raises a DataError for data that cannot be read or trained on.

    >>> read("digits")
    Dataset('digits': 1,797 rows of 1x8x8 uint8; classification with 10 classes)
    """
    options = {"target": target, "task": task, "image_size": image_size, "categorical": tuple(categorical) or None}
    given = {name: value for name, value in options.items() if value is not None}
    if frames.is_frame(source):
        if path is not None:
            raise DataError(f"{frames.NAME}: path {str(path)!r} has no use for a data frame. Leave it out.")
        _refuse_others(frames.NAME, given, _OF_TABLES)
        return frames.read_frame(source, target, task, categorical)
    source = str(source)
    origin = Origin(source, None if path is None else str(path), target, task, image_size, tuple(categorical))
    try:
        if source in NAMES:
            return replace(_read_named(source, None if path is None else Path(path).expanduser(), given), origin=origin)
        if path is not None:
            raise DataError(f"{source}: path is only for sets with a name: {', '.join(NAMES)}{_near(source)}")
        return replace(_read_path(Path(source).expanduser(), given), origin=origin)
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error}") from error


def useful_options(source: str) -> set[str]:
    """The options of `read` that a file like this has a use for."""
    suffix = Path(source).suffix.lower()
    return _FILES[suffix][1] if suffix in _FILES else set()


def names_in(source: str) -> list[str]:
    """The columns of a file that is a table, the target among them; none of other data."""
    path = Path(source).expanduser()
    return _NAMES[path.suffix.lower()](path) if path.suffix.lower() in _NAMES and source not in NAMES else []


def fetch(name: str, path: str | Path | None = None) -> Path:
    """Download the set called `name`, checked, into `path` or its usual place; the folder in which `read` finds it."""
    from chainrule.data.readers.download import fetch_all  # only here is the network's machinery needed

    if name not in NAMES:
        raise DataError(f"{name}: no data set has this name; known are {', '.join(NAMES)}{_near(name)}")
    named = NAMES[name]
    if not named.remotes:
        raise DataError(f"{name}: needs no fetching; it is installed with scikit-learn.")
    folder = Path(path).expanduser() if path is not None else _usual_places(name)[0]
    try:
        fetch_all(named.remotes, folder)
    except (DataError, OSError) as error:
        by_hand = "".join(f"\n  {remote.url}" for remote in named.remotes)
        unpacked = ", unpacked," if any(remote.members for remote in named.remotes) else ""
        raise DataError(
            f"{name}: could not be fetched, and nothing was kept. {error}.\n"
            f"To do it by hand, get the following and put it{unpacked} into {folder}:{by_hand}"
        ) from error
    return folder


def _usual_places(name: str) -> list[Path]:
    """Where a named set is looked for; the first of them is where it is fetched to."""
    shared = os.environ.get("CHAINRULE_DATA")
    places = [Path(shared).expanduser() / name] if shared else []
    places.append(Path.home() / ".cache" / "chainrule" / "data" / name)
    return places + ([_DEBIAN[name]] if name in _DEBIAN else [])


def _read_named(name: str, path: Path | None, options: Options) -> Dataset:
    if options.get("task") == "classification":
        options = {key: value for key, value in options.items() if key != "task"}
    _refuse_others(name, options, set())
    if name == "digits":
        if path is not None:
            raise DataError(f"digits: is installed with scikit-learn; path {str(path)!r} has no use. Leave it out.")
        return digits.read_digits()
    places = _usual_places(name) if path is None else [path]
    for place in places:
        if (found := _named_reader(name, place)) is not None:
            return _as_promised(found(), NAMES[name], place)
    raise DataError(
        f"{name}: not found. Looked in {', '.join(map(str, places))} for {', '.join(NAMES[name].files)}. "
        f"Get it with `chainrule data fetch {name}`, or give the folder where it is as path."
    )


def _named_reader(name: str, place: Path) -> Callable[[], Dataset] | None:
    for layout in (cifar.CIFAR10, cifar.CIFAR100):
        if layout.name == name:
            return partial(cifar.read_layout, place, layout) if cifar.find(place, layout) else None
    folders = idx.find(place, torchvision=NAMES[name].title.replace("-", ""))
    return partial(idx.read_idx, folders[0], name, NAMES[name].class_names) if folders else None


def _as_promised(data: Dataset, named: Named, place: Path) -> Dataset:
    found = (data.n_rows, data.row_shape, data.n_outputs)
    if found != (named.rows, named.row_shape, named.classes):
        raise DataError(
            f"{place}: holds {found[0]:,} rows of {found[1]} in {found[2]} classes, but {named.title} has "
            f"{named.rows:,} of {named.row_shape} in {named.classes}. To read other data, make its folder the source."
        )
    return data


def _read_path(path: Path, options: Options) -> Dataset:
    if path.is_dir():
        reader, useful = _folder_reader(path)
    elif path.suffix.lower() in _FILES:
        reader, useful = _FILES[path.suffix.lower()]
    elif path.exists():
        raise DataError(
            f"{path}: its suffix {path.suffix!r} is not one that is read: {', '.join(_FILES)}. For other layouts give "
            "the folder; unpack archives first."
        )
    else:
        hint = _near(str(path)) or looked_for(path)
        raise DataError(f"{path}: neither a file or folder nor a known data set: {', '.join(NAMES)}{hint}")
    _refuse_others(str(path), options, useful)
    return reader(path, **options)


def _folder_reader(path: Path) -> tuple[Read, set[str]]:
    found: dict[str, tuple[Read, set[str]]] = {}
    for layout in (cifar.CIFAR10, cifar.CIFAR100):
        if cifar.find(path, layout):
            found[layout.name] = (partial(cifar.read_layout, layout=layout), set())
    for folder in idx.find(path):
        found[f"IDX files in {folder}"] = (lambda _, folder=folder: idx.read_idx(folder), set())
    if numpy_files.find(path):
        found["NumPy arrays"] = (numpy_files.read_npy, {"task"})
    if not found and images.find(path):
        found["images"] = (images.read_images, {"image_size"})
    if len(found) > 1:
        raise DataError(f"{path}: holds {' and '.join(found)}. Give the folder of one of them.")
    if not found:
        raise DataError(
            f"{path}: nothing in it is known. Expected CIFAR-10 or CIFAR-100, IDX files (train-images-idx3-ubyte), "
            "X.npy and y.npy, or a folder of images for each class."
        )
    return next(iter(found.values()))


def _refuse_others(source: str, options: Options, useful: set[str]) -> None:
    for name, value in options.items():
        if name not in useful:
            raise DataError(f"{source}: {name} {value!r} has no use for this data. Leave it out.")


def _near(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), NAMES, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
