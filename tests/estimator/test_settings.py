"""Parameters that cannot work are refused before any work, by their own names."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import roc_auc_score

import chainrule as cr

X, Y = load_iris(return_X_y=True)
XD, YD = load_diabetes(return_X_y=True)


def classifier(**more):
    return cr.MLPClassifier((16,), max_iter=15, random_state=0, **more)


def regressor(**more):
    return cr.MLPRegressor((16,), max_iter=15, random_state=0, **more)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (classifier, {"solver": "lbfgs"}, "solver is 'lbfgs'; expected 'adam', 'sgd', 'adamw', 'rmsprop', or an Optimizer; "
         "for small data take 'adam' with all rows in one batch"),
        (classifier, {"solver": cr.Adam}, "solver is the class Adam; expected an instance, such as Adam()"),
        (classifier, {"schedule": cr.Cosine}, "schedule is the class Cosine; expected an instance, such as Cosine()"),
        (regressor, {"loss": cr.Huber}, "loss is the class Huber; expected an instance, such as Huber()"),
        (classifier, {"schedule": "cos"}, "schedule is 'cos'; expected 'constant', 'exponential', 'step', 'cosine', "
         "'one_cycle', 'coslog', 'flat_cosine', or a Schedule"),
        (classifier, {"hidden_layer_sizes": (5, 0)}, "hidden_layer_sizes is (5, 0); expected whole numbers above 0, one a layer"),
        (classifier, {"alpha": -1.0}, "alpha is -1.0; expected a number of at least 0"),
        (classifier, {"dropout": 1.0}, "Dropout: rate: should be less than 1, got 1.0"),
        (classifier, {"label_smoothing": 1.0}, "label_smoothing is 1.0; expected a number from 0 to below 1"),
        (regressor, {"clip_norm": 0}, "clip_norm is 0; expected a number above 0, or None"),
        (classifier, {"max_iter": 0}, "max_iter is 0; expected a whole number of at least 1"),
        (classifier, {"batch_size": 0.5}, "batch_size is 0.5; expected a whole number of at least 1"),
        (classifier, {"n_members": True}, "n_members is True; expected a whole number of at least 1"),
        (classifier, {"early_stopping": True, "scoring": ["accuracy", "f1"]}, "scoring is ['accuracy', 'f1']; expected None, "
         "'loss', a scorer's name or a callable (estimator, X, y)"),
        (classifier, {"early_stopping": True, "scoring": roc_auc_score}, "scoring is the metric roc_auc_score; expected a "
         "scorer, (estimator, X, y) -> number: wrap it, sklearn.metrics.make_scorer(roc_auc_score)"),
        (classifier, {"callbacks": cr.Hook}, f"callbacks is {cr.Hook!r}; expected a list of Hooks, or None"),
        (classifier, {"callbacks": [3]}, "callbacks is [3]; expected a list of Hooks, or None"),
        (regressor, {"early_stopping": True, "validation_fraction": 0}, "validation_fraction is 0; expected a number above "
         "0 and below 1"),
        (classifier, {"learning_rate_init": 0}, "learning_rate_init is 0; expected a number above 0"),
        (regressor, {"learning_rate_init": -1.0}, "learning_rate_init is -1.0; expected a number above 0"),
        (classifier, {"class_weight": "even"}, "class_weight is 'even'; expected None, 'balanced' or {class: weight}"),
        (classifier, {"class_weight": {3: 1}}, "class_weight names 3, which is no class; expected some of [0, 1, 2]"),
        (regressor, {"loss": "mse"}, "loss is 'mse'; expected 'squared_error', 'huber', 'poisson', or a loss for numbers "
         "such as Huber(0.5)"),
    ],
)  # fmt: skip
def test_parameters_that_cannot_work_are_refused_by_name(make, options, message):
    with pytest.raises(cr.ConfigError) as caught:
        make().set_params(**options).fit(X, Y)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", ["early_stopping", "standardise", "warm_start"])
def test_a_switch_is_true_or_false(name):
    for given in ("no", 1, None):
        with pytest.raises(cr.ConfigError, match=rf"^{name} is {given!r}; expected True or False$"):
            classifier(**{name: given}).fit(X, Y)
        with pytest.raises(cr.ConfigError, match=rf"^{name} is {given!r}; expected True or False$"):
            regressor(**{name: given}).partial_fit(XD, YD)
    regressor(**{name: np.True_}).fit(XD, YD)
