"""What a fitted estimator shows of its training and its weights, under scikit-learn's names where it has one."""

from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from chainrule.data import Preparation
from chainrule.estimator.settings import SCORE
from chainrule.layers import Linear
from chainrule.runs import Model
from chainrule.training.measure import Row


class Curves:
    """All of it is read off `history_` and `models_`."""

    models_: tuple[Model, ...]
    history_: list[Row]
    _score_metric: str

    @property
    def n_iter_(self) -> int:
        """Epochs so far: of this fit, and with `warm_start` or `partial_fit` of those that it goes on from."""
        return len(self._history())

    @property
    def loss_curve_(self) -> list[float]:
        """After each epoch: the mean loss of its batches as they were trained on, plus the penalty."""
        return [row["objective"] for row in self._history()]

    @property
    def validation_loss_curve_(self) -> list[float] | None:
        """After each epoch: the loss of the validation rows, without the penalty; None where there are none."""
        return self._column("validation_loss")

    @property
    def validation_scores_(self) -> list[float] | None:
        """After each epoch: the score of the validation rows, larger is better; None where there are none."""
        if self.scoring == "loss":  # type: ignore[attr-defined]
            losses = self._column("validation_loss")
            return None if losses is None else [-loss for loss in losses]
        return self._column(SCORE) or self._column(f"validation_{self._score_metric}")

    @property
    def best_validation_score_(self) -> float | None:
        """The largest of `validation_scores_`, of those that are finite if any is."""
        scores = self.validation_scores_
        return None if scores is None else max(scores, key=lambda score: score if isfinite(score) else -inf)

    @property
    def loss_(self) -> float:
        """The last of `loss_curve_`."""
        return self.loss_curve_[-1]

    @property
    def best_loss_(self) -> float:
        """The smallest of `loss_curve_`, of those that are finite if any is."""
        return min(self.loss_curve_, key=lambda loss: loss if isfinite(loss) else inf)

    @property
    def coefs_(self) -> list[NDArray[np.float64]]:
        """W (n_in, n_out) of each linear layer; with `intercepts_` they take raw rows to outputs in y's own units.

        The standardisation is folded into the first and the last layer. Other layers, such as norms, are left out.
        """
        return [W for W, _ in self._folded()]

    @property
    def intercepts_(self) -> list[NDArray[np.float64]]:
        """b (n_out,) of each linear layer; see `coefs_`."""
        return [b for _, b in self._folded()]

    def _folded(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        check_is_fitted(self)
        if len(self.models_) > 1:
            raise AttributeError(f"{len(self.models_)} members have no one set of weights; see models_")
        model = self.models_[0]
        if isinstance(model.preprocessing, Preparation):
            raise AttributeError("a network on a table with words or gaps has no weights of its columns; see models_")
        arrays: dict[str, Any] = {name: array.astype(np.float64) for name, array in model.parameters.items()}
        found = [(arrays[f"{i}.W"], arrays[f"{i}.b"]) for i, layer in enumerate(model.network.layers)
                 if isinstance(layer, Linear)]  # fmt: skip
        shift, scale = model.preprocessing.shift, model.preprocessing.scale
        W, b = found[0]
        found[0] = scale[:, None] * W, b - (shift * scale) @ W
        W, b = found[-1]
        found[-1] = W / model.target.scale, model.target.back(b)
        return found

    def _history(self) -> list[Row]:
        check_is_fitted(self)
        return self.history_

    def _column(self, name: str) -> list[float] | None:
        values = [row[name] for row in self._history() if name in row]
        return values or None
