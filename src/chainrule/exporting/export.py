"""A model written for others to use: ONNX, PyTorch or NumPy."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from chainrule.errors import ConfigError
from chainrule.exporting import numpy_file, onnx_file, torch_out
from chainrule.runs.directory import make
from chainrule.runs.files import format_arrays, write, writing
from chainrule.runs.model import Model

Form = Literal["onnx", "torch", "numpy"]


_FOLDER = {numpy_file.SCRIPT, numpy_file.WEIGHTS, torch_out.SCRIPT, torch_out.WEIGHTS}
_CACHE = "__pycache__"
"""What Python leaves beside a script that was imported."""


@dataclass(frozen=True)
class Exported:
    """files: what was written. largest_difference: of its outputs from the model's on n_rows rows, or None where none
    was compared. note: why, or how much.
    """

    form: Form
    files: tuple[Path, ...]
    largest_difference: float | None
    n_rows: int
    note: str


def export(model: Model, to: Form, output: Path | str, *, overwrite: bool = False) -> Exported:
    """Write `model` for others at `output`: a file for "onnx", a folder with a `.py` and its arrays for others.

    What is written was first held against the model; where that was not possible, `note` says why.
    overwrite: replace the file, or the folder if it holds nothing but what exports wrote, of either form.
    Raises a ConfigError for an unknown form, own layers, a package that is missing and an output that is there, and a
    ChainruleError where what was made differs from the model.

    >>> from tempfile import mkdtemp
    >>> from chainrule import mlp, read, train
    >>> model = train(mlp([16]), read("digits")).model
    >>> [path.name for path in export(model, "numpy", Path(mkdtemp()) / "digits").files]
    ['predict.py', 'model.npz']
    """
    if to not in get_args(Form):
        raise ConfigError(f"export to {to!r} is not known; expected one of {', '.join(get_args(Form))}")
    output = Path(output)
    if output.exists():
        if not overwrite:
            raise ConfigError(f"{output} exists; name another output, or replace it with --overwrite")
        _check_own(output, to)
    return _WRITERS[to](model, output)


def _check_own(output: Path, to: Form) -> None:
    """Raise a ConfigError where replacing `output` would take away more than an export."""
    if to == "onnx" and output.is_dir():
        raise ConfigError(f"{output} is a folder, and ONNX is one file; name a file")
    if to != "onnx":
        if not output.is_dir():
            raise ConfigError(f"{output} is a file, and {to} is a folder of two; name a folder")
        others = {path.name for path in output.iterdir()} - {*_FOLDER, _CACHE}
        if others:
            raise ConfigError(f"{output} holds files that no export wrote, such as {min(others)}; name another folder")


def default_output(source: Path, to: str) -> Path:
    """In the working directory, named after the run: "digits.onnx", or a folder "digits-torch"."""
    name = source.resolve().name
    if name in ("model", "best"):
        name = source.resolve().parent.name
    return Path(f"{name}.onnx" if to == "onnx" else f"{name}-{to}")


def _onnx(model: Model, output: Path) -> Exported:
    content = onnx_file.to_onnx(model)
    checked = onnx_file.check(model, content)
    make(output.parent)
    write(output, content)
    return Exported("onnx", (output,), *checked)


def _numpy(model: Model, output: Path) -> Exported:
    text, arrays = numpy_file.script(model), numpy_file.arrays_file(model)
    checked = numpy_file.check(model, text, arrays)
    files = _write_all(output, {numpy_file.SCRIPT: text.encode(), numpy_file.WEIGHTS: arrays})
    return Exported("numpy", files, *checked)


def _torch(model: Model, output: Path) -> Exported:
    text = torch_out.script(model)
    arrays = format_arrays(torch_out.state(model, True, torch_out.parameter_dtype(model)))
    checked = torch_out.check(model, text, arrays)
    files = _write_all(output, {torch_out.SCRIPT: text.encode(), torch_out.WEIGHTS: arrays})
    return Exported("torch", files, *checked)


def _write_all(folder: Path, files: Mapping[str, bytes]) -> tuple[Path, ...]:
    """The files in `folder`; those of an export that was there before, of whichever form, go."""
    make(folder)
    for name, content in files.items():
        write(folder / name, content)
    with writing(folder):
        for name in _FOLDER - files.keys():
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / _CACHE, ignore_errors=True)  # of scripts that were there
    return tuple(folder / name for name in files)


_WRITERS: dict[str, Callable[[Model, Path], Exported]] = {"onnx": _onnx, "torch": _torch, "numpy": _numpy}
