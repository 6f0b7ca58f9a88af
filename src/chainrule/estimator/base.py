"""What classifier and regressor share: parameters to a run of `train`, the run to what the estimator shows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from chainrule.backends import Compute
from chainrule.data import Dataset, Split, Table
from chainrule.data.dataset import Task
from chainrule.errors import ConfigError, DataError
from chainrule.estimator import inputs, settings
from chainrule.estimator.curves import Curves
from chainrule.estimator.scoring import Scored, scorer
from chainrule.losses import Loss
from chainrule.optim import Constant
from chainrule.runs import Hook, Model, Run, train
from chainrule.training import Evaluation, Initial, Training

_STREAM = 10_000
"""Rows that `partial_fit` expects in all."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows to train on with encoded targets and weights, the last `n_validation` of them to validate on.

    partial: whether classes may be missing from them. expected: how many rows may come in all, where these are a part.
    """

    X: inputs.Rows
    y: NDArray[Any]
    weight: NDArray[np.float64] | None
    n_validation: int = 0
    partial: bool = False
    expected: int = 0


class MLP(Curves, BaseEstimator):  # type: ignore[misc]
    """A multilayer perceptron on scikit-learn's contract; see `MLPClassifier` and `MLPRegressor`.

    models_: the trained networks, one for each separate member. history_: rows of `train`'s history, of the first one.
    """

    _score_metric: str
    standardise: bool

    def _encoded(self, y: Any, *, reset: bool) -> NDArray[Any]:
        """y as `Dataset` takes it; with `reset` it decides what the outputs are."""
        raise NotImplementedError

    def _decoded(self, y: NDArray[Any]) -> NDArray[Any]:
        """Encoded targets as they were given."""
        raise NotImplementedError

    def _outputs(self, y: NDArray[Any]) -> tuple[Task, tuple[str, ...]]:
        """The task and the names of the outputs, for encoded targets y."""
        raise NotImplementedError

    def _loss(self, params: settings.Params) -> Loss:
        """The loss that the parameters ask for."""
        raise NotImplementedError

    def _class_weights(self, y: NDArray[Any], weight: NDArray[np.float64]) -> NDArray[np.float64] | None:  # noqa: ARG002
        """A factor on each row's weight, (n_rows,), where the parameters ask for one."""
        return None

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> Self:
        """Train on X (n_rows, n_features), a table, an array or sparse, and y.

        sample_weight: of each row, at least 0; a weight of 2 is the row twice. X_val, y_val: rows that validate every
        epoch; with `early_stopping` they decide, in the place of a share of X. Raises a DataError or ConfigError for
        what cannot be trained, and a DivergenceError.
        """
        params = self.get_params(deep=False)
        settings.check_switches(params)
        warm = bool(self.warm_start) and self.__sklearn_is_fitted__()
        rows = self._rows(X, y, sample_weight, reset=not warm, encode_anew=not warm)
        if (X_val is None) != (y_val is None):
            raise DataError(f"{'y_val' if y_val is None else 'X_val'} is None; give X_val and y_val, or neither")
        if X_val is not None:
            rows = self._with_validation(rows, X_val, y_val)
        before = self.models_ if warm else []
        starts = [Initial(model.parameters, model.preprocessing, model.target) for model in before]
        score = scorer(params["scoring"])
        split = self._split(params, rows)
        evaluation = settings.evaluation(params, self._score_metric, validated=split.validation > 0)
        hooks = () if score is None or not split.validation else (Scored(self, score),)
        epochs = settings.integer(params, "max_iter")
        runs = self._train(params, rows, split, evaluation, epochs, starts, hooks)
        settings.check_scores(params, evaluation.monitor, [run.history for run in runs])
        self._keep(runs, add=warm)
        self._ends: list[Initial] = []
        return self

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, *, first: bool) -> Self:
        """One epoch over these rows, on from where the last call ended, the optimiser's arrays too."""
        params = self.get_params(deep=False)
        settings.check_switches(params)
        schedule = settings.schedule(params)
        if schedule != Constant():
            raise ConfigError(
                f"schedule is {schedule!r}; partial_fit does not know how many calls follow, use 'constant'"
            )
        rows = replace(self._rows(X, y, sample_weight, reset=first, encode_anew=False), partial=True, expected=_STREAM)
        starts: Sequence[Initial] = []
        if not first:
            starts = self._ends or [
                Initial(model.parameters, model.preprocessing, model.target) for model in self.models_
            ]
        settings.check_solver(params, [end.slots for end in starts])
        runs = self._train(params, rows, Split(test=0, validation=0), Evaluation(train_metrics=False), 1, starts)
        self._keep(runs, add=not first)
        self._ends = [run.end for run in runs if run.end is not None]
        return self

    def _rows(self, X: Any, y: Any, sample_weight: Any, *, reset: bool, encode_anew: bool) -> Rows:
        X, y = inputs.rows_and_targets(self, X, y, reset=reset)
        y = self._encoded(y, reset=encode_anew)
        weight = inputs.weights(sample_weight, len(X))
        if not weight.all():  # such a row has no part in anything
            X, y, weight = inputs.taken(X, weight > 0), y[weight > 0], weight[weight > 0]
            return Rows(X, y, weight, partial=True)
        return Rows(X, y, None if sample_weight is None else weight)

    def _with_validation(self, rows: Rows, X: Any, y: Any) -> Rows:
        X, y = inputs.rows_and_targets(self, X, y, reset=False)
        y = self._encoded(y, reset=False)
        if y.shape[1:] != rows.y.shape[1:]:
            raise DataError(f"y_val has shape {y.shape}; expected {('n_rows', *rows.y.shape[1:])}, as y")
        weight = None if rows.weight is None else np.concatenate([rows.weight, np.ones(len(X))])
        return Rows(inputs.both(rows.X, X), np.concatenate([rows.y, y]), weight, len(X), rows.partial)

    def _split(self, params: settings.Params, rows: Rows) -> Split:
        n = rows.n_validation
        if n or not params["early_stopping"]:
            return Split(test=0, validation=n, order="file")
        share = settings.number(params, "validation_fraction", 1.0, above=True)
        seed = params["random_state"]
        seed = int(seed) if isinstance(seed, int | np.integer) else 0
        return Split(test=0, validation=int(np.ceil(share * len(rows.X))), seed=seed)

    def _train(self, params: settings.Params, rows: Rows, split: Split, evaluation: Evaluation, epochs: int,
               starts: Sequence[Initial], hooks: Sequence[Hook] = ()) -> list[Run]:  # fmt: skip
        data = self._dataset(rows)
        n_train, n_networks = data.n_rows - int(split.validation), settings.n_networks(params)
        if starts and len(starts) != n_networks:
            raise ConfigError(f"n_members is {n_networks}, but {len(starts)} were trained before; it cannot change now")
        batch, loss, network = settings.batch_size(params, n_train), self._loss(params), settings.network(params)
        weight = 1.0 if data.weight is None else float(data.weight[: n_train if rows.n_validation else None].mean())
        if not starts:
            sized = network.sized(data.n_features, data.n_outputs)
            self._compute: Compute = settings.compute(params, sized, max(data.n_rows, rows.expected))
        return train(
            network,
            data,
            loss=loss,
            optimizer=settings.optimizer(params),
            schedule=settings.schedule(params),
            training=Training(
                epochs=epochs,
                batch_size=batch,
                penalty=settings.penalty(params, loss, data.n_outputs, batch * weight),
                clip_norm=settings.clip_norm(params),
                seed=self._seed(params["random_state"], len(self.history_) if starts else 0),
            ),
            evaluation=evaluation,
            compute=self._compute,
            split=split,
            preprocessing="auto" if params["standardise"] else "none",
            standardise_target=bool(params["standardise"]),
            hooks=(*settings.callbacks(params), *hooks),
            initial=starts or None,
            seeds=n_networks,
        )

    def _dataset(self, rows: Rows) -> Dataset:
        weight = inputs.weights(rows.weight, len(rows.X))
        factor = self._class_weights(rows.y, weight)
        task, names = self._outputs(rows.y)
        features = tuple(getattr(self, "feature_names_in_", ()))
        given = rows.weight if factor is None else weight * factor
        if not isinstance(rows.X, Table):
            return Dataset(type(self).__name__, rows.X, rows.y, task, names, features, weight=given,
                           partial=rows.partial)  # fmt: skip
        if not self.standardise:
            raise ConfigError("standardise is False, and X has words or gaps, which are prepared; use True")
        return Dataset(type(self).__name__, rows.X.X, rows.y, task, names, rows.X.names, weight=given,
                       partial=rows.partial, categories=rows.X.categories)  # fmt: skip

    def _seed(self, state: Any, epochs: int) -> int:
        """The seed of a training that `epochs` came before: a whole number counts on, so that no epoch is repeated."""
        if isinstance(state, int | np.integer):
            return int(state) + epochs
        return int(check_random_state(state).randint(2**31 - 1))

    def _keep(self, runs: Sequence[Run], *, add: bool) -> None:
        self.models_: tuple[Model, ...] = tuple(run.model for run in runs)
        before = self.history_ if add else []
        last = before[-1] if before else {"epoch": 0.0, "step": 0}
        self.history_ = [*before, *(row | {name: row[name] + last[name] for name in last if name in ("epoch", "step")}
                                    for row in runs[0].history)]  # fmt: skip

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "models_")

    def _scores(self, X: Any) -> NDArray[np.float64]:
        """The members' mean probabilities or outputs, (n_rows, n_out)."""
        check_is_fitted(self)
        parts = [
            np.mean([model.scores(block, self._compute) for model in self.models_], axis=0)
            for block in inputs.blocks(inputs.rows(self, X))
        ]
        return np.concatenate(parts)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
