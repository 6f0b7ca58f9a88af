"""scikit-learn estimators: thin shells over `train` and `Model`."""

from chainrule.estimator.classifier import MLPClassifier as MLPClassifier
from chainrule.estimator.regressor import MLPRegressor as MLPRegressor
