"""scikit-learn's perceptrons come and go with their predictions."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import chainrule as cr
from chainrule.data.preprocessing import Affine, identity
from exporting.kinds import hidden, made, rows

FLOAT64 = cr.Compute(backend="numpy", precision="float64")
DIGITS, CANCER, DIABETES = (f(return_X_y=True) for f in (load_digits, load_breast_cancer, load_diabetes))
LABELS = (DIGITS[0], np.stack([DIGITS[1] % 2, DIGITS[1] > 4, DIGITS[1] == 0], axis=1).astype(int))
TEXTS = (DIGITS[0], np.array(["odd" if y % 2 else "even" for y in DIGITS[1]]))
SHORT = {"max_iter": 5, "solver": "lbfgs", "random_state": 0}


def fitted(estimator, data):
    X, y = data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y)


CLASSIFIERS = {
    "ten classes": (MLPClassifier((20, 10), "tanh", **SHORT), DIGITS),
    "two classes": (MLPClassifier((12,), "relu", **SHORT), CANCER),
    "two texts": (MLPClassifier((12,), "logistic", **SHORT), TEXTS),
    "labels": (MLPClassifier((12,), "relu", **SHORT), LABELS),
    "identity": (MLPClassifier((6, 5), "identity", **SHORT), DIGITS),
}
REGRESSORS = {
    "numbers": (MLPRegressor(hidden_layer_sizes=(12, 8), activation="tanh", **SHORT), DIABETES),
    "two targets": (
        MLPRegressor(hidden_layer_sizes=(12,), **SHORT),
        (DIABETES[0], np.stack([DIABETES[1], -DIABETES[1]], axis=1)),
    ),
    "counts": (MLPRegressor("poisson", hidden_layer_sizes=(12,), **SHORT), (DIABETES[0], np.floor(DIABETES[1] / 20))),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_come_with_their_predictions_and_go_back(name):
    estimator, (X, y) = CLASSIFIERS[name]
    fitted(estimator, (X, y))
    model = cr.from_sklearn(estimator)
    theirs = estimator.predict_proba(X)
    np.testing.assert_allclose(model.scores(X), theirs, atol=1e-12)  # float64 arrays are used as such
    np.testing.assert_allclose(model.scores(X, cr.Compute(precision="float32")), theirs, atol=1e-5)
    prediction = estimator.predict(X)
    assert (model.predict(X) == (prediction if name == "labels" else prediction.astype(str))).all()
    again = cr.to_sklearn(model)
    np.testing.assert_allclose(again.predict_proba(X), theirs, atol=1e-12)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.get_params()["hidden_layer_sizes"] == estimator.hidden_layer_sizes


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_come_with_their_predictions_and_go_back(name):
    estimator, (X, y) = REGRESSORS[name]
    fitted(estimator, (X, y))
    model = cr.from_sklearn(estimator)
    assert model.loss == (cr.Poisson() if name == "counts" else cr.SquaredError())
    np.testing.assert_allclose(model.predict(X), estimator.predict(X), rtol=1e-9)
    np.testing.assert_allclose(cr.to_sklearn(model).predict(X), estimator.predict(X), rtol=1e-9)


def test_a_pipeline_with_a_scaler_comes_whole():
    X, y = CANCER
    estimator = fitted(make_pipeline(StandardScaler(), StandardScaler(with_mean=False), CLASSIFIERS["two classes"][0]),
                       (X, y))  # fmt: skip
    np.testing.assert_allclose(cr.from_sklearn(estimator).scores(X), estimator.predict_proba(X), atol=1e-12)


def test_trained_here_it_predicts_the_same_there():
    """Preprocessing, batch norm before and after activations, dropout, names not in order, float32."""
    layers = (
        cr.BatchNorm(), cr.Linear(16), cr.BatchNorm(), cr.ReLU(), cr.Dropout(0.2), cr.BatchNorm(), cr.Linear(8, bias=False),
        cr.ReLU(), cr.Linear(3), cr.BatchNorm(),
    )  # fmt: skip
    model = made(layers)
    X, estimator = rows(model, 200), cr.to_sklearn(model)
    assert estimator.classes_.tolist() == sorted(model.target_names) != list(model.target_names)
    scores = model.scores(X, FLOAT64)
    order = [model.target_names.index(name) for name in estimator.classes_]
    np.testing.assert_allclose(estimator.predict_proba(X), scores[:, order], atol=1e-6)
    np.testing.assert_array_equal(estimator.predict(X), model.predict(X, FLOAT64))
    assert len(set(estimator.predict(X))) > 1


@pytest.mark.parametrize(
    "model",
    [
        made(
            hidden(cr.Tanh()), loss=cr.SquaredError(), target=Affine(np.arange(3) * 1e5, 1 / np.array([1e4, 2, 1e-3]))
        ),
        made((cr.Linear(),), loss=cr.Huber()),
        made(hidden(cr.Sigmoid()), loss=cr.Poisson()),
    ],
    ids=["units", "linear", "poisson"],
)
def test_numbers_in_their_own_units(model):
    X = rows(model, 100)
    np.testing.assert_allclose(cr.to_sklearn(model).predict(X), model.predict(X, FLOAT64), rtol=1e-6)


def test_two_classes_and_one_label_are_one_logistic_output():
    network = cr.Network(hidden(cr.ReLU())).sized(4, 2)
    two = cr.Model(network, network.initial(0), cr.SoftmaxCrossEntropy(), "classification", identity(4), identity(2),
                   ("yes", "no"))  # fmt: skip
    X = np.random.default_rng(0).normal(size=(50, 4))
    estimator = cr.to_sklearn(two)
    assert estimator.n_outputs_ == 1
    np.testing.assert_allclose(estimator.predict_proba(X), two.scores(X)[:, ::-1], atol=1e-12)
    network = cr.Network(hidden(cr.ReLU())).sized(4, 1)
    one = cr.Model(
        network, network.initial(0), cr.SigmoidCrossEntropy(), "multilabel", identity(4), identity(1), ("a",)
    )
    np.testing.assert_allclose(cr.to_sklearn(one).predict_proba(X)[:, 1:], one.scores(X), atol=1e-12)
    np.testing.assert_array_equal(cr.to_sklearn(one).predict(X), one.predict(X)[:, 0])


def test_it_goes_on_training_on_either_side():
    X, y = DIGITS
    estimator = fitted(CLASSIFIERS["ten classes"][0], DIGITS)
    model = cr.from_sklearn(estimator)
    data = cr.Dataset("digits", X, y, "classification", model.target_names)
    run = cr.train(model.network, data, start=model, training=cr.Training(epochs=3), optimizer=cr.Adam(1e-3))
    assert run.history[-1]["train_accuracy"] > estimator.score(X, y) + 0.05
    there = cr.to_sklearn(run.model)
    before = there.score(X, y.astype(str))
    there.set_params(learning_rate_init=1e-4)
    for _ in range(3):
        there.partial_fit(X, y.astype(str))
    assert there.score(X, y.astype(str)) > before - 0.01
    assert len(there.loss_curve_) == 3


def test_column_names_go_along():
    pd = pytest.importorskip("pandas")
    X, y = DIABETES
    frame = pd.DataFrame(X[:, :3], columns=["age", "sex", "bmi"])
    model = cr.from_sklearn(
        fitted(MLPRegressor(hidden_layer_sizes=(4,), **SHORT), (frame, y)), target_names=("progression",)
    )
    assert (model.feature_names, model.target_names) == (("age", "sex", "bmi"), ("progression",))
    assert cr.to_sklearn(model).feature_names_in_.tolist() == ["age", "sex", "bmi"]


def test_other_estimators_are_refused_by_name():
    expected = (
        "from_sklearn takes a fitted MLPClassifier or MLPRegressor, or a pipeline of StandardScalers and one; got "
    )
    for estimator, name in (
        (RandomForestClassifier(), "RandomForestClassifier"),
        (make_pipeline(MinMaxScaler(), MLPClassifier()), "MinMaxScaler"),
        (object(), "object"),
    ):
        with pytest.raises(cr.ConfigError) as caught:
            cr.from_sklearn(estimator)
        assert str(caught.value) == expected + name
    with pytest.raises(cr.ConfigError, match="this MLPRegressor is not fitted; call its fit first"):
        cr.from_sklearn(MLPRegressor())
    with pytest.raises(cr.ConfigError, match=r"has 10 outputs, but 2 names: \('a', 'b'\)"):
        cr.from_sklearn(fitted(CLASSIFIERS["ten classes"][0], DIGITS), target_names=("a", "b"))


@pytest.mark.parametrize(
    ("layers", "what"),
    [
        ((cr.Linear(5), cr.GELU(), cr.Linear()), "layer 1 (gelu)"),
        ((cr.Linear(5), cr.LayerNorm(), cr.Linear()), "layer 1 (layer_norm)"),
        ((cr.Tanh(), cr.Linear()), "layer 0 (tanh)"),
        ((cr.Linear(5), cr.Tanh(), cr.ReLU(), cr.Linear()), "layer 2 (relu)"),
        ((cr.Linear(5), cr.Tanh(), cr.Linear(4), cr.ReLU(), cr.Linear()), "the order Network(20 | linear 5 | tanh"),
        ((cr.Linear(3), cr.Tanh()), "the order Network(20 | linear 3 | tanh"),
        ((cr.Residual((cr.Linear(20),)), cr.Linear()), "layer 0 (residual(linear 20))"),
    ],
)
def test_networks_without_a_form_there_are_refused(layers, what):
    with pytest.raises(cr.ConfigError) as caught:
        cr.to_sklearn(made(layers))
    assert str(caught.value).startswith(what)
    assert str(caught.value).endswith(
        "has no form in scikit-learn, whose perceptrons are linear layers with one activation between them, relu, "
        "tanh, sigmoid or none; export to ONNX or NumPy instead"
    )


class Wide(cr.Linear):
    def forward(self, parameters, x, context):
        return 2 * x @ parameters["W"] + parameters["b"]


class Bent(cr.ReLU):
    pass


class Tripled(cr.SquaredError):
    def predict(self, logits, xp):
        return 3 * logits


OWN_LAYER = (
    "are your own classes, which scikit-learn has no words for; export a network of built-in layers, or bring the "
    "equation of yours over by hand"
)
OWN_LOSS = (
    "is your own class, whose link scikit-learn has no words for; export dataclasses.replace(model, loss=...) with the "
    "built-in loss that has the same link, such as SquaredError()"
)


@pytest.mark.parametrize(
    ("layers", "loss", "message"),
    [
        ((cr.Linear(5), cr.ReLU(), Wide()), None, f"layers Wide {OWN_LAYER}"),
        ((cr.Linear(5), Bent(), cr.Linear()), None, f"layers Bent {OWN_LAYER}"),
        ((cr.Linear(5), cr.ReLU(), cr.Linear()), Tripled(), f"loss Tripled {OWN_LOSS}"),
    ],
)
def test_classes_of_ones_own_are_refused_by_name(layers, loss, message):
    with pytest.raises(cr.ConfigError) as caught:
        cr.to_sklearn(made(layers, loss=loss))
    assert str(caught.value) == message


def test_a_model_without_names_of_columns_makes_an_estimator_without():
    assert not hasattr(cr.to_sklearn(replace(made((cr.Linear(),)), feature_names=())), "feature_names_in_")
