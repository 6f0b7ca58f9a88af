"""Layers of a user's own without a pullback: found before the backend is chosen, and trained on torch."""

import numpy as np
import pytest
import torch

import chainrule as cr
from chainrule.backends import derived


class Bare(cr.Layer):
    def forward(self, parameters, x, context):
        return x * x


class TorchAlone(cr.Layer):
    def forward(self, parameters, x, context):
        return torch.sin(x)


class Whole(cr.Layer):
    def forward(self, parameters, x, context):
        return x * x, lambda dy: (2 * x * dy, {})


class Broken(cr.Layer):
    def forward(self, parameters, x, context):
        raise ValueError("whatever it is given")


NESTED = cr.Residual((cr.Tanh(), cr.Residual((Bare(),)), TorchAlone()))


def test_they_are_found_in_residual_blocks_too_and_no_others():
    assert derived((cr.Linear(8), Bare(), Whole(), NESTED, Broken(), cr.Linear(2)), 3) == ("Bare", "Bare", "TorchAlone")
    assert derived((Whole(), cr.ReLU(), cr.Residual((cr.Linear(3),))), 3) == ()


@pytest.mark.parametrize(
    ("layers", "names"), [((Bare(), Bare()), "Bare"), ((TorchAlone(),), "TorchAlone"), ((NESTED,), "Bare, TorchAlone")]
)
def test_auto_trains_and_predicts_on_torch_and_says_why(layers, names):
    data = cr.read("digits")
    run = cr.train(cr.Network((cr.Linear(8), *layers, cr.Linear())), data, training=cr.Training(epochs=1))
    assert run.environment["backend"] == "torch"
    assert run.environment["reason"].startswith(f"without a pullback: {names}; ")
    assert run.model.predict(data.X[:3]).shape == (3,)


def test_auto_stays_with_numpy_for_an_own_layer_with_its_pullback():
    network = cr.Network((cr.Linear(8), Whole(), cr.Linear()))
    run = cr.train(network, cr.read("digits"), training=cr.Training(epochs=1))
    assert run.environment["backend"] == "numpy"


@pytest.mark.parametrize("activation", [Bare(), TorchAlone()])
def test_the_estimators_train_them(activation):
    X = np.random.default_rng(0).normal(size=(200, 3))
    classifier = cr.MLPClassifier((8,), activation, max_iter=100, learning_rate_init=0.01, random_state=0)
    assert classifier.fit(X, X[:, 0] > 0).score(X, X[:, 0] > 0) > 0.9
    regressor = cr.MLPRegressor((8,), activation, max_iter=2, n_members=2, random_state=0).fit(X, X[:, 0])
    assert regressor.partial_fit(X, X[:, 0]).predict(X).shape == (200,)
