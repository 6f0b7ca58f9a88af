"""The configuration: one set of frozen, strict specifications, the same from Python, TOML and the command line."""

import tomllib
from collections.abc import Iterable
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from chainrule.backends import Compute
from chainrule.data.augmentation import Augment
from chainrule.data.dataset import Task
from chainrule.data.preprocessing import Kind as PreprocessingKind
from chainrule.data.splits import Split
from chainrule.data.streaming.options import Stream
from chainrule.errors import ConfigError
from chainrule.layers import AnyLayer, PeriodicEmbedding
from chainrule.layers.initialisation import InitOption
from chainrule.losses import AnyLoss
from chainrule.network import Network, mlp
from chainrule.optim import Adam, AnyOptimizer, AnySchedule, Constant
from chainrule.spec import Form, List, from_plain, spec
from chainrule.text import cause

Positive = Annotated[int, Field(gt=0)]
Rate = Annotated[float, Field(ge=0, lt=1)]
NormName = Literal["batch", "layer", "none"]


@spec
class DataOptions:
    """Which data, and how they are parted and prepared.

    source: a name such as "digits" or "cifar10", or a path to files. path: where the files of a named set are.
    target: the target's column in a table. task: only where the targets leave it open. image_size: (height, width)
    to which an image folder is resized. categorical: columns of a table whose values are names, numbers though they
    look. preprocessing: "auto" is "robust" for a table with words or gaps and "standardise" for others.
    standardise_target: regression targets to mean 0 and deviation 1 for training; predictions and metrics are in the
    targets' own units. augment: rows changed at random while training.
    stream: how data larger than memory are read.
    """

    source: str = "digits"
    path: str | None = None
    target: str | None = None
    task: Task | None = None
    image_size: Annotated[tuple[Positive, Positive], Field(strict=False)] | None = None
    categorical: List[str] = ()
    split: Split = Split()
    preprocessing: PreprocessingKind = "auto"
    standardise_target: bool = True
    augment: Augment = Augment()
    stream: Stream = Stream()


_OF_MLP = ("hidden", "activation", "dropout", "norm", "init", "members", "clip", "embedding")


@spec
class NetworkOptions:
    """A network: either `hidden` and what goes with it (see `mlp`), or an explicit list of `layers`.

    members: so many networks that share their weights, in one. clip, embedding: what the features pass through first.
    """

    hidden: List[Positive] | None = None
    activation: Literal["relu", "leaky_relu", "tanh", "sigmoid", "gelu", "silu", "selu", "mish"] | None = None
    dropout: Annotated[Annotated[Rate, Form.NUMBER] | Annotated[List[Rate], Form.LIST], Form.BY] | None = None
    norm: Annotated[Annotated[NormName, Form.TEXT] | Annotated[List[NormName], Form.LIST], Form.BY] | None = None
    init: InitOption | None = None
    members: Positive | None = None
    clip: Annotated[float, Field(gt=0)] | None = None
    embedding: PeriodicEmbedding | None = None
    layers: List[AnyLayer] | None = None

    def __post_init__(self) -> None:
        """Refuse both forms at once."""
        given = [name for name in _OF_MLP if getattr(self, name) is not None]
        if self.layers is not None and given:
            raise ConfigError(
                f"network.layers lists every layer, so network.{given[0]} would do nothing; keep one of them"
            )

    def build(self) -> Network:
        """The network, still without the widths that the data decide."""
        if self.layers is not None:
            return Network(self.layers)
        return mlp(
            (100,) if self.hidden is None else self.hidden,
            activation=self.activation or "relu",
            dropout=self.dropout or 0.0,
            norm=self.norm or "none",
            init=self.init,
            members=self.members or 1,
            clip=self.clip,
            embedding=self.embedding,
        )


@spec
class Training:
    """How long and in which batches.

    epochs, or iterations (steps): one of them; 20 epochs where neither is given. batch_size: rows of a step; 128, or
    all training rows where they are fewer. replacement: draw each batch anew from all training rows. penalty: λ in
    λ Σ‖W‖² over the weights. clip_norm: gradients, all arrays' together, longer than this are shortened to it (Pascanu
    2013). seed: of initial weights, batches, augmentation and dropout. on_divergence: "stop" where a loss or gradient
    is not finite, or "reduce-lr": go back to the last row of history and halve the learning rate.

    >>> Training(epochs=5, iterations=100)
    Traceback (most recent call last):
        ...
    chainrule.errors.ConfigError: Training: training.epochs 5 and training.iterations 100: give one of them, not both
    """

    epochs: Positive | None = None
    iterations: Positive | None = None
    batch_size: Positive | None = None
    replacement: bool = False
    penalty: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    seed: int = 0
    on_divergence: Literal["stop", "reduce-lr"] = "stop"

    def __post_init__(self) -> None:
        """Refuse both lengths at once."""
        if self.epochs is not None and self.iterations is not None:
            raise ConfigError(
                f"training.epochs {self.epochs} and training.iterations {self.iterations}: give one of them, not both"
            )


@spec
class Evaluation:
    """When the run is measured and what is kept. Every metric is computed in evaluation mode.

    every_epochs or every_steps: distance of the history's rows. train_rows: size of the fixed subset of training rows
    that the training metrics are computed on; 0 takes all. metrics: more than the task's own: "balanced_accuracy",
    "f1_macro" and "f1_micro" of classes, the last two of labels too, "r2" of numbers. train_metrics: False
    leaves the training rows to their batches' losses, which cost nothing; the objective is then theirs. monitor: the
    column of the history by which rows are compared. mode: whether "max" or "min" of it is the best, which "auto" knows
    of all columns but those that a hook measures. patience: stop after so many rows without an improvement of more than
    `tolerance`; with `ties` one of exactly `tolerance` counts, too. keep: which row's parameters become the model.
    """

    every_epochs: Positive | None = None
    every_steps: Positive | None = None
    train_rows: Annotated[int, Field(ge=0)] = 10_000
    metrics: List[str] = ()
    train_metrics: bool = True
    monitor: str = "validation_loss"
    mode: Literal["auto", "min", "max"] = "auto"
    patience: Positive | None = None
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    ties: bool = False
    keep: Literal["last", "best"] = "last"

    def __post_init__(self) -> None:
        """Refuse both distances at once."""
        if self.every_epochs is not None and self.every_steps is not None:
            raise ConfigError("evaluation.every_epochs and evaluation.every_steps: give one of them, not both")


@spec
class Checkpoint:
    """How often a run directory gets a checkpoint; every 30 seconds where nothing is given. The results are the same.

    every_steps, every_epochs, every_seconds: whichever comes first. keep: the newest so many are kept.
    """

    every_steps: Positive | None = None
    every_epochs: Positive | None = None
    every_seconds: Annotated[float, Field(gt=0)] | None = None
    keep: Annotated[int, Field(ge=2)] = 2


@spec
class Start:
    """The trained model that training goes on from: its arrays, its preprocessing and its scale of the targets.

    model: directory of a run or a model. sha256: of its `weights.safetensors`; filled in, and compared where given.
    `network` may be left out, and so may `loss`: they are the model's. `data.preprocessing` has no say.
    """

    model: str
    sha256: str | None = None


@spec
class Config:
    """Everything that decides a run.

    loss None is the one that suits the targets. An `optimizer` table without a kind is Adam's. start None draws initial
    weights from the seed. All sections, layers, losses, rules and schedules raise a ConfigError when they are made, for
    options that are not known and values that cannot be.

    >>> Config(training=Training(epochs=5)).optimizer
    Adam(lr=0.001, beta1=0.9, beta2=0.999, epsilon=1e-08)
    """

    data: DataOptions = DataOptions()
    network: NetworkOptions = NetworkOptions()
    loss: AnyLoss | None = None
    optimizer: AnyOptimizer = field(default_factory=Adam)
    schedule: AnySchedule = field(default_factory=Constant)
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    compute: Compute = Compute()
    checkpoint: Checkpoint = Checkpoint()
    start: Start | None = None


_LARGEST = 1_000_000


def load(path: Path | None = None, changes: Iterable[str] = ()) -> Config:
    """The configuration in the TOML file at `path`, or the defaults, with `changes` such as "optimizer.lr=3e-4".

    Raises a ConfigError naming every problem at once.
    """
    plain: dict[str, Any] = {}
    if path is not None:
        if path.exists() and (not path.is_file() or path.stat().st_size > _LARGEST):
            raise ConfigError(f"The configuration {path} is not a plain file of at most {_LARGEST:,} bytes")
        try:
            plain = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The configuration {path} cannot be read: {cause(error)}") from None
        except (ValueError, RecursionError) as error:
            hint = "" if path.suffix.lower() == ".toml" else f"; to train on it, give --data {path}"
            raise ConfigError(f"The configuration {path} is not TOML: {error}{hint}") from None
    for change in changes:
        set_option(plain, change)
    if isinstance(plain.get("optimizer"), dict):
        plain["optimizer"].setdefault("kind", "adam")
    return from_plain(Config, plain)


def with_seed(config: Config, seed: int) -> Config:
    """The same configuration with another training seed."""
    return replace(config, training=replace(config.training, seed=seed))


def set_option(plain: dict[str, Any], change: str) -> None:
    """Apply "a.b=value" to the plain tables; the value is TOML, or a text where it is no TOML."""
    key, equals, text = change.partition("=")
    *tables, last = key.strip().split(".")
    if not equals or not last:
        raise ConfigError(f"--set {change!r}: expected KEY=VALUE with a dotted key, such as optimizer.lr=3e-4")
    for i, name in enumerate(tables):
        plain = plain.setdefault(name, {})
        if not isinstance(plain, dict):
            raise ConfigError(f"--set {change!r}: {'.'.join(tables[: i + 1])} is {plain!r}, not a table")
    try:
        plain[last] = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        plain[last] = text.strip()
