"""scikit-learn's MLPClassifier: a fit of several epochs, divided by its steps."""

import warnings
from typing import Any

from .cases import Case, Data
from .measure import Contestant, Skipped, fitting

NAME = "scikit-learn, float32"


def contestant(case: Case, data: Data, rows: int) -> Contestant:
    """A fit on `rows` rows of float32, prepared once; checking the input and drawing the weights are part of it."""
    if case.norm or case.dropout or case.rule == "adamw":
        raise Skipped("MLPClassifier has no batch norm, no dropout and no AdamW")
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    X, y = data.prepared(rows), data.y[:rows]

    def fit(epochs: int) -> Any:
        model = MLPClassifier(
            case.hidden,
            solver=case.rule,
            alpha=2 * case.penalty * case.batch,  # it divides α/2 ‖W‖² by the rows of the batch
            batch_size=case.batch,
            learning_rate_init=case.lr,
            max_iter=epochs,
            momentum=0.0,
            nesterovs_momentum=False,
            early_stopping=False,
            tol=0.0,
            n_iter_no_change=epochs + 1,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)
        if model.n_iter_ != epochs:
            raise RuntimeError(f"scikit-learn stopped after {model.n_iter_} of {epochs} epochs")
        return model

    return fitting(NAME, fit, -(-rows // case.batch))
