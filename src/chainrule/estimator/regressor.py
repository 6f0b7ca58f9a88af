"""`MLPRegressor`: one number a row, or several."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from chainrule.backprop import Layer
from chainrule.data.dataset import Task
from chainrule.estimator import settings
from chainrule.estimator.base import MLP
from chainrule.losses import Loss
from chainrule.optim import Optimizer, Schedule
from chainrule.runs import Hook


class MLPRegressor(RegressorMixin, MLP):  # type: ignore[misc]
    """A multilayer perceptron that predicts one number a row, or several (y (n_rows, n_outputs)).

    hidden_layer_sizes: width of each hidden layer; () gives a linear model. activation: "relu", "tanh", "logistic",
        "identity", "leaky_relu", "gelu", "silu", "selu", "mish", or a layer.
    loss: "squared_error", "huber", "poisson", or a loss such as Huber(0.5).
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
    standardise: shift and scale columns, and y for the squared and the Huber loss, by the training rows' means and
        deviations; False takes them as they are.
    device: "auto", "cpu", "cuda". precision: "float32", "float64", "bfloat16"; "auto" is float64 where the whole fit
        takes about a second in it, and else as `train` chooses.
    callbacks: `Hook`s that watch the training. n_members: so many networks, whose predictions are averaged. members:
        "separate", of seeds random_state, random_state + 1, ..., trained together; or "shared", one network in which
        they share their weights (see `MemberLinear`).

    See docs/estimators.md for all that is fitted.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor((32,), max_iter=20, random_state=0).fit(X, y)
    >>> model.predict(X[:3]).shape
    (3,)
    """

    _score_metric = "r2"

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Layer = "relu",
        *,
        loss: str | Loss = "squared_error",
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
        self.loss = loss
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
        self.standardise = standardise
        self.scoring = scoring
        self.device = device
        self.precision = precision
        self.callbacks = callbacks
        self.n_members = n_members
        self.members = members

    def _encoded(self, y: Any, *, reset: bool) -> NDArray[Any]:  # noqa: ARG002
        return np.asarray(y, dtype=np.float64)

    def _decoded(self, y: NDArray[Any]) -> NDArray[Any]:
        return y

    def _outputs(self, y: NDArray[Any]) -> tuple[Task, tuple[str, ...]]:
        return "regression", ("y",) if y.ndim == 1 else tuple(f"y{k}" for k in range(y.shape[1]))

    def _loss(self, params: settings.Params) -> Loss:
        return settings.regression_loss(params)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch over these rows, on from where the last call ended.

        The rows of the first call fit the standardisation, so they should be like those to come. `early_stopping` has
        no meaning here.
        """
        return self._partial_fit(X, y, sample_weight, first=not self.__sklearn_is_fitted__())

    def predict(self, X: Any) -> NDArray[np.float64]:
        """The predicted numbers, (n_rows,) or (n_rows, n_outputs)."""
        found = self._scores(X)
        return found[:, 0] if found.shape[1] == 1 else found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
