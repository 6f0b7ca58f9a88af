"""All of scikit-learn's checks of the estimator contract, with no expected failure."""

import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

import chainrule as cr


@parametrize_with_checks([cr.MLPClassifier(), cr.MLPRegressor()])
def test_of_scikit_learn(estimator, check):
    check(estimator)


def names(estimator):
    return {getattr(check, "func", check).__name__ for _, check in estimator_checks_generator(estimator)}


@pytest.mark.parametrize(
    ("ours", "theirs"), [(cr.MLPClassifier(), MLPClassifier()), (cr.MLPRegressor(), MLPRegressor())]
)
def test_no_check_is_avoided_by_a_tag_or_a_missing_method(ours, theirs):
    assert names(theirs) <= names(ours)
