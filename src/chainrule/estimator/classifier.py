"""`MLPClassifier`: classes, or several labels a row."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from chainrule.backprop import Layer
from chainrule.data.dataset import Task
from chainrule.errors import ConfigError, DataError
from chainrule.estimator import settings
from chainrule.estimator.base import MLP
from chainrule.losses import Loss
from chainrule.optim import Optimizer, Schedule
from chainrule.runs import Hook


class MLPClassifier(ClassifierMixin, MLP):  # type: ignore[misc]
    """A multilayer perceptron that predicts classes, or several labels a row (y of 0 and 1, (n_rows, n_labels)).

    hidden_layer_sizes: width of each hidden layer; () gives a linear model. activation: "relu", "tanh", "logistic",
        "identity", "leaky_relu", "gelu", "silu", "selu", "mish", or a layer.
    solver: "adam", "sgd" (Nesterov momentum 0.9), "adamw", "rmsprop", at `learning_rate_init`; or an `Optimizer` with
        its own rate.
    alpha: α of α/(2n) Σ‖W‖², n the rows of a batch, exactly scikit-learn's. penalty: λ of our λ Σ‖W‖² in its place.
    clip_norm: gradients, all arrays' together, longer than this are shortened to it (Pascanu 2013); None leaves them.
    batch_size: rows of a step; "auto" is 200, or all where there are fewer.
    max_iter: epochs at most; reaching it is no warning. tol, n_iter_no_change: stop after more than so many epochs in a
        row without an improvement of `tol`, of the training's loss or, with early_stopping, of the validation score.
    early_stopping: hold validation_fraction of the rows out (or take X_val of `fit`), keep the best epoch's weights.
    scoring: what the validation score is: None for `score`'s own metric, "loss" for minus the loss, the name of a
        scorer of scikit-learn, or a callable (estimator, X, y) -> number, larger is better.
    random_state: of weights, batches, dropout and the rows held out; a whole number is the seed of `train`.
    warm_start: `fit` goes on from the weights of the last one, with a new optimiser.
    dropout, norm: one for all hidden layers or a list; norm "batch" or "layer". schedule: "constant", "exponential",
        "step", "cosine", "one_cycle", "coslog", "flat_cosine" with their defaults, or a `Schedule`.
    label_smoothing: ε of targets (1 - ε) t + ε/K. class_weight: {class: weight} or "balanced", all rows' weights times
        the same for each class; the validation rows' too.
    standardise: shift and scale columns by the training rows' means and deviations; False takes them as they are.
    device: "auto", "cpu", "cuda". precision: "float32", "float64", "bfloat16"; "auto" is float64 where the whole fit
        takes about a second in it, and else as `train` chooses.
    callbacks: `Hook`s that watch the training. n_members: so many networks, whose probabilities are averaged. members:
        "separate", of seeds random_state, random_state + 1, ..., trained together; or "shared", one network in which
        they share their weights (see `MemberLinear`).

    classes_: in the order of predict_proba's columns. See docs/estimators.md for all that is fitted.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((32,), learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Layer = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        learning_rate_init: float = 1e-3,
        max_iter: int = 200,
        tol: float = 1e-4,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        random_state: Any = None,
        warm_start: bool = False,
        dropout: float | Sequence[float] = 0.0,
        norm: str | Sequence[str | None] | None = None,
        penalty: float | None = None,
        clip_norm: float | None = None,
        schedule: str | Schedule = "constant",
        label_smoothing: float = 0.0,
        class_weight: str | Mapping[Any, float] | None = None,
        standardise: bool = True,
        scoring: Any = None,
        device: str = "auto",
        precision: str = "auto",
        callbacks: Sequence[Hook] | None = None,
        n_members: int = 1,
        members: str = "separate",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.warm_start = warm_start
        self.dropout = dropout
        self.norm = norm
        self.penalty = penalty
        self.clip_norm = clip_norm
        self.schedule = schedule
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.standardise = standardise
        self.scoring = scoring
        self.device = device
        self.precision = precision
        self.callbacks = callbacks
        self.n_members = n_members
        self.members = members

    def _encoded(self, y: Any, *, reset: bool) -> NDArray[Any]:
        check_classification_targets(y)
        multilabel = type_of_target(y) == "multilabel-indicator"
        if reset:
            self._set_classes(np.arange(y.shape[1]) if multilabel else np.unique(column_or_1d(y)), multilabel)
        if multilabel:
            if not self._multilabel or y.shape[1] != len(self.classes_):
                raise DataError(f"y has {y.shape[1]} labels a row; expected {self._expected()}")
            return np.asarray(y, dtype=np.int64)
        y = column_or_1d(y, warn=True)
        if self._multilabel:
            raise DataError(f"y has one class a row; expected {self._expected()}")
        known = np.isin(y, self.classes_)
        if not known.all():
            row = int(np.argmin(known))
            raise DataError(f"y is {y.tolist()[row]!r} at row {row}; expected {self._expected()}")
        codes: NDArray[Any] = np.searchsorted(self.classes_, y)
        return codes

    def _set_classes(self, classes: NDArray[Any], multilabel: bool) -> None:
        if len(classes) < 2 and not multilabel:
            raise DataError(f"y has 1 class, {classes.tolist()[0]!r}; a classifier needs two classes")
        self.classes_, self._multilabel = classes, multilabel
        self._score_metric = "label_accuracy" if multilabel else "accuracy"

    def _expected(self) -> str:
        if self._multilabel:
            return f"{len(self.classes_)} labels a row, as in the first fit"
        return f"one of the classes of the first fit, {', '.join(map(repr, self.classes_.tolist()))}"

    def _decoded(self, y: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[Any] = y if self._multilabel else self.classes_[y]
        return found

    def _outputs(self, y: NDArray[Any]) -> tuple[Task, tuple[str, ...]]:  # noqa: ARG002
        return "multilabel" if self._multilabel else "classification", tuple(map(str, self.classes_.tolist()))

    def _loss(self, params: settings.Params) -> Loss:
        return settings.classification_loss(params, multilabel=self._multilabel)

    def _class_weights(self, y: NDArray[Any], weight: NDArray[np.float64]) -> NDArray[np.float64] | None:
        asked = self.class_weight
        if asked is None:
            return None
        if self._multilabel:
            raise ConfigError("class_weight is for one class a row, and y has several labels; use sample_weight")
        total = np.bincount(y, weight, minlength=len(self.classes_))  # (n_classes,)
        if isinstance(asked, str) and asked == "balanced":
            factor = total.sum() / (np.count_nonzero(total) * np.where(total > 0, total, 1.0))
        elif isinstance(asked, Mapping):
            labels = self.classes_.tolist()
            if unknown := [label for label in asked if label not in labels]:
                raise ConfigError(f"class_weight names {unknown[0]!r}, which is no class; expected some of {labels}")
            factor = np.array([float(asked.get(label, 1.0)) for label in labels])
        else:
            raise ConfigError(f"class_weight is {asked!r}; expected None, 'balanced' or {{class: weight}}")
        return np.asarray(factor[y])

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """One epoch over these rows, on from where the last call ended.

        classes: all that will ever come, with the first call; not needed for several labels a row. The rows of the
        first call fit the standardisation, so they should be like those to come. `early_stopping` has no meaning here.
        """
        first = not self.__sklearn_is_fitted__()
        if first:
            multilabel = type_of_target(y) == "multilabel-indicator"
            if classes is None and not multilabel:
                raise DataError("classes is None in the first call of partial_fit; name all classes that will come")
            given = np.arange(np.shape(y)[1]) if multilabel else np.unique(column_or_1d(classes))
            self._set_classes(given, multilabel)
        elif classes is not None and not np.array_equal(np.unique(column_or_1d(classes)), self.classes_):
            raise DataError(f"classes is {classes!r}; expected what the first call named, {self.classes_.tolist()}")
        return self._partial_fit(X, y, sample_weight, first=first)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities (n_rows, n_classes) in the order of `classes_`, or of each of several labels by itself."""
        return self._scores(X)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Logarithms of `predict_proba`."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """The likeliest class of each row, (n_rows,), or 0 and 1 for each label, (n_rows, n_labels)."""
        p = self.predict_proba(X)
        found: NDArray[Any] = (p >= 0.5).astype(np.int64) if self._multilabel else self.classes_[p.argmax(axis=1)]
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
