"""Parameters mean what scikit-learn's of the same name mean: alpha, tol, weights, coefficients, batches."""

import numpy as np
import pytest
from sklearn import neural_network as theirs
from sklearn.datasets import load_diabetes, load_iris, load_wine, make_multilabel_classification, make_regression
from sklearn.preprocessing import scale

import chainrule as cr

X, Y = load_iris(return_X_y=True)
X = scale(X)
XD, YD = load_diabetes(return_X_y=True)
XD, YD = scale(XD), scale(YD)
EXACT = {"hidden_layer_sizes": (), "max_iter": 8000, "tol": 0.0, "n_iter_no_change": 300, "standardise": False,
         "learning_rate_init": 0.1, "schedule": "cosine", "random_state": 0}  # fmt: skip


def minimiser(ours, other, X, y, n):
    """Both at the one minimum of a linear network; theirs by L-BFGS."""
    ours.set_params(**EXACT, batch_size=n).fit(X, y)
    other.set_params(hidden_layer_sizes=(), solver="lbfgs", max_iter=20000, tol=1e-9, random_state=0).fit(X, y)
    return ours, other


@pytest.mark.parametrize("alpha", [1.0, 20.0])
def test_alpha_of_a_classifier(alpha):
    ours, other = minimiser(cr.MLPClassifier(alpha=alpha), theirs.MLPClassifier(alpha=alpha), X, Y, 150)
    assert np.abs(ours.coefs_[0]).max() > 0.3
    np.testing.assert_allclose(ours.coefs_[0], other.coefs_[0], atol=1e-4)
    np.testing.assert_allclose(ours.predict_proba(X), other.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_alpha_of_a_regressor(n_outputs):
    x, y = make_regression(80, 4, n_targets=n_outputs, noise=1.0, random_state=0)
    y = scale(y.reshape(80, -1))
    ours = cr.MLPRegressor(alpha=30.0).set_params(**EXACT).fit(x, y)
    # Theirs descends by the sum over outputs but reports the mean; L-BFGS needs one function, so one output at a time.
    for k in range(n_outputs):
        one = theirs.MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", alpha=30.0, max_iter=20000, tol=1e-6)
        one.fit(x, y[:, k])
        np.testing.assert_allclose(ours.coefs_[0][:, [k]], one.coefs_[0], atol=1e-4)


def test_alpha_of_several_labels():
    x, y = make_multilabel_classification(90, 5, n_classes=3, random_state=0)
    ours, other = minimiser(cr.MLPClassifier(alpha=5.0), theirs.MLPClassifier(alpha=5.0), scale(x), y, 90)
    np.testing.assert_allclose(ours.coefs_[0], other.coefs_[0], atol=1e-4)


def test_penalty_takes_the_place_of_alpha():
    small = {"max_iter": 20, "random_state": 0, "batch_size": 150}
    of_alpha = cr.MLPClassifier(alpha=3.0, **small).fit(X, Y)
    of_penalty = cr.MLPClassifier(penalty=3.0 / (2 * 150), **small).fit(X, Y)
    np.testing.assert_array_equal(of_alpha.coefs_[0], of_penalty.coefs_[0])


@pytest.mark.parametrize("make", [cr.MLPClassifier, cr.MLPRegressor])
@pytest.mark.parametrize("n_members", [1, 2])
def test_clip_norm_is_the_longest_step(make, n_members):
    how = {"solver": cr.SGD(1.0), "batch_size": 150, "random_state": 0, "alpha": 0.0, "n_members": n_members}

    def step(**options):
        one, two = (make((8,), max_iter=n, **how, **options).fit(X, Y).models_[-1].parameters for n in (1, 2))
        return np.sqrt(sum(((two[name] - one[name]) ** 2).sum() for name in one))

    assert step(clip_norm=1e-3) == pytest.approx(1e-3, rel=1e-6)
    assert step(clip_norm=1e3) == step() > 1e-2


def test_tol_and_n_iter_no_change_stop_as_theirs():
    curve = cr.MLPClassifier(max_iter=400, random_state=1, tol=1e-3, n_iter_no_change=4, alpha=0.0).fit(X, Y)
    losses, best, waited = curve.loss_curve_, np.inf, 0
    for loss in losses:  # scikit-learn's rule
        waited = waited + 1 if loss > best - 1e-3 else 0
        best = min(best, loss)
        assert (waited > 4) == (loss is losses[-1])
    assert 20 < curve.n_iter_ == len(losses) < 400
    assert curve.best_loss_ == best
    assert curve.loss_ == losses[-1]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_a_weight_is_a_repetition(task, seed):
    rng = np.random.RandomState(seed)
    weight = rng.randint(0, 4, 60)
    x, y = rng.normal(size=(60, 5)), rng.randint(0, 3, 60)
    how = {"random_state": seed, "max_iter": 60}
    make = cr.MLPClassifier if task == "classes" else cr.MLPRegressor
    weighted = make(**how).fit(x, y, sample_weight=weight)
    repeated = make(**how).fit(x.repeat(weight, axis=0), y.repeat(weight))
    unweighted = make(**how).fit(x, y)
    np.testing.assert_allclose(weighted.coefs_[0], repeated.coefs_[0], atol=1e-7)
    assert np.abs(weighted.coefs_[0] - unweighted.coefs_[0]).max() > 1e-3


def test_class_weight_is_a_weight_of_rows():
    how = {"random_state": 0, "max_iter": 30, "alpha": 0.0}
    few = np.r_[0:50, 50:60, 100:150]
    by_name = cr.MLPClassifier(class_weight={1: 5.0}, **how).fit(X[few], Y[few])
    by_row = cr.MLPClassifier(**how).fit(X[few], Y[few], sample_weight=np.where(Y[few] == 1, 5.0, 1.0))
    np.testing.assert_array_equal(by_name.coefs_[0], by_row.coefs_[0])
    balanced = cr.MLPClassifier(class_weight="balanced", **how).fit(X[few], Y[few])
    np.testing.assert_allclose(balanced.coefs_[0], by_row.coefs_[0], atol=1e-9)  # 110/(3·50), 110/(3·10): 1 to 5


@pytest.mark.parametrize("standardise", [True, False])
def test_coefficients_take_raw_rows_to_outputs(standardise):
    x, y = load_diabetes(return_X_y=True)
    x = x * 100 + 7
    model = cr.MLPRegressor((20, 10), "tanh", max_iter=5, random_state=0, standardise=standardise, batch_size=50)
    a = model.fit(x, y).predict(x)
    z = x
    for W, b in zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True):
        z = np.tanh(z @ W + b)
    np.testing.assert_allclose((z @ model.coefs_[-1] + model.intercepts_[-1])[:, 0], a, rtol=1e-9)
    assert [W.shape for W in model.coefs_] == [(10, 20), (20, 10), (10, 1)]


@pytest.mark.parametrize(("activation", "same"), [("logistic", "sigmoid"), ("relu", cr.ReLU()), ("tanh", "tanh")])
def test_their_names_of_activations(activation, same):
    one, other = (cr.MLPClassifier((5,), name, max_iter=3, random_state=0).fit(X, Y) for name in (activation, same))
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_identity_is_a_linear_network():
    model = cr.MLPRegressor((5,), "identity", max_iter=3, random_state=0, dropout=0.1, norm="layer").fit(XD, YD)
    kinds = [layer.kind for layer in model.models_[0].network.layers]
    assert kinds == ["linear", "layer_norm", "dropout", "linear"]


def test_small_networks_are_exact_and_large_ones_fast():
    small, large = (cr.MLPClassifier(n, max_iter=35, random_state=0).fit(X, Y) for n in (100, (600, 600)))
    assert small.models_[0].parameters["0.W"].dtype == np.float64
    assert large.models_[0].parameters["0.W"].dtype == np.float32
    forced = cr.MLPClassifier(5, max_iter=1, precision="float32").fit(X, Y)
    assert forced.models_[0].parameters["0.W"].dtype == np.float32


def test_no_worse_than_theirs_where_both_converge():
    x, y = load_wine(return_X_y=True)
    ours = cr.MLPClassifier(random_state=0).fit(x, y)  # raw columns: it standardises
    other = theirs.MLPClassifier(random_state=0, max_iter=300).fit(scale(x), y)
    assert ours.score(x, y) >= other.score(scale(x), y) - 0.01


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("package", [cr, theirs])
def test_with_tol_0_a_score_that_stays_is_waited_for_as_theirs(package):
    model = package.MLPClassifier((4,), max_iter=30, early_stopping=True, tol=0.0, n_iter_no_change=3, random_state=0)
    assert model.set_params(learning_rate_init=1e-9).fit(X, Y).n_iter_ == 30  # the score stays as it is
