"""What classifier and regressor share: parameters to a run of `train`, the run to fitted attributes."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from chainrule.backends import Compute
from chainrule.data import Dataset, Split
from chainrule.errors import DataError
from chainrule.estimator import inputs, settings
from chainrule.layers import Linear
from chainrule.losses import AnyLoss
from chainrule.runs import Model, Run, train
from chainrule.training import Evaluation, Training
from chainrule.training.measure import Row


class MLP(BaseEstimator):  # type: ignore[misc]
    """A multilayer perceptron on scikit-learn's contract; see `MLPClassifier` and `MLPRegressor`."""

    models_: tuple[Model, ...]
    history_: list[Row]

    def _targets(self, y: Any, *, reset: bool) -> NDArray[Any]:
        """y as `Dataset` takes it; with `reset` it decides what the outputs are."""
        raise NotImplementedError

    def _dataset(self, X: NDArray[Any], y: NDArray[Any], weight: NDArray[Any] | None) -> Dataset:
        """Rows and encoded targets with their names."""
        raise NotImplementedError

    def _loss(self) -> AnyLoss:
        """The loss of this task."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on X (n_rows, n_features), dense or sparse, and y. sample_weight: of each row, at least 0."""
        X, y = inputs.rows_and_targets(self, X, y, reset=True, numeric=not hasattr(self, "predict_proba"))
        y = self._targets(y, reset=True)
        weight = inputs.weights(sample_weight, len(X))
        if weight is not None and not weight.all():
            X, y, weight = X[weight > 0], y[weight > 0], weight[weight > 0]
        self._keep(self._train(self._dataset(X, y, weight)))
        return self

    def _train(self, data: Dataset) -> list[Run]:
        params = self.get_params(deep=False)
        network = settings.network(params)
        sized = network.sized(data.n_features, data.n_outputs)
        n_validation = self._n_validation(params, data.n_rows)
        n_train = data.n_rows - n_validation
        batch = settings.batch_size(params, n_train)
        loss = self._loss()
        mean_weight = 1.0 if data.weight is None else float(data.weight.mean())
        self._compute = settings.compute(params, sized)
        return train(
            network,
            data,
            loss=loss,
            optimizer=settings.optimizer(params),
            schedule=settings.schedule(params),
            training=Training(
                epochs=settings.integer(params, "max_iter"),
                batch_size=batch,
                penalty=settings.penalty(params, loss, data.n_outputs, batch * mean_weight),
                seed=self._seed(),
            ),
            evaluation=Evaluation(),
            compute=self._compute,
            split=Split(test=0, validation=n_validation),
            preprocessing="standardise" if params["standardise"] else "none",
            standardise_target=bool(params["standardise"]),
            hooks=tuple(params["callbacks"] or ()),
            seeds=settings.integer(params, "n_members"),
        )

    def _n_validation(self, params: settings.Parameters, n: int) -> int:
        if not params["early_stopping"]:
            return 0
        return int(np.ceil(settings.number(params, "validation_fraction", 0.0, 1.0) * n))

    def _seed(self) -> int:
        state = self.random_state  # type: ignore[attr-defined]
        return int(state) if isinstance(state, (int, np.integer)) else int(check_random_state(state).randint(2**31 - 1))

    def _keep(self, runs: Sequence[Run]) -> None:
        self.models_ = tuple(run.model for run in runs)
        self.history_ = runs[0].history
        self.n_iter_ = len(self.history_)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "models_")

    def _scores(self, X: Any) -> NDArray[np.float64]:
        """The members' mean probabilities or outputs, (n_rows, n_out)."""
        check_is_fitted(self)
        X = inputs.rows(self, X, reset=False)
        return np.mean([model.scores(X, self._compute) for model in self.models_], axis=0)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
