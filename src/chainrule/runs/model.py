"""A trained model: all that predicting needs, in memory and in a directory."""

from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from chainrule.backends import COMPUTE, EVALUATION_BLOCK, Compute, choose, derived
from chainrule.data import Preparation, Preprocessing
from chainrule.data.dataset import Task
from chainrule.data.preprocessing import Affine
from chainrule.errors import ConfigError, DamagedError, DataError
from chainrule.layers import AnyLayer
from chainrule.losses import AnyLoss, Loss
from chainrule.network import Network
from chainrule.runs.directory import CONFIG, MODEL, plain
from chainrule.runs.files import format_arrays, format_json, parse_arrays, parse_json
from chainrule.runs.named import nothing_at, unfinished
from chainrule.runs.preparation_file import PreparationFile, plain_preparation, read_preparation
from chainrule.runs.rows import rows_for
from chainrule.runs.sealed import MANIFEST, read_sealed, write_sealed
from chainrule.spec import List, expect, from_plain, spec
from chainrule.training.evaluate import logits

FORMAT = 1
_MODEL, _WEIGHTS, CARD = "model.json", "weights.safetensors", "README.md"


@spec
class ModelFile:
    """What `model.json` holds."""

    layers: List[AnyLayer]
    n_in: Annotated[int, Field(gt=0)]
    loss: AnyLoss
    task: Task
    target_names: List[str]
    feature_names: List[str]
    row_shape: List[int]
    constant: List[int]
    preparation: PreparationFile | None = None
    format: int = FORMAT


@dataclass(frozen=True, eq=False)
class Model:
    """A network with its parameters, the fitted preprocessing, and what its outputs are called.

    parameters: name -> array in the precision of the training, running statistics among them. preprocessing: of raw
    rows. target: of a regression's numbers. row_shape: of one row before flattening, as the data had it.

    >>> from chainrule import mlp, read, train
    >>> data = read("digits")
    >>> model = train(mlp([16]), data).model
    >>> model.predict(data.X[:5]).shape, model.scores(data.X[:5]).shape
    ((5,), (5, 10))
    """

    network: Network
    parameters: dict[str, NDArray[Any]]
    loss: Loss
    task: Task
    preprocessing: Preprocessing
    target: Affine
    target_names: tuple[str, ...]
    feature_names: tuple[str, ...] = ()
    row_shape: tuple[int, ...] = ()

    def scores(self, X: Any, compute: Compute = Compute()) -> NDArray[np.float64]:  # noqa: B008
        """Probabilities of the classes or labels, or the predicted numbers in their own units, (n_rows, n_out).

        Rows are taken, and refused, as by `logits`.
        """
        scores: NDArray[np.float64] = self.loss.predict(self.logits(X, compute), np)
        return self.target.back(scores) if self.task == "regression" else scores

    def logits(self, X: Any, compute: Compute = Compute()) -> NDArray[np.float64]:  # noqa: B008
        """Logits of raw rows X, (n_rows, n_out): an array, a data frame, a `Table` or a `Dataset`.

        Columns of frames, and of all tables of a model that takes words or gaps, are found by their names.
        Raises a DataError for other columns, for rows that are of another shape, and where an output is not finite.
        """
        expect("compute", compute, isinstance(compute, Compute), COMPUTE)
        table = rows_for(self.preprocessing, self.feature_names, X, self.row_shape)
        if compute.precision == "auto" and all(array.dtype == np.float64 for array in self.parameters.values()):
            compute = replace(compute, precision="float64")
        backend = choose(compute, self.network.flops_per_row * EVALUATION_BLOCK, derived=self._derived)
        with backend.scope():
            parameters = backend.parameters(self.parameters)
            prepared = backend.array(self.preprocessing.on_host(table, backend.host_dtype))
            rows = np.arange(len(table))
            z = logits(self.network, self.loss, parameters, self.preprocessing, backend, prepared, rows)
        if not np.isfinite(z).all():
            row = int(np.argmin(np.isfinite(z).all(axis=1)))
            raise DataError(
                f"row {table.first + row} gives outputs that are not finite; its values, {np.nanmin(table.X[row]):.3g} "
                f"to {np.nanmax(table.X[row]):.3g}, are too far from those of the training. Check its units."
            )
        return z

    @cached_property
    def _derived(self) -> tuple[str, ...]:
        return derived(self.network.layers, self.network.widths[0])

    def predict(self, X: Any, compute: Compute = Compute()) -> NDArray[Any]:  # noqa: B008
        """Class names (n_rows,), labels 0 or 1 (n_rows, n_out), or numbers (n_rows,) or (n_rows, n_out).

        Rows are taken, and refused, as by `logits`.
        """
        scores = self.scores(X, compute)
        if self.task == "classification":
            names: NDArray[Any] = np.array(self.target_names)[scores.argmax(axis=1)]
            return names
        if self.task == "multilabel":
            return np.asarray(scores >= 0.5, dtype=np.int64)
        return scores.reshape(-1) if scores.shape[1] == 1 else scores

    @property
    def columns_of_words(self) -> tuple[str, ...] | None:
        """Names of the columns in which the model takes words; None where it takes neither words nor gaps."""
        if not isinstance(self.preprocessing, Preparation):
            return None
        held = zip(self.feature_names, self.preprocessing.categories, strict=True)
        return tuple(name for name, words in held if words is not None)

    def save(self, directory: Path | str, card: str | None = None) -> None:
        """Write `weights.safetensors`, `model.json`, the `card` as `README.md`, and their `manifest.json`.

        Raises an OutputError, and a ConfigError for layers that no file can name and where the directory holds files
        that are not a model's.
        """
        file = plain(
            self._file(), self.network, "a model's directory cannot name; keep the model in memory or pickle it"
        )
        files = {_WEIGHTS: self._weights(), _MODEL: format_json(file)}
        if card is not None:
            files[CARD] = card.encode()
        directory = Path(directory)
        ours = {_WEIGHTS, _MODEL, MANIFEST} | ({CARD} if (directory / MANIFEST).is_file() else set())
        others = {path.name for path in directory.iterdir()} - ours if directory.is_dir() else set()
        if others:
            raise ConfigError(
                f"{directory} holds other files, such as {min(others)}, which saving a model there would remove; "
                "name a new directory"
            )
        write_sealed(directory, files)

    def _weights(self) -> bytes:
        arrays = {f"network.{name}": array for name, array in self.parameters.items()}
        for name, affine in (("preprocessing", self.preprocessing), ("target", self.target)):
            arrays |= {f"{name}.shift": affine.shift, f"{name}.scale": affine.scale}
        return format_arrays(arrays)

    @cached_property
    def digest(self) -> str:
        """sha256 of the weights' file: of every array, those of preprocessing and target among them."""
        return sha256(self._weights()).hexdigest()

    def _file(self) -> ModelFile:
        return ModelFile(
            layers=self.network.layers,
            n_in=self.network.widths[0],
            loss=self.loss,
            task=self.task,
            target_names=self.target_names,
            feature_names=self.feature_names,
            row_shape=self.row_shape,
            constant=self.preprocessing.constant,
            preparation=plain_preparation(self.preprocessing),
        )

    def __repr__(self) -> str:
        return f"Model({self.network!r}, {self.task} of {len(self.target_names)})"


def find_model(path: Path, part: str = MODEL) -> Model:
    """The model of the run at `path`, `part` "model" or "best"; or the model at `path` itself, for "model".

    Raises a ConfigError where there is none, a DamagedError where the run did not finish or a file has changed.
    """
    if (path / part).is_dir():
        return load_model(path / part)
    if part != MODEL and (path / MODEL).is_dir():
        raise ConfigError(f"{path} has no best row apart: it had no validation rows; leave --best out")
    if (path / CONFIG).is_file():
        raise unfinished(path)
    return load_model(path)


def load_model(directory: Path | str) -> Model:
    """The model that `Model.save` wrote. Raises a ConfigError where there is none, a DamagedError for changed files.

    The card is not read: it is prose, which its owner may go on writing. `verify` tells of that.

    >>> from tempfile import mkdtemp
    >>> from chainrule import mlp, read, train
    >>> data, folder = read("digits"), Path(mkdtemp()) / "model"
    >>> model = train(mlp([16]), data).model
    >>> model.save(folder)
    >>> bool((load_model(folder).predict(data.X) == model.predict(data.X)).all())
    True
    """
    directory = Path(directory)
    if not (directory / _MODEL).is_file() and not (directory / MANIFEST).is_file():
        raise nothing_at(directory, "model", _MODEL)
    files = read_sealed(directory, unread=(CARD,))
    if set(files) != {_MODEL, _WEIGHTS}:
        raise DamagedError(f"{directory} is damaged: it holds {', '.join(sorted(files))}; a model holds other files.")
    try:
        file = from_plain(ModelFile, parse_json(files[_MODEL], directory / _MODEL))
    except ConfigError as error:
        raise DamagedError(f"{directory / 'model.json'} is not a model of format {FORMAT}: {error}") from None
    if file.format != FORMAT:
        raise DamagedError(f"{directory / 'model.json'} has format {file.format}; this version reads {FORMAT}.")
    if file.loss.task != file.task:
        raise DamagedError(f"{directory / _MODEL} is damaged: a loss {file.loss.kind!r} for {file.task}.")
    arrays = parse_arrays(files[_WEIGHTS], directory / _WEIGHTS)
    for name, array in arrays.items():
        sound = array.dtype in (np.float32, np.float64) and np.isfinite(array).all()
        zero = name == "preprocessing.scale" and file.preparation is not None  # of a constant column
        if not sound or (name.endswith(".scale") and not ((array > 0) | ((array == 0) & zero)).all()):
            raise DamagedError(f"{directory / 'weights.safetensors'}: array {name!r} holds values that no model has.")
    network = Network(file.layers, file.n_in)
    shapes = {f"network.{name}": parameter.shape for name, parameter in network.parameters.items()}
    n_scaled = file.n_in if file.preparation is None else file.preparation.n_numeric
    for name, n in (("preprocessing", n_scaled), ("target", len(file.target_names))):
        shapes |= {f"{name}.shift": (n,), f"{name}.scale": (n,)}
    found = {name: array.shape for name, array in arrays.items()}
    if found != shapes:
        wrong = sorted({*found.items()} ^ {*shapes.items()})[0][0]
        raise DamagedError(
            f"{directory / 'weights.safetensors'}: array {wrong!r} has shape {found.get(wrong)}, but model.json needs "
            f"{shapes.get(wrong)}."
        )
    return Model(
        network,
        {name: arrays[f"network.{name}"] for name in network.parameters},
        file.loss,
        file.task,
        read_preparation(file.preparation, arrays, file.constant, network, file.feature_names, directory / _MODEL),
        Affine(arrays["target.shift"], arrays["target.scale"]),
        file.target_names,
        file.feature_names,
        file.row_shape,
    )
