"""All of scikit-learn's checks of the estimator contract, with no expected failure."""

from sklearn.utils.estimator_checks import parametrize_with_checks

import chainrule as cr


@parametrize_with_checks([cr.MLPClassifier(), cr.MLPRegressor()])
def test_of_scikit_learn(estimator, check):
    check(estimator)
