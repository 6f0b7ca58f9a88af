"""A model written for others to use: ONNX, PyTorch or NumPy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from chainrule.errors import ConfigError
from chainrule.exporting import numpy_file, onnx_file, torch_out
from chainrule.runs.files import format_arrays, write, writing
from chainrule.runs.model import Model

Form = Literal["onnx", "torch", "numpy"]


@dataclass(frozen=True)
class Exported:
    """files: what was written. The other fields are those of `Checked`."""

    form: Form
    files: tuple[Path, ...]
    largest_difference: float | None
    n_rows: int
    note: str


def export(model: Model, to: Form, output: Path | str, *, overwrite: bool = False) -> Exported:
    """Write `model` for others at `output`: a file for "onnx", a folder with a `.py` and its arrays for others.

    What is written was first held against the model; where that was not possible, `note` says why.
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
    if output.exists() and not overwrite:
        raise ConfigError(f"{output} exists; name another output, or replace it with --overwrite")
    return _WRITERS[to](model, output)


def default_output(source: Path, to: str) -> Path:
    """In the working directory, named after the run: "digits.onnx", or a folder "digits-torch"."""
    name = source.resolve().name
    if name in ("model", "best"):
        name = source.resolve().parent.name
    return Path(f"{name}.onnx" if to == "onnx" else f"{name}-{to}")


def _onnx(model: Model, output: Path) -> Exported:
    content = onnx_file.to_onnx(model)
    checked = onnx_file.check(model, content)
    _make(output.parent)
    write(output, content)
    return Exported("onnx", (output,), *checked)


def _make(directory: Path) -> None:
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)


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
    _make(folder)
    for name, content in files.items():
        write(folder / name, content)
    return tuple(folder / name for name in files)


_WRITERS: dict[str, Callable[[Model, Path], Exported]] = {"onnx": _onnx, "torch": _torch, "numpy": _numpy}
