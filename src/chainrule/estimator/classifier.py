"""`MLPClassifier`: classes, or several labels a row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import column_or_1d

from chainrule.data import Dataset
from chainrule.errors import DataError
from chainrule.estimator import settings
from chainrule.estimator.base import MLP
from chainrule.layers import Layer
from chainrule.losses import AnyLoss
from chainrule.optim import Optimizer, Schedule
from chainrule.runs import Hook


class MLPClassifier(ClassifierMixin, MLP):  # type: ignore[misc]
    """A multilayer perceptron that predicts classes, or several labels a row."""

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
        schedule: str | Schedule = "constant",
        label_smoothing: float = 0.0,
        class_weight: str | Mapping[Any, float] | None = None,
        standardise: bool = True,
        scoring: Any = None,
        device: str = "auto",
        precision: str = "auto",
        callbacks: Sequence[Hook] | None = None,
        n_members: int = 1,
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
        self.schedule = schedule
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.standardise = standardise
        self.scoring = scoring
        self.device = device
        self.precision = precision
        self.callbacks = callbacks
        self.n_members = n_members

    def _targets(self, y: Any, *, reset: bool) -> NDArray[Any]:
        check_classification_targets(y)
        if type_of_target(y) == "multilabel-indicator":
            self.classes_, self._multilabel = np.arange(y.shape[1]), True
            return np.asarray(y, dtype=np.int64)
        self.classes_, codes = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        self._multilabel = False
        if len(self.classes_) < 2:
            raise DataError(f"y has 1 class, {self.classes_[0]!r}; a classifier needs two classes")
        return codes

    def _dataset(self, X: NDArray[Any], y: NDArray[Any], weight: NDArray[Any] | None) -> Dataset:
        names = tuple(str(name) for name in self.classes_)
        task = "multilabel" if self._multilabel else "classification"
        return Dataset(type(self).__name__, X, y, task, names, weight=weight)

    def _loss(self) -> AnyLoss:
        return settings.classification_loss(self.get_params(deep=False), multilabel=self._multilabel)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities (n_rows, n_classes) in the order of `classes_`; of each label by itself where there are several."""
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
