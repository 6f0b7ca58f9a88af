"""`MLPRegressor`: one number a row, or several."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from chainrule.data import Dataset
from chainrule.estimator import settings
from chainrule.estimator.base import MLP
from chainrule.layers import Layer
from chainrule.losses import AnyLoss, Loss
from chainrule.optim import Optimizer, Schedule
from chainrule.runs import Hook


class MLPRegressor(RegressorMixin, MLP):  # type: ignore[misc]
    """A multilayer perceptron that predicts one number a row, or several."""

    def __init__(
        self,
        loss: str | Loss = "squared_error",
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
        standardise: bool = True,
        scoring: Any = None,
        device: str = "auto",
        precision: str = "auto",
        callbacks: Sequence[Hook] | None = None,
        n_members: int = 1,
    ) -> None:
        self.loss = loss
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
        self.standardise = standardise
        self.scoring = scoring
        self.device = device
        self.precision = precision
        self.callbacks = callbacks
        self.n_members = n_members

    def _targets(self, y: Any, *, reset: bool) -> NDArray[Any]:
        y = np.asarray(y, dtype=np.float64)
        return y

    def _dataset(self, X: NDArray[Any], y: NDArray[Any], weight: NDArray[Any] | None) -> Dataset:
        names = tuple(f"y{k}" for k in range(1 if y.ndim == 1 else y.shape[1]))
        return Dataset(type(self).__name__, X, y, "regression", names, weight=weight)

    def _loss(self) -> AnyLoss:
        return settings.regression_loss(self.get_params(deep=False))

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The predicted numbers, (n_rows,) or (n_rows, n_outputs)."""
        found = self._scores(X)
        return found[:, 0] if found.shape[1] == 1 else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
